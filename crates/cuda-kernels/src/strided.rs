//! Copies between any two layouts.

use bytemuck::Pod;

use crate::Dims;
use crate::lane::{Lane, THREADS};

/// Elements per thread. All its loads come before its stores, so that their times overlap.
const ITEMS: u32 = 4;

/// Elements per block of a strided launch.
pub(crate) const BLOCK_ITEMS: u32 = THREADS * ITEMS;

/// The indices of this thread's elements. Neighbouring threads have neighbouring elements.
#[inline(always)]
pub(crate) fn indices<L: Lane>(lane: L) -> [u32; ITEMS as usize] {
    let first = lane.block().wrapping_mul(BLOCK_ITEMS).wrapping_add(lane.thread());
    core::array::from_fn(|item| first.wrapping_add(item as u32 * THREADS))
}

/// Copies elements.
///
/// # Safety
/// As for [`convert_strided`].
#[inline(always)]
pub(crate) unsafe fn strided<L: Lane, T: Pod>(lane: L, dst: *mut T, src: *const T, dims: &Dims) {
    // SAFETY: promised by the caller.
    unsafe { convert_strided(lane, dst, src, dims, |value: T| value) }
}

/// Writes what `convert` makes of each element.
///
/// # Safety
/// Each element of `dims` from `src` can be loaded as an `S`, from `dst` stored as a `D` by one
/// thread alone.
#[inline(always)]
pub(crate) unsafe fn convert_strided<L: Lane, S: Pod, D: Pod>(
    lane: L,
    dst: *mut D,
    src: *const S,
    dims: &Dims,
    convert: impl Fn(S) -> D,
) {
    let indices = indices(lane);
    if indices[0] >= dims.len {
        return;
    }
    // Past the end the last element stands in: no load depends on a branch.
    let at = dims.locate(indices.map(|index| index.min(dims.len - 1)));
    let values = at.map(|at| {
        let from = src.wrapping_byte_offset(at.src as isize);
        // SAFETY: an element of the source, promised by the caller.
        unsafe { lane.load(from) }
    });
    for ((index, at), value) in indices.into_iter().zip(at).zip(values) {
        if index < dims.len {
            let to = dst.wrapping_byte_offset(at.dst as isize);
            // SAFETY: an element of the target, promised by the caller; its index is this thread's.
            unsafe { lane.store(to, convert(value)) }
        }
    }
}
