//! Planes with short rows, put together in a block until the runs of the destination are long enough to
//! be streamed.
//!
//! ```text
//! destination  .. | col | .. | mid | row |    mid and row are one run: the block has a few columns of it
//! destination  ..      | mid | col | row |    the plane is a part of the run
//! ```

use std::mem::MaybeUninit;
use std::ops::Range;

use ndbridge_layout::WalkAxis;

use super::super::work::{Along, Stage, Work};
use super::stream::stream_bytes;
use super::vector::{LINE, Vector};

/// What the second-level cache holds, beside the lines that the planes are read from.
const BLOCK: usize = 64 << 10;

/// Source bytes of a block that are read one after the other.
const PIECE: usize = 16 * LINE;

#[repr(align(64))]
struct Staging {
    _bytes: [u8; BLOCK],
}

/// The planes of the range of `mid`, each moved by the kernel of the stage.
///
/// # Safety
/// As [`Kernel`](super::super::work::Kernel), for a work with a stage. The processor has the
/// instructions of `V`.
#[inline(always)]
pub(super) unsafe fn staged<V: Vector>(
    work: &Work,
    from: *const u8,
    to: *mut u8,
    mids: Range<usize>,
) {
    let Some(stage) = work.stage else { return };
    let mut block = MaybeUninit::<Staging>::uninit();
    let block = block.as_mut_ptr().cast::<u8>();
    let Stage { row_bytes, mid, .. } = stage;
    let is_one_run = work.col.destination == row_bytes as isize;
    let most_cols = if is_one_run { work.col.len } else { PIECE / stage.col_bytes };
    let cols = most_cols.clamp(1, BLOCK / row_bytes).min(work.col.len);
    let most = BLOCK / (row_bytes * cols);
    // In equal parts.
    let planes = mids.len().div_ceil(mids.len().div_ceil(most));
    for first in mids.clone().step_by(planes) {
        let planes = planes.min(mids.end - first);
        for start in (0..work.col.len).step_by(cols) {
            let (from, to) = mid.at(from, to, first);
            let (from, to) = work.col.at(from, to, start);
            let cols = cols.min(work.col.len - start);
            let (plane_step, col_step) = if is_one_run {
                (cols * row_bytes, row_bytes)
            } else {
                (row_bytes, planes * row_bytes)
            };
            let col = WalkAxis { len: cols, destination: col_step as isize, ..work.col };
            let inner = Work { stream: false, stage: None, col, ..*work };
            for plane in 0..planes {
                ask_for::<V>(&inner, stage, mid.at(from, to, plane + 2).0);
                let (from, to) =
                    (mid.at(from, to, plane).0, block.wrapping_add(plane * plane_step));
                // SAFETY: a part of a plane, to its places in the block.
                unsafe { inner.by(stage.gather, from, to, 0..cols) };
            }
            let (runs, run) = if is_one_run { (1, cols) } else { (cols, 1) };
            let run = run * planes * row_bytes;
            for col in 0..runs {
                let to = work.col.at(from, to, col).1;
                // SAFETY: a run that was filled.
                unsafe { stream_bytes::<V>(block.wrapping_add(col * run), to, run) };
            }
        }
    }
}

/// Says that a part of a plane will be read.
#[inline(always)]
fn ask_for<V: Vector>(work: &Work, stage: Stage, from: *const u8) {
    let is_rows = stage.col_bytes == stage.row_bytes;
    let (pieces, bytes) = if is_rows {
        (work.col, stage.row_bytes)
    } else {
        (work.row, work.col.len * stage.col_bytes)
    };
    for piece in 0..pieces.len {
        let from = from.wrapping_offset(pieces.source.wrapping_mul(piece as isize));
        for line in (0..from.addr() % LINE + bytes).step_by(LINE) {
            V::prefetch(from.wrapping_add(line));
        }
    }
}
