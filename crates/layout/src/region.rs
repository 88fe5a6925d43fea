//! The bytes that an array reaches.

use core::ops::Range;

use smallvec::SmallVec;

use crate::contiguous::packed_bytes;
use crate::extent::extent;

/// Items of one size, laid out by shape and byte strides from an absolute address.
///
/// ```text
/// start 0x1000, item_bytes 4, shape [2, 3], strides [16, 4]:
///
/// 0x1000  [0,0] [0,1] [0,2]   .
/// 0x1010  [1,0] [1,1] [1,2]   .      reaches 24 bytes between 0x1000 and 0x101c
/// ```
///
/// A negative stride walks down from `start`; `start` is always where item `[0, .., 0]` begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region<'a> {
    /// Address of item `[0, .., 0]`, in bytes.
    pub start: usize,
    /// Size of an item, in bytes.
    pub item_bytes: usize,
    /// Items along each axis.
    pub shape: &'a [usize],
    /// Bytes from an item to the next along each axis.
    pub strides: &'a [isize],
}

/// Why a [`Region`] is none that memory can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// Shape and strides disagree on the number of axes.
    #[error("shape has {shape} axes, strides have {strides}")]
    AxesDiffer {
        /// Axes of the shape.
        shape: usize,
        /// Axes of the strides.
        strides: usize,
    },
    /// The items span more bytes than addresses can tell apart.
    #[error("items of {item_bytes} bytes from {start:#x} go past the end of the address space")]
    Overflow {
        /// Address of the first item.
        start: usize,
        /// Size of an item.
        item_bytes: usize,
    },
}

impl Region<'_> {
    #[inline]
    fn is_empty(&self) -> bool {
        self.item_bytes == 0 || self.shape.contains(&0)
    }

    #[inline]
    fn overflow(&self) -> RegionError {
        RegionError::Overflow { start: self.start, item_bytes: self.item_bytes }
    }

    /// First and past-the-last address of a region with items.
    #[inline]
    fn span(&self) -> Option<Span> {
        let bytes = extent(self.shape, self.strides, self.item_bytes)?;
        let start = self.start.checked_add_signed(bytes.start)?;
        let end = self.start.checked_add_signed(bytes.end)?;
        (end - start <= isize::MAX as usize).then_some(Span { start, end })
    }

    /// Axes of two or more items, by ascending length of stride, which may be zero.
    #[inline]
    pub(crate) fn long_axes(&self) -> Axes {
        let axes = self.shape.iter().zip(self.strides);
        let mut long: Axes = axes
            .filter(|(len, _)| **len > 1)
            .map(|(&len, &stride)| Axis { len, stride: stride.unsigned_abs() })
            .collect();
        long.sort_unstable_by_key(|axis| axis.stride);
        long
    }
}

/// Addresses from `start` to before `end`; two words, so it is passed in registers. In C's layout, as
/// [`Axis`] is, since it passes between modules in tables of C functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Span {
    /// First address.
    pub start: usize,
    /// Past-the-last address, at least `start`.
    pub end: usize,
}

impl Span {
    /// Whether there are no addresses.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether both have an address in common.
    #[inline(always)]
    pub fn meets(self, other: Span) -> bool {
        self.start < other.end && other.start < self.end && !self.is_empty() && !other.is_empty()
    }

    /// Whether no address of `other` is outside.
    #[inline(always)]
    pub fn contains(self, other: Span) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// How many addresses there are.
    #[inline(always)]
    pub fn len_bytes(self) -> usize {
        self.end - self.start
    }

    /// The same as a range.
    #[inline]
    pub fn addresses(self) -> Range<usize> {
        self.start..self.end
    }
}

/// `len` places, `stride` bytes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Axis {
    /// Count of places, at least 1.
    pub len: usize,
    /// Bytes from a place to the next.
    pub stride: usize,
}

impl Axis {
    /// Bytes from the first place to the last.
    #[inline]
    pub(crate) fn reach_bytes(self) -> usize {
        self.stride * (self.len - 1)
    }
}

pub(crate) type Axes = SmallVec<[Axis; Footprint::INLINE_AXES]>;

/// The set of bytes that a [`Region`] reaches, in the simplest terms found: runs of bytes, repeated
/// along as few axes as possible.
///
/// Signs, order and repetition of axes do not matter to a set, so a whole array is one run, also if
/// it is reversed, transposed or broadcast; every other column of a matrix is one axis.
///
/// ```
/// use ndbridge_layout::{Footprint, Region};
///
/// let region = Region { start: 0x1000, item_bytes: 4, shape: &[2, 3], strides: &[16, 4] };
/// assert_eq!(Footprint::of(&region)?.addresses(), 0x1000..0x101c);
/// let reversed = Region { start: 0x100c, item_bytes: 4, shape: &[4], strides: &[-4] };
/// assert_eq!(Footprint::of(&reversed)?.addresses(), 0x1000..0x1010);
/// # Ok::<(), ndbridge_layout::RegionError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    // INVARIANT: at most isize::MAX long, so sums over two footprints fit 64 bits.
    span: Span,
    // Bytes are reached by steps along these, from the start of the span. None: all of the span.
    // INVARIANT: lengths are positive, strides ascend; the first is the run, its stride 1.
    axes: Axes,
}

impl Footprint {
    /// A footprint of so many axes has no memory of its own.
    pub const INLINE_AXES: usize = 3;

    /// The bytes that `region` reaches.
    ///
    /// # Errors
    /// If shape and strides have different numbers of axes, or the bytes do not fit the address
    /// space.
    #[inline]
    pub fn of(region: &Region<'_>) -> Result<Self, RegionError> {
        Ok(Self::within(Self::span_of(region)?, region))
    }

    /// As [`of`](Self::of), with the span that [`span_of`](Self::span_of) gave: made in its place, as
    /// what was just written is moved slowly.
    #[doc(hidden)]
    #[inline]
    pub fn within(span: Span, region: &Region<'_>) -> Self {
        let axes = match span.is_empty() {
            true => Axes::new(),
            false => steps(region.item_bytes, &region.long_axes()),
        };
        Self { span, axes }
    }

    /// First to past-the-last address of the bytes that `region` reaches.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    #[inline]
    pub fn span_of(region: &Region<'_>) -> Result<Span, RegionError> {
        let (shape, strides) = (region.shape.len(), region.strides.len());
        if shape != strides {
            return Err(RegionError::AxesDiffer { shape, strides });
        }
        if region.is_empty() {
            return Ok(Span { start: region.start, end: region.start });
        }
        region.span().ok_or_else(|| region.overflow())
    }

    /// The span of a region that is contiguous in C order: it needs no axes, so no footprint.
    #[inline(always)]
    pub fn contiguous_span(region: &Region<'_>) -> Option<Span> {
        if region.shape.len() != region.strides.len() {
            return None;
        }
        let axes = region.shape.iter().zip(region.strides);
        let end = region.start.checked_add(packed_bytes(region.item_bytes, axes.rev())?)?;
        Some(Span { start: region.start, end })
    }

    /// Footprint of no bytes.
    #[inline]
    pub const fn none_at(start: usize) -> Self {
        Self { span: Span { start, end: start }, axes: Axes::new_const() }
    }

    /// First to past-the-last address.
    #[inline(always)]
    pub fn span(&self) -> Span {
        self.span
    }

    /// The steps along which runs of bytes repeat, by ascending stride, the run itself first; none if
    /// all bytes of the span are reached.
    #[inline(always)]
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// Becomes the footprint of these parts, which another footprint had; axes move only if there are
    /// any, which most footprints have not.
    #[doc(hidden)]
    #[inline(always)]
    pub fn overwrite(&mut self, span: Span, axes: &[Axis]) {
        self.span = span;
        if !(axes.is_empty() && self.axes.is_empty()) {
            self.axes = Axes::from_slice(axes);
        }
    }

    /// First to past-the-last address, as a range.
    #[inline]
    pub fn addresses(&self) -> Range<usize> {
        self.span.addresses()
    }

    /// Whether there are no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.span.is_empty()
    }
}

/// Joins axes (by ascending stride) that together walk one run, or one even row of runs; none are
/// left if the run is all there is.
#[inline]
fn steps(item_bytes: usize, axes: &[Axis]) -> Axes {
    let mut joined = Axes::new();
    joined.push(Axis { len: item_bytes, stride: 1 });
    for &axis in axes.iter().filter(|axis| axis.stride > 0) {
        match joined.last_mut() {
            Some(row) if continues(row, axis) => row.len += axis.reach_bytes() / row.stride,
            _ => joined.push(axis),
        }
    }
    if joined.len() == 1 { Axes::new() } else { joined }
}

/// Whether stepping along `axis` lands on, or right behind, the steps of `row`.
#[inline]
fn continues(row: &Axis, axis: Axis) -> bool {
    axis.stride.is_multiple_of(row.stride) && axis.stride / row.stride <= row.len
}
