//! Writes one value to every element of a layout.

use bytemuck::Pod;

use crate::Dims;
use crate::lane::Lane;
use crate::strided::indices;

/// Stores `value` everywhere; the source's strides do not matter.
///
/// # Safety
/// Each element of `dims` from `dst` can be stored as a `T` by one thread alone.
#[inline(always)]
pub(crate) unsafe fn fill<L: Lane, T: Pod>(lane: L, dst: *mut T, value: &T, dims: &Dims) {
    let indices = indices(lane);
    if indices[0] >= dims.len {
        return;
    }
    let at = dims.locate(indices.map(|index| index.min(dims.len - 1)));
    for (index, at) in indices.into_iter().zip(at) {
        if index < dims.len {
            let to = dst.wrapping_byte_offset(at.dst as isize);
            // SAFETY: an element of the target, promised by the caller; its index is this thread's.
            unsafe { lane.store(to, *value) }
        }
    }
}
