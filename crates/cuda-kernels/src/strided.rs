//! Copies between any two layouts.

use bytemuck::Pod;

use crate::Dims;
use crate::lane::{Lane, THREADS};

/// Elements per thread of a copy. All its loads come before its stores, so that their times overlap.
pub(crate) const ITEMS: usize = 4;

/// Elements per block, of which each thread has `items`.
pub(crate) const fn block_items(items: usize) -> u32 {
    THREADS * items as u32
}

/// The indices of this thread's elements. Neighbouring threads have neighbouring elements.
#[inline(always)]
pub(crate) fn indices<L: Lane, const N: usize>(lane: L) -> [u32; N] {
    let first = lane.block().wrapping_mul(block_items(N)).wrapping_add(lane.thread());
    core::array::from_fn(|item| first.wrapping_add(item as u32 * THREADS))
}

/// Does it for each number below that of items, at most 8. Written out, because a long loop would
/// stay one, and keep its values in slow memory.
macro_rules! each_item {
    ($items:ident, $item:ident => $body:block) => {
        each_item!($items, $item => $body; 0 1 2 3 4 5 6 7)
    };
    ($items:ident, $item:ident => $body:block; $($number:literal)*) => {
        $({
            const $item: usize = $number;
            if $item < $items $body
        })*
    };
}
pub(crate) use each_item;

/// Copies elements.
///
/// # Safety
/// As for [`convert_strided`].
#[inline(always)]
pub(crate) unsafe fn strided<L: Lane, T: Pod>(lane: L, dst: *mut T, src: *const T, dims: &Dims) {
    // SAFETY: promised by the caller.
    unsafe { convert_strided::<_, _, _, ITEMS>(lane, dst, src, dims, |value: T| value) }
}

/// Writes what `convert` makes of each element.
///
/// # Safety
/// Each element of `dims` from `src` can be loaded as an `S`, from `dst` stored as a `D` by one
/// thread alone.
#[inline(always)]
pub(crate) unsafe fn convert_strided<L: Lane, S: Pod, D: Pod, const N: usize>(
    lane: L,
    dst: *mut D,
    src: *const S,
    dims: &Dims,
    convert: impl Fn(S) -> D,
) {
    let indices: [u32; N] = indices(lane);
    if indices[0] >= dims.len {
        return;
    }
    let at = dims.locate_within(indices);
    let mut values = [S::zeroed(); N];
    each_item!(N, ITEM => {
        // SAFETY: an element of the source, promised by the caller.
        values[ITEM] = unsafe { lane.load(src.wrapping_byte_offset(at[ITEM].src as isize)) };
    });
    each_item!(N, ITEM => {
        if indices[ITEM] < dims.len {
            let to = dst.wrapping_byte_offset(at[ITEM].dst as isize);
            // SAFETY: an element of the target, promised by the caller; its index is this thread's.
            unsafe { lane.store(to, convert(values[ITEM])) }
        }
    });
}
