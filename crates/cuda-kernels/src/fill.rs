//! Writes one value to every element of a layout.

use bytemuck::Pod;

use crate::Dims;
use crate::lane::Lane;
use crate::strided::{ITEMS, each_item, indices};

/// Stores `value` everywhere; the source's strides do not matter.
///
/// # Safety
/// Each element of `dims` from `dst` can be stored as a `T` by one thread alone.
#[inline(always)]
pub(crate) unsafe fn fill<L: Lane, T: Pod>(lane: L, dst: *mut T, value: &T, dims: &Dims) {
    let indices: [u32; ITEMS] = indices(lane);
    if indices[0] >= dims.len {
        return;
    }
    let at = dims.locate_within(indices);
    each_item!(ITEMS, ITEM => {
        if indices[ITEM] < dims.len {
            let to = dst.wrapping_byte_offset(at[ITEM].dst as isize);
            // SAFETY: an element of the target, promised by the caller; its index is this thread's.
            unsafe { lane.store(to, *value) }
        }
    });
}
