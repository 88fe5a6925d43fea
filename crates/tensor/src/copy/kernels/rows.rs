//! Rows that are dense on both sides, one or many.

use std::ops::Range;
use std::ptr;

use super::super::work::{Along, Work};
use super::stream::stream_bytes;
use super::vector::Vector;

/// Rows from this length on are worth streaming: their first and last line go through the cache.
const SHORTEST_STREAMED: usize = 512;

/// One block; the range is one of its bytes.
///
/// # Safety
/// As [`Kernel`](super::super::work::Kernel), with bytes that are dense on both sides. The processor
/// has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn block<V: Vector>(
    work: &Work,
    from: *const u8,
    to: *mut u8,
    bytes: Range<usize>,
) {
    let (from, to) = (from.wrapping_add(bytes.start), to.wrapping_add(bytes.start));
    if work.stream {
        // SAFETY: promised by the caller; the sides do not overlap.
        unsafe { stream_bytes::<V>(from, to, bytes.len()) }
    } else {
        // SAFETY: as above.
        unsafe { ptr::copy_nonoverlapping(from, to, bytes.len()) }
    }
}

/// The rows of the range, `row.len` bytes each.
///
/// # Safety
/// As [`Kernel`](super::super::work::Kernel), with bytes that are dense along `row`. The processor
/// has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn rows<V: Vector>(
    work: &Work,
    from: *const u8,
    to: *mut u8,
    rows: Range<usize>,
) {
    let bytes = work.row.len;
    if work.stream && bytes >= SHORTEST_STREAMED {
        for row in rows {
            let (from, to) = work.col.at(from, to, row);
            // SAFETY: a row.
            unsafe { stream_bytes::<V>(from, to, bytes) };
        }
        return;
    }
    match bytes {
        // SAFETY: promised by the caller, here and below.
        65..=511 => unsafe { rows_in_pieces(work, from, to, rows) },
        // SAFETY: as above.
        32..=64 => unsafe { short_rows::<32>(work, from, to, rows) },
        // SAFETY: as above.
        16..=31 => unsafe { short_rows::<16>(work, from, to, rows) },
        // SAFETY: as above.
        8..=15 => unsafe { short_rows::<8>(work, from, to, rows) },
        // SAFETY: as above.
        4..=7 => unsafe { short_rows::<4>(work, from, to, rows) },
        // SAFETY: as above.
        _ => unsafe { any_rows(work, from, to, rows) },
    }
}

/// Rows of `HALF` to twice as many bytes: two pieces that may overlap.
///
/// # Safety
/// As [`rows`].
#[inline(always)]
unsafe fn short_rows<const HALF: usize>(
    work: &Work,
    from: *const u8,
    to: *mut u8,
    rows: Range<usize>,
) {
    let second = work.row.len - HALF;
    for row in rows {
        let (from, to) = work.col.at(from, to, row);
        // SAFETY: the first bytes of a row.
        let head = unsafe { from.cast::<[u8; HALF]>().read_unaligned() };
        // SAFETY: its last ones.
        let tail = unsafe { from.wrapping_add(second).cast::<[u8; HALF]>().read_unaligned() };
        // SAFETY: the first bytes of a row.
        unsafe { to.cast::<[u8; HALF]>().write_unaligned(head) };
        // SAFETY: its last ones.
        unsafe { to.wrapping_add(second).cast::<[u8; HALF]>().write_unaligned(tail) };
    }
}

/// Rows of a few cache lines, in pieces of half a line: wider ones would cross more lines.
///
/// # Safety
/// As [`rows`], for rows of a piece or more.
#[inline(always)]
unsafe fn rows_in_pieces(work: &Work, from: *const u8, to: *mut u8, rows: Range<usize>) {
    const PIECE: usize = 32;
    let last = work.row.len - PIECE;
    for row in rows {
        let (from, to) = work.col.at(from, to, row);
        // The last piece may overlap the one before.
        for at in (0..last).step_by(PIECE).chain([last]) {
            let (from, to) = (from.wrapping_add(at), to.wrapping_add(at));
            // SAFETY: a piece of a row.
            let piece = unsafe { from.cast::<[u8; PIECE]>().read_unaligned() };
            // SAFETY: as above.
            unsafe { to.cast::<[u8; PIECE]>().write_unaligned(piece) };
        }
    }
}

/// # Safety
/// As [`rows`].
#[inline(always)]
unsafe fn any_rows(work: &Work, from: *const u8, to: *mut u8, rows: Range<usize>) {
    for row in rows {
        let (from, to) = work.col.at(from, to, row);
        // SAFETY: a row of both sides, which do not overlap.
        unsafe { ptr::copy_nonoverlapping(from, to, work.row.len) };
    }
}
