//! Parameters that say where elements lie: `Dim` and `Dims`, and the division that takes an index
//! apart.

use bytemuck::{Pod, Zeroable};

/// How many dimensions a launch can have.
pub const MAX_DIMS: usize = 8;

/// How many elements a launch can reach.
pub const MAX_ELEMENTS: u32 = i32::MAX as u32;

/// Divides by a constant with one multiplication; a GPU has no instruction that divides.
///
/// (Granlund and Montgomery, "Division by invariant integers using multiplication", 1994.)
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(crate) struct Divisor {
    pub(crate) value: u32,
    multiplier: u32,
    shift: u32,
    padding: u32,
}

impl Divisor {
    /// Of zero, the result must not be used.
    pub(crate) const fn new(value: u32) -> Self {
        let shift = if value < 2 { 0 } else { 32 - (value - 1).leading_zeros() };
        let above = (1u64 << shift) - if value == 0 { 1 } else { value as u64 };
        let divided = if value == 0 { 0 } else { (above << 32) / value as u64 };
        Self { value, multiplier: (divided + 1) as u32, shift, padding: 0 }
    }

    /// Quotient and remainder of an index up to [`MAX_ELEMENTS`].
    #[inline(always)]
    pub(crate) fn divide(self, index: u32) -> (u32, u32) {
        let high = ((u64::from(index) * u64::from(self.multiplier)) >> 32) as u32;
        // Below 2^32: `high <= index < 2^31`.
        let quotient = high.wrapping_add(index) >> (self.shift & 31);
        (quotient, index.wrapping_sub(quotient.wrapping_mul(self.value)))
    }
}

/// One dimension of a copy: its length, and how far apart its elements lie on both sides.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Dim {
    len: Divisor,
    src_stride_bytes: Halves,
    dst_stride_bytes: Halves,
}

/// An `i64`, low half first. With nothing wider than `u32` among its parameters, a kernel loads each
/// by itself: it would multiply the halves of wider ones in 64 bits.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
struct Halves {
    low: u32,
    high: u32,
}

impl Halves {
    const fn new(value: i64) -> Self {
        Self { low: value as u32, high: (value >> 32) as u32 }
    }

    #[inline(always)]
    fn get(self) -> i64 {
        ((u64::from(self.high) << 32) | u64::from(self.low)) as i64
    }
}

impl Dim {
    /// Strides may be negative, and that of the source zero.
    #[must_use]
    pub const fn new(len: u32, src_stride_bytes: i64, dst_stride_bytes: i64) -> Self {
        Self {
            len: Divisor::new(len),
            src_stride_bytes: Halves::new(src_stride_bytes),
            dst_stride_bytes: Halves::new(dst_stride_bytes),
        }
    }

    /// How many elements it has.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len.value
    }

    /// Whether it has no elements.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The dimensions of a copy, outermost first, as kernels take them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Dims {
    pub(crate) len: u32,
    ndim: u32,
    // INVARIANT: where `len` is not zero, it is the product of the first `ndim` lengths. The others
    // are zeros.
    dims: [Dim; MAX_DIMS],
}

/// Where an element lies on both sides, in bytes from the pointers.
#[derive(Clone, Copy)]
pub(crate) struct Offsets {
    pub(crate) src: i64,
    pub(crate) dst: i64,
}

impl Dims {
    /// `None` for more than [`MAX_DIMS`] dimensions, those of length 1 not counted, or for more than
    /// [`MAX_ELEMENTS`] elements.
    ///
    /// ```
    /// use ndbridge_cuda_kernels::{Dim, Dims};
    ///
    /// assert_eq!(Dims::new(&[]).map(|dims| dims.len()), Some(1)); // a scalar
    /// assert!(Dims::new(&[Dim::new(1 << 16, 1 << 16, 1 << 16), Dim::new(1 << 15, 1, 1)]).is_none());
    /// ```
    #[must_use]
    pub fn new(dims: &[Dim]) -> Option<Self> {
        let lens = || dims.iter().map(Dim::len);
        let len = if lens().any(|len| len == 0) {
            0
        } else {
            lens().try_fold(1, u32::checked_mul).filter(|&len| len <= MAX_ELEMENTS)?
        };
        let mut made = Self { len, ndim: 0, dims: [Dim::zeroed(); MAX_DIMS] };
        for dim in dims.iter().filter(|dim| dim.len() != 1) {
            *made.dims.get_mut(made.ndim as usize)? = *dim;
            made.ndim += 1;
        }
        Some(made)
    }

    /// How many elements there are.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are no elements.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many dimensions there are; those of length 1 are left out.
    #[must_use]
    pub const fn ndim(&self) -> usize {
        self.ndim as usize
    }

    /// Whether the elements lie one after the other on both sides.
    #[inline(always)]
    pub(crate) fn is_contiguous(&self, src_item_bytes: usize, dst_item_bytes: usize) -> bool {
        let [inner, ..] = &self.dims;
        self.ndim == 1
            && inner.src_stride_bytes.get() == src_item_bytes as i64
            && inner.dst_stride_bytes.get() == dst_item_bytes as i64
    }

    /// [`locate`](Self::locate), where the last element stands in for those past the end: no load
    /// depends on a branch. Not without elements.
    #[inline(always)]
    pub(crate) fn locate_within<const N: usize>(&self, mut indices: [u32; N]) -> [Offsets; N] {
        for index in &mut indices {
            *index = (*index).min(self.len - 1);
        }
        self.locate(indices)
    }

    /// Where the elements of these indices lie. Side by side, so that the divisions of one do not
    /// wait for those of another.
    #[inline(always)]
    pub(crate) fn locate<const N: usize>(&self, mut indices: [u32; N]) -> [Offsets; N] {
        let mut at = [Offsets { src: 0, dst: 0 }; N];
        // Not a loop: a GPU addresses parameters by constants only, and with a variable would first
        // copy them all to slow memory. Every thread branches alike.
        self.take_off(7, &mut indices, &mut at);
        self.take_off(6, &mut indices, &mut at);
        self.take_off(5, &mut indices, &mut at);
        self.take_off(4, &mut indices, &mut at);
        self.take_off(3, &mut indices, &mut at);
        self.take_off(2, &mut indices, &mut at);
        self.take_off(1, &mut indices, &mut at);
        for (&index, at) in indices.iter().zip(&mut at) {
            at.step(&self.dims[0], index);
        }
        at
    }

    /// Steps along `axis`, and leaves the index among the outer ones.
    #[inline(always)]
    fn take_off<const N: usize>(&self, axis: usize, indices: &mut [u32; N], at: &mut [Offsets; N]) {
        if axis < self.ndim as usize {
            let dim = &self.dims[axis];
            for (index, at) in indices.iter_mut().zip(at) {
                let (quotient, remainder) = dim.len.divide(*index);
                at.step(dim, remainder);
                *index = quotient;
            }
        }
    }
}

const _: () = assert!(MAX_DIMS == 8, "locate takes off each axis by its number");

impl Offsets {
    #[inline(always)]
    pub(crate) fn step(&mut self, dim: &Dim, index: u32) {
        let index = i64::from(index);
        self.src = self.src.wrapping_add(index.wrapping_mul(dim.src_stride_bytes.get()));
        self.dst = self.dst.wrapping_add(index.wrapping_mul(dim.dst_stride_bytes.get()));
    }
}
