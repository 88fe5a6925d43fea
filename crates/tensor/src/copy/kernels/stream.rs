//! Copies past the caches.

use super::vector::{LINE, Vector};

/// Rows of the destination from this length on are streamed as they are: their first and last line go
/// through the caches.
pub(in super::super) const SHORT_ROW: usize = 16 * LINE;

/// Copies bytes: whole cache lines of the destination past the caches, what is left through them.
///
/// # Safety
/// Both sides have `len` bytes, which do not overlap. The processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn stream_bytes<V: Vector>(from: *const u8, to: *mut u8, len: usize) {
    let head = (to.addr().wrapping_neg() % LINE).min(len);
    let lines_end = len - (len - head) % LINE;
    // SAFETY: the bytes before the first whole line.
    unsafe { std::ptr::copy_nonoverlapping(from, to, head) };
    for at in (head..lines_end).step_by(LINE) {
        // SAFETY: a whole line.
        unsafe { stream_line::<V>(from.wrapping_add(at), to.wrapping_add(at)) };
    }
    let (from, to) = (from.wrapping_add(lines_end), to.wrapping_add(lines_end));
    // SAFETY: the bytes after the last whole line.
    unsafe { std::ptr::copy_nonoverlapping(from, to, len - lines_end) };
}

/// # Safety
/// As [`stream_bytes`], for a cache line.
#[inline(always)]
unsafe fn stream_line<V: Vector>(from: *const u8, to: *mut u8) {
    for part in (0..LINE).step_by(V::BYTES) {
        // SAFETY: a part of the line.
        let bytes = unsafe { V::load(from.wrapping_add(part)) };
        // SAFETY: as above; a line is aligned to every vector.
        unsafe { bytes.stream(to.wrapping_add(part)) };
    }
}
