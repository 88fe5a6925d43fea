//! Memory read and written: one element at a time, of whatever data type, and bytes as they lie.

use std::ops::Range;

use ndbridge_dtype::Element;
use ndbridge_storage::Borrow;

use crate::tensor::Tensor;

/// The element at `ptr`, which need not be aligned. Bits that are no value of `T` give zero.
///
/// # Safety
/// `ptr` is good for reading `size_of::<T>()` initialised bytes that nobody writes meanwhile.
pub(crate) unsafe fn load<T: Element>(ptr: *const u8) -> T {
    // SAFETY: readable, promised by the caller; any bits are a value of `Bits`.
    let bits = unsafe { ptr.cast::<T::Bits>().read_unaligned() };
    if T::is_valid_bit_pattern(&bits) {
        // SAFETY: `Bits` has the layout of `T`, and these bits are a value of it.
        unsafe { std::mem::transmute_copy(&bits) }
    } else {
        T::zeroed()
    }
}

/// Stores `value` at `ptr`, which need not be aligned.
///
/// # Safety
/// `ptr` is good for writing `size_of::<T>()` bytes that nobody else reaches meanwhile.
pub(crate) unsafe fn store<T: Element>(ptr: *mut u8, value: T) {
    // SAFETY: writable, promised by the caller.
    unsafe { ptr.cast::<T>().write_unaligned(value) }
}

/// The byte `offset` bytes after the start of the storage.
///
/// # Panics
/// If `offset` lies outside of the storage.
pub(crate) fn byte_at(tensor: &Tensor, _held: &Borrow<'_>, offset: usize) -> u8 {
    let storage = tensor.storage();
    assert!(offset < storage.len_bytes(), "offset {offset} of {} B", storage.len_bytes());
    // SAFETY: inside the storage, on the host (a borrow of host memory exists), initialised.
    unsafe { storage.as_ptr().wrapping_add(offset).read() }
}

/// The bytes of all elements, in memory order, if they are one block.
pub(crate) fn block_bytes<'b>(tensor: &'b Tensor, _held: &'b Borrow<'_>) -> Option<&'b [u8]> {
    let item_bytes = tensor.dtype().item_bytes();
    if !tensor.layout().is_block(item_bytes) {
        return None;
    }
    let Range { start, end } = tensor.layout().byte_range(item_bytes);
    let first = tensor.storage().as_ptr().wrapping_add(start);
    // SAFETY: the bytes of one block are all elements', lie in the storage and are initialised; the
    // borrow, which is of host memory, keeps writers away. If there are none, none is reached.
    Some(unsafe { std::slice::from_raw_parts(first, end - start) })
}
