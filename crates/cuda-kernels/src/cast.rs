//! Conversions, between any two layouts.

use bytemuck::{Pod, Zeroable};
use ndbridge_dtype::{Complex, Element, F8E4M3, F8E5M2, bf16, convert, f16};

use crate::Dims;
use crate::lane::{Lane, THREADS};
use crate::strided::{block_items, convert_strided, each_item};

/// An element as it lies in memory.
pub(crate) trait Stored: Pod {
    type Value: Element;
    fn value(self) -> Self::Value;
    fn of(value: Self::Value) -> Self;
}

/// A `bool` in memory: any byte is one, and all but zero are true.
#[repr(transparent)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(crate) struct StoredBool(u8);

impl Stored for StoredBool {
    type Value = bool;
    #[inline(always)]
    fn value(self) -> bool {
        self.0 != 0
    }
    #[inline(always)]
    fn of(value: bool) -> Self {
        Self(value.into())
    }
}

macro_rules! stored_as_it_is {
    ($($T:ty),*) => {$(
        impl Stored for $T {
            type Value = Self;
            #[inline(always)]
            fn value(self) -> Self {
                self
            }
            #[inline(always)]
            fn of(value: Self) -> Self {
                value
            }
        }
    )*};
}
stored_as_it_is!(i8, i16, i32, i64, u8, u16, u32, u64, f16, bf16, f32, f64);
stored_as_it_is!(Complex<f32>, Complex<f64>, F8E4M3, F8E5M2);

/// Elements per thread between layouts that are not contiguous.
pub(crate) const ITEMS: usize = 2;

/// How many elements a thread loads at once: of the wider type 16 bytes, the widest load there is.
/// Neighbouring threads then reach neighbouring bytes on both sides with every instruction.
pub(crate) const fn vector_len(src_item_bytes: usize, dst_item_bytes: usize) -> usize {
    let wider = if src_item_bytes > dst_item_bytes { src_item_bytes } else { dst_item_bytes };
    if wider == 1 { 8 } else { 16 / wider }
}

/// How many vectors a thread loads before it stores one. Longer ones are enough on their own to
/// hide the time that a load takes.
const fn vectors(vector_len: usize) -> usize {
    if vector_len < 8 { 2 } else { 1 }
}

/// Elements per block where both sides are contiguous.
pub(crate) const fn contiguous_block_items(vector_len: usize) -> u32 {
    block_items(vector_len * vectors(vector_len))
}

/// Converts elements.
///
/// # Safety
/// As for [`convert_strided`]; `LEN` is the [`vector_len`].
#[inline(always)]
pub(crate) unsafe fn cast<L: Lane, S: Stored, D: Stored, const LEN: usize>(
    lane: L,
    dst: *mut D,
    src: *const S,
    dims: &Dims,
) {
    if dims.is_contiguous(size_of::<S>(), size_of::<D>()) {
        // SAFETY: promised by the caller.
        unsafe { cast_contiguous::<L, S, D, LEN>(lane, dst, src, dims.len) }
    } else {
        // SAFETY: promised by the caller.
        unsafe { convert_strided::<L, S, D, ITEMS>(lane, dst, src, dims, converted) }
    }
}

#[inline(always)]
fn converted<S: Stored, D: Stored>(value: S) -> D {
    D::of(convert(value.value()))
}

/// Written out, because a long loop would stay one, and keep its vectors in slow memory.
#[inline(always)]
fn converted_vector<S: Stored, D: Stored, const LEN: usize>(from: [S; LEN]) -> [D; LEN] {
    let mut to = [D::zeroed(); LEN];
    each_item!(LEN, ITEM => {
        to[ITEM] = converted(from[ITEM]);
    });
    to
}

/// # Safety
/// `len` elements from `src` can be loaded, from `dst` stored by one thread alone.
#[inline(always)]
unsafe fn cast_contiguous<L: Lane, S: Stored, D: Stored, const LEN: usize>(
    lane: L,
    dst: *mut D,
    src: *const S,
    len: u32,
) {
    let start = lane.block().wrapping_mul(contiguous_block_items(LEN));
    let end = start.wrapping_add(contiguous_block_items(LEN));
    let aligned =
        src.addr() % size_of::<[S; LEN]>() == 0 && dst.addr() % size_of::<[D; LEN]>() == 0;
    if aligned && end <= len {
        let first = start as usize + lane.thread() as usize * LEN;
        // SAFETY: `LEN` elements before `end`, aligned, as checked.
        let vector: [S; LEN] = unsafe { load_vector(lane, src.wrapping_add(first)) };
        if vectors(LEN) == 2 {
            let second = first + THREADS as usize * LEN;
            // SAFETY: as above.
            let vector: [S; LEN] = unsafe { load_vector(lane, src.wrapping_add(second)) };
            let vector = converted_vector::<S, D, LEN>(vector);
            // SAFETY: as above.
            unsafe { store_vector(lane, dst.wrapping_add(second), vector) }
        }
        let vector = converted_vector::<S, D, LEN>(vector);
        // SAFETY: as above.
        unsafe { store_vector(lane, dst.wrapping_add(first), vector) }
    } else {
        let mut at = start + lane.thread();
        while at < end.min(len) {
            // SAFETY: an element of the source, promised by the caller.
            let value = unsafe { lane.load(src.wrapping_add(at as usize)) };
            let to = dst.wrapping_add(at as usize);
            // SAFETY: an element of the target; its index is this thread's.
            unsafe { lane.store(to, converted::<S, D>(value)) }
            at += THREADS;
        }
    }
}

/// Loads neighbouring elements with one instruction.
///
/// # Safety
/// All can be loaded; `from` is aligned to the size of all together.
#[inline(always)]
unsafe fn load_vector<L: Lane, T: Pod, const LEN: usize>(lane: L, from: *const T) -> [T; LEN] {
    macro_rules! load_as {
        // SAFETY: promised by the caller; the integer has the vector's size.
        ($Bits:ty) => {
            bytemuck::cast(unsafe { lane.load(from.cast::<$Bits>()) })
        };
    }
    match size_of::<[T; LEN]>() {
        1 => load_as!(u8),
        2 => load_as!(u16),
        4 => load_as!(u32),
        8 => load_as!(u64),
        _ => load_as!(u128),
    }
}

/// Stores neighbouring elements with one instruction.
///
/// # Safety
/// All can be stored; `to` is aligned to the size of all together.
#[inline(always)]
unsafe fn store_vector<L: Lane, T: Pod, const LEN: usize>(lane: L, to: *mut T, vector: [T; LEN]) {
    macro_rules! store_as {
        // SAFETY: promised by the caller; the integer has the vector's size.
        ($Bits:ty) => {
            unsafe { lane.store(to.cast::<$Bits>(), bytemuck::cast(vector)) }
        };
    }
    match size_of::<[T; LEN]>() {
        1 => store_as!(u8),
        2 => store_as!(u16),
        4 => store_as!(u32),
        8 => store_as!(u64),
        _ => store_as!(u128),
    }
}
