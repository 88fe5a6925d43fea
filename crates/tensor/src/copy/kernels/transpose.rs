//! Rows to columns.
//!
//! ```text
//!              col ->                          row ->
//! source       a b c d ..    destination       a e ..
//!   row |      e f g h ..      col |           b f ..
//!       v      ..                  v           ..
//! ```
//!
//! Both sides are walked in squares of whole cache lines, turned in registers. Each is first put
//! together in a small block: where the rows are a multiple of 4 KiB apart, the first-level cache
//! holds eight of their lines at once and a square has up to 64.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::super::work::Work;
use super::stream::{SHORT_ROW, stream_bytes};
use super::vector::{LINE, Vector};

/// Squares of a tile along a row of the source and of the destination.
#[derive(Clone, Copy)]
struct Tile {
    cols: usize,
    rows: usize,
}

/// Streamed lines are gone at once: a few of a row of the destination, one after the other, and then the
/// next row of the source's lines, which were asked for.
const STREAMED: Tile = Tile { cols: 1, rows: 4 };

/// What stays in the cache until its neighbours are written: the lines of few pages on both sides.
const CACHED: Tile = Tile { cols: 16, rows: 4 };

/// Lines so far apart share few sets of the first-level cache: there it is best to write along the rows
/// of the destination.
const FEW_SETS: isize = 2048;
const IN_FEW_SETS: Tile = Tile { cols: 1, rows: 64 };

/// How far the source is asked for ahead of the reads, in bytes.
const AHEAD: usize = 2 * LINE;

/// Squares that are put together where rows of the destination do not begin with a cache line.
const BAND_BYTES: usize = 64 << 10;

/// A part of the plane: its first element on both sides, and the steps between its lines.
#[derive(Clone, Copy)]
struct Plane {
    from: *const u8,
    to: *mut u8,
    /// Between the rows of the source.
    source: isize,
    /// Between the rows of the destination.
    destination: isize,
}

impl Plane {
    #[inline(always)]
    fn at<const B: usize>(self, row: usize, col: usize) -> Self {
        let source = self.source.wrapping_mul(row as isize).wrapping_add((col * B) as isize);
        let destination =
            self.destination.wrapping_mul(col as isize).wrapping_add((row * B) as isize);
        let (from, to) = (self.from.wrapping_offset(source), self.to.wrapping_offset(destination));
        Self { from, to, ..self }
    }
}

/// Turns the columns `cols` of the plane.
///
/// # Safety
/// As [`Kernel`](super::super::work::Kernel); items of `B` bytes are dense along `row` in the
/// destination, along `col` in the source. The processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn transpose<V: Vector, const B: usize>(
    work: &Work,
    from: *const u8,
    to: *mut u8,
    cols: Range<usize>,
) {
    let (source, destination) = (work.row.source, work.col.destination);
    let plane = Plane { from, to, source, destination };
    let (rows, side) = (work.row.len, LINE / B);
    let stream = work.stream && rows * B >= SHORT_ROW;
    let first = until_line::<B>(to.cast_const(), destination);
    let first_row = first.unwrap_or(0).min(rows);
    let first_col = until_line::<B>(from.wrapping_add(cols.start * B), source).unwrap_or(0);
    let first_col = cols.start + if cols.len() < 8 * side { 0 } else { first_col };
    let last_row = rows - (rows - first_row) % side;
    let last_col = cols.end - (cols.end - first_col) % side;
    let (inner_rows, inner_cols) = (first_row..last_row, first_col..last_col);
    let tile = if destination % FEW_SETS == 0 { IN_FEW_SETS } else { CACHED };
    match (stream, first) {
        // SAFETY: a part of the plane, whole squares of it.
        (false, _) => unsafe { tiles::<V, B, false>(plane, inner_rows, inner_cols, tile) },
        // SAFETY: as above; every line of the destination begins with a cache line.
        (true, Some(_)) => unsafe { tiles::<V, B, true>(plane, inner_rows, inner_cols, STREAMED) },
        // SAFETY: as above.
        (true, None) => unsafe { bands::<V, B>(plane, inner_rows, inner_cols) },
    }
    for (rows, cols) in [
        (0..first_row, cols.clone()),
        (last_row..rows, first_col..last_col),
        (first_row..rows, cols.start..first_col),
        (first_row..rows, last_col..cols.end),
    ] {
        // SAFETY: a part of the plane.
        unsafe { rim::<V, B>(plane, rows, cols) };
    }
}

/// Items before each line of a side begins a cache line, if all lines do at the same item.
fn until_line<const B: usize>(start: *const u8, step: isize) -> Option<usize> {
    let bytes = start.addr().wrapping_neg() % LINE;
    let is_same = step.unsigned_abs().is_multiple_of(LINE) && bytes.is_multiple_of(B);
    is_same.then_some(bytes / B)
}

/// Whole squares, tile by tile.
///
/// # Safety
/// As [`transpose`], for this part; where it streams, destination lines begin with cache lines.
#[inline(always)]
unsafe fn tiles<V: Vector, const B: usize, const STREAM: bool>(
    plane: Plane,
    rows: Range<usize>,
    cols: Range<usize>,
    tile: Tile,
) {
    let side = LINE / B;
    for row_start in rows.clone().step_by(tile.rows * side) {
        let row_end = rows.end.min(row_start + tile.rows * side);
        for col_start in cols.clone().step_by(tile.cols * side) {
            let col_end = cols.end.min(col_start + tile.cols * side);
            for row in (row_start..row_end).step_by(side) {
                for col in (col_start..col_end).step_by(side) {
                    // SAFETY: a square inside of the part.
                    unsafe { square::<V, B, STREAM>(plane.at::<B>(row, col)) };
                }
            }
        }
    }
}

/// Whole squares, bands of [`BAND_BYTES`] of them into a block whose lines are then streamed. What a band
/// writes ends with a cache line, in each row of the destination at another place: so it reads one
/// square more than it is high.
///
/// # Safety
/// As [`transpose`], for this part.
#[inline(always)]
unsafe fn bands<V: Vector, const B: usize>(plane: Plane, rows: Range<usize>, cols: Range<usize>) {
    let side = LINE / B;
    let together = BAND_BYTES / (LINE * side);
    let mut block = MaybeUninit::<[Lines; BAND_BYTES / size_of::<Lines>() + 1]>::uninit();
    let block = block.as_mut_ptr().cast::<u8>();
    let line_step = (together + 1) * LINE;
    for row in rows.clone().step_by(together * side) {
        let end = rows.end.min(row + together * side);
        let read_end = rows.end.min(end + side);
        for col in cols.clone().step_by(side) {
            let place = plane.at::<B>(row, col);
            let inner = Plane { destination: line_step as isize, ..place };
            for part in (0..read_end - row).step_by(side) {
                let from = place.at::<B>(part, 0).from;
                let to = block.wrapping_add(part * B);
                // SAFETY: a square inside of the part, to its lines of the block.
                unsafe { square::<V, B, false>(Plane { from, to, ..inner }) };
            }
            for line in 0..side {
                let to = place.at::<B>(0, line).to;
                let until_line = to.addr().wrapping_neg() % LINE;
                let first = if row == rows.start { 0 } else { until_line };
                let last = if read_end == end { 0 } else { until_line };
                let (start, bytes) = (line * line_step + first, (end - row) * B + last - first);
                let from = block.wrapping_add(start).cast_const();
                // SAFETY: a part of a line that was filled, to a row of the part.
                unsafe { stream_bytes::<V>(from, to.wrapping_add(first), bytes) };
            }
        }
    }
}

#[repr(align(64))]
struct Lines {
    _bytes: [u8; LINE * LINE],
}

/// A square of whole cache lines, by way of a block in the first-level cache.
///
/// # Safety
/// As [`tiles`], for this square.
#[inline(always)]
unsafe fn square<V: Vector, const B: usize, const STREAM: bool>(place: Plane) {
    let mut block = MaybeUninit::<Lines>::uninit();
    let block = block.as_mut_ptr().cast::<u8>();
    let rows = 16 / B;
    for row in 0..LINE / B {
        let from = place.at::<B>(row, 0).from;
        V::prefetch(from.wrapping_add(AHEAD));
        if lies_by_strips::<B>() {
            let to = block.wrapping_add(row % rows * LINE + row / rows * 16);
            for strip in 0..LINE / 16 {
                // SAFETY: a part of a row of the square.
                let bytes = unsafe { V::Lane::load(from.wrapping_add(16 * strip)) };
                // SAFETY: the block has room for it.
                unsafe { bytes.store(to.wrapping_add(strip * rows * LINE)) };
            }
        } else {
            for part in (0..LINE).step_by(V::BYTES) {
                // SAFETY: a part of a row of the square.
                let bytes = unsafe { V::load(from.wrapping_add(part)) };
                // SAFETY: the block has room for it.
                unsafe { bytes.store(block.wrapping_add(row * LINE + part)) };
            }
        }
    }
    for strip in 0..LINE / 16 {
        let start = if lies_by_strips::<B>() { strip * rows * LINE } else { strip * 16 };
        let place = Plane { from: block.wrapping_add(start), ..place.at::<B>(0, strip * rows) };
        // SAFETY: four strips are the square.
        unsafe { strip_of_square::<V, B, STREAM>(place) };
    }
}

/// Whether the block holds strip after strip, of each the lanes of a vector side by side. That takes four
/// stores for each line, and saves putting vectors together, which is most of what few rows cost.
const fn lies_by_strips<const B: usize>() -> bool {
    B >= 4
}

/// As many columns as 16 bytes hold, from the block to whole cache lines.
///
/// # Safety
/// As [`square`], for this strip.
#[inline(always)]
unsafe fn strip_of_square<V: Vector, const B: usize, const STREAM: bool>(place: Plane) {
    let rows_of_lane = 16 / B * LINE;
    // SAFETY: the strip's first rows.
    let mut parts = [unsafe { turned::<V, B>(place.from, LINE as isize, rows_of_lane) }; 4];
    for (part, start) in (V::BYTES..LINE).step_by(V::BYTES).enumerate() {
        let lanes = if lies_by_strips::<B>() { start } else { start / 16 * rows_of_lane };
        let from = place.from.wrapping_add(lanes);
        // SAFETY: the rows from there on.
        parts[part + 1] = unsafe { turned::<V, B>(from, LINE as isize, rows_of_lane) };
    }
    for col in 0..16 / B {
        let to = place.at::<B>(0, col).to;
        for (part, columns) in parts.iter().enumerate().take(LINE / V::BYTES) {
            let (bytes, to) = (columns[col], to.wrapping_add(part * V::BYTES));
            if STREAM {
                // SAFETY: a part of a cache line, promised by the caller.
                unsafe { bytes.stream(to) };
            } else {
                // SAFETY: a part of a line of the destination.
                unsafe { bytes.store(to) };
            }
        }
    }
}

/// As many columns as 16 bytes hold, each a vector of rows `step` bytes apart.
///
/// Zipping the halves of a list of rows, and of the result, and so on, turns them.
///
/// # Safety
/// The rows of 16 bytes are readable; the processor has the instructions of `V`.
#[inline(always)]
unsafe fn turned<V: Vector, const B: usize>(from: *const u8, step: isize, lanes: usize) -> [V; 16] {
    let side = 16 / B;
    let load = |row: usize| {
        let from = from.wrapping_offset(step.wrapping_mul(row as isize));
        if lies_by_strips::<B>() {
            // SAFETY: a row of each lane, side by side.
            unsafe { V::load(from) }
        } else {
            // SAFETY: a row of each lane.
            unsafe { V::load_lanes(from, lanes as isize) }
        }
    };
    let mut rows = [load(0); 16];
    for (row, bytes) in rows.iter_mut().enumerate().take(side).skip(1) {
        *bytes = load(row);
    }
    let mut zipped = 1;
    while zipped < side {
        let before = rows;
        for pair in 0..side / 2 {
            let (one, other) = (before[pair], before[pair + side / 2]);
            rows[2 * pair] = one.zip_low::<B>(other);
            rows[2 * pair + 1] = one.zip_high::<B>(other);
        }
        zipped *= 2;
    }
    rows
}

/// A part of the plane in squares of 16 bytes, the last of which may overlap, or item by item.
///
/// # Safety
/// As [`transpose`], for this part.
#[inline(always)]
unsafe fn rim<V: Vector, const B: usize>(plane: Plane, rows: Range<usize>, cols: Range<usize>) {
    let side = 16 / B;
    if rows.is_empty() || cols.is_empty() {
        return;
    }
    if rows.len() < side || cols.len() < side {
        // SAFETY: promised by the caller.
        return unsafe { items::<B>(plane, rows, cols) };
    }
    for col in cols.clone().step_by(side) {
        for row in rows.clone().step_by(side) {
            let place = plane.at::<B>(row.min(rows.end - side), col.min(cols.end - side));
            // SAFETY: a square inside of the part.
            let lines = unsafe { turned::<V::Lane, B>(place.from, place.source, 0) };
            for (col, line) in lines.iter().enumerate().take(side) {
                // SAFETY: a line of that square.
                unsafe { line.store(place.at::<B>(0, col).to) };
            }
        }
    }
}

/// # Safety
/// As [`transpose`], for this part.
#[inline(always)]
unsafe fn items<const B: usize>(plane: Plane, rows: Range<usize>, cols: Range<usize>) {
    for col in cols {
        for row in rows.clone() {
            let Plane { from, to, .. } = plane.at::<B>(row, col);
            // SAFETY: one element of the part.
            unsafe { std::ptr::copy_nonoverlapping(from, to, B) };
        }
    }
}
