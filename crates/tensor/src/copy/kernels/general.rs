//! Element by element.

use std::ops::Range;
use std::ptr;

use super::super::work::{Along, Work};

/// The elements of the range of `col`, each a run along `row`.
///
/// # Safety
/// As [`Kernel`](super::super::work::Kernel), with items of `B` bytes.
pub(super) unsafe fn general<const B: usize>(
    work: &Work,
    from: *const u8,
    to: *mut u8,
    cols: Range<usize>,
) {
    for col in cols {
        let (mut from, mut to) = work.col.at(from, to, col);
        for _ in 0..work.row.len {
            // SAFETY: one element of each side.
            unsafe { ptr::copy_nonoverlapping(from, to, B) };
            from = from.wrapping_offset(work.row.source);
            to = to.wrapping_offset(work.row.destination);
        }
    }
}
