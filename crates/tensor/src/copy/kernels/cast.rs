//! Kernels that change the data type: elements are gathered into a small block in the order of the
//! destination where they lie otherwise, and converted from there.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::super::work::{Along, Cast, Work};
use super::channels::chunk_len;
use super::stream::stream_bytes;
use super::vector::Vector;

/// Elements that are gathered or converted at once.
const ITEMS: usize = 512;

/// The largest item.
const ITEM: usize = 16;

#[repr(align(64))]
struct Chunk {
    _bytes: [u8; ITEMS * ITEM],
}

/// A dense run of the destination: `per_unit` elements for each of the range of the axis that the
/// gathering kernel splits.
///
/// # Safety
/// As [`Kernel`](super::super::work::Kernel), for a work with a cast whose destination is dense. The
/// processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn cast_run<V: Vector>(
    work: &Work,
    from: *const u8,
    to: *mut u8,
    units: Range<usize>,
) {
    let Some(cast) = work.cast else { return };
    let unit_bytes = cast.per_unit * cast.item_bytes;
    if !work.stream && cast.gather.is_none() {
        let (from, to) = (
            from.wrapping_add(units.start * work.item_bytes),
            to.wrapping_add(units.start * unit_bytes),
        );
        // SAFETY: dense on both sides, promised by the caller.
        return unsafe { (cast.convert)(from, to, units.len()) };
    }
    let mut gathered = MaybeUninit::<Chunk>::uninit();
    let gathered = gathered.as_mut_ptr().cast::<u8>();
    let mut start = units.start;
    while start < units.end {
        let to = to.wrapping_add(start * unit_bytes);
        let room = ITEMS * cast.item_bytes;
        let len = chunk_len(room, to, unit_bytes, units.end - start);
        let elements = match cast.gather {
            None => from.wrapping_add(start * work.item_bytes),
            Some(gather) => {
                let from = cast.units.at(from, gathered, start).0;
                let inner = Work { stream: false, ..*work };
                // SAFETY: elements of the range, to a chunk with room for as many.
                unsafe { inner.by(gather, from, gathered, 0..len) };
                gathered.cast_const()
            }
        };
        // SAFETY: as many elements as the destination has from there on.
        unsafe { convert_to::<V>(work, cast, elements, to, len * cast.per_unit) };
        start += len;
    }
}

/// Converts up to [`ITEMS`] elements.
///
/// # Safety
/// `elements` are so many, `to` has room for them; the processor has the instructions of `V`.
#[inline(always)]
unsafe fn convert_to<V: Vector>(
    work: &Work,
    cast: Cast,
    elements: *const u8,
    to: *mut u8,
    len: usize,
) {
    if !work.stream {
        // SAFETY: promised by the caller.
        return unsafe { (cast.convert)(elements, to, len) };
    }
    let mut converted = MaybeUninit::<Chunk>::uninit();
    let converted = converted.as_mut_ptr().cast::<u8>();
    // SAFETY: a chunk with room for as many.
    unsafe { (cast.convert)(elements, converted, len) };
    // SAFETY: the filled part of the chunk.
    unsafe { stream_bytes::<V>(converted, to, len * cast.item_bytes) };
}

/// The columns of the range of a plane, that the gathering kernel turns: tiles of few columns, each
/// with a run of rows.
///
/// # Safety
/// As [`Kernel`](super::super::work::Kernel), for a work with a cast and a plane that is dense
/// along `row` in the destination, along `col` in the source. The processor has the instructions of
/// `V`.
#[inline(always)]
pub(super) unsafe fn cast_plane<V: Vector>(
    work: &Work,
    from: *const u8,
    to: *mut u8,
    rows: Range<usize>,
) {
    let Some((cast, gather)) = work.cast.and_then(|cast| Some((cast, cast.gather?))) else {
        return;
    };
    let mut tile = MaybeUninit::<[Chunk; 2]>::uninit();
    let tile = tile.as_mut_ptr().cast::<u8>();
    let tile_cols = work.col.len.min(64 / work.item_bytes);
    let most = 2 * ITEMS * ITEM / (tile_cols * work.item_bytes);
    let room = most.min(ITEMS) * cast.item_bytes;
    let mut row = rows.start;
    while row < rows.end {
        let (from, to) = work.row.at(from, to, row);
        let len = chunk_len(room, to, cast.item_bytes, rows.end - row);
        for start in (0..work.col.len).step_by(tile_cols) {
            let cols = tile_cols.min(work.col.len - start);
            let (from, to) = work.col.at(from, to, start);
            let mut inner = Work { stream: false, ..*work };
            (inner.row.len, inner.row.destination) = (len, work.item_bytes as isize);
            (inner.col.len, inner.col.destination) = (cols, (len * work.item_bytes) as isize);
            let units = if cast.gathers_rows { len } else { cols };
            // SAFETY: a tile of the plane, to room for it.
            unsafe { inner.by(gather, from, tile, 0..units) };
            for col in 0..cols {
                let elements = tile.wrapping_add(col * len * work.item_bytes);
                let to = work.col.at(from, to, col).1;
                // SAFETY: one column of the tile.
                unsafe { convert_to::<V>(work, cast, elements, to, len) };
            }
        }
        row += len;
    }
}
