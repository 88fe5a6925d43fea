//! Copies where the source runs along rows and the target along columns: through square tiles in
//! the block's memory, so that both sides are reached in the order in which they lie.

use bytemuck::{Pod, Zeroable};

use crate::dims::{Divisor, Offsets};
use crate::lane::{Lane, THREADS};
use crate::{Dim, Dims, MAX_DIMS, MAX_ELEMENTS, Width};

/// How many dimensions a transposition can have beside rows and columns.
pub const MAX_BATCH_DIMS: usize = MAX_DIMS - 2;

/// Rows, and columns, of a tile.
pub(crate) const fn tile(item_bytes: usize) -> u32 {
    // Of narrow elements more, so that a row of the tile is at least two sectors of 32 bytes.
    if item_bytes <= 2 { 64 } else { 32 }
}

/// Elements from one row of a tile to the next: a column's elements are in different banks, which
/// are 4 bytes wide.
const fn pitch(item_bytes: usize) -> u32 {
    tile(item_bytes) + if item_bytes < 4 { 4 / item_bytes as u32 } else { 1 }
}

/// Bytes of a block's memory that a tile takes.
pub(crate) const fn tile_bytes(item_bytes: usize) -> u32 {
    tile(item_bytes) * pitch(item_bytes) * item_bytes as u32
}

/// Rows, columns and batch of a transposition, as kernels take them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Tiles {
    rows: Dim,
    cols: Dim,
    row_tiles: Divisor,
    col_tiles: Divisor,
    batch: Dims,
    width: u32,
    blocks: u32,
}

impl Tiles {
    /// For elements of `width`. The source should be dense along `cols`, the target along `rows`:
    /// that makes it fast, nothing else depends on it.
    ///
    /// `None` for more than [`MAX_BATCH_DIMS`] other dimensions, those of length 1 not counted, or
    /// for more than [`MAX_ELEMENTS`] rows, columns, or tiles.
    #[must_use]
    pub fn new(width: Width, rows: Dim, cols: Dim, batch: &[Dim]) -> Option<Self> {
        let batch = Dims::new(batch).filter(|batch| batch.ndim() <= MAX_BATCH_DIMS)?;
        if rows.len() > MAX_ELEMENTS || cols.len() > MAX_ELEMENTS {
            return None;
        }
        let [row_tiles, col_tiles] =
            [rows, cols].map(|dim| dim.len().div_ceil(tile(width.bytes())));
        let tiles = u64::from(row_tiles) * u64::from(col_tiles);
        let blocks = u32::try_from(tiles.checked_mul(batch.len().into())?).ok()?;
        Some(Self {
            rows,
            cols,
            row_tiles: Divisor::new(row_tiles),
            col_tiles: Divisor::new(col_tiles),
            batch,
            width: width as u32,
            blocks: Some(blocks).filter(|&blocks| blocks <= MAX_ELEMENTS)?,
        })
    }

    pub(crate) const fn width(&self) -> Width {
        Width::ALL[self.width as usize]
    }

    /// How many blocks a launch has, one for each tile.
    pub(crate) const fn blocks(&self) -> u32 {
        self.blocks
    }
}

/// One block's tile: where it lies, and this thread's place in it.
struct Tile {
    corner: Offsets,
    first_row: u32,
    first_col: u32,
    x: u32,
    y: u32,
}

impl Tile {
    #[inline(always)]
    fn of<L: Lane, T>(lane: L, tiles: &Tiles) -> Self {
        let (rest, col) = tiles.col_tiles.divide(lane.block());
        let (batch, row) = tiles.row_tiles.divide(rest);
        let [corner] = tiles.batch.locate([batch]);
        let tile = tile(size_of::<T>());
        let (x, y) = (lane.thread() % tile, lane.thread() / tile);
        Self { corner, first_row: row * tile, first_col: col * tile, x, y }
    }

    /// Row of the tile that this thread fills in a step, or column that it empties.
    #[inline(always)]
    fn y_of<T>(&self, step: usize) -> u32 {
        self.y + step as u32 * (THREADS / tile(size_of::<T>()))
    }

    #[inline(always)]
    fn offsets(&self, tiles: &Tiles, row: u32, col: u32) -> Offsets {
        let mut at = self.corner;
        at.step(&tiles.rows, row);
        at.step(&tiles.cols, col);
        at
    }
}

/// Fills the tile, row by row.
///
/// # Safety
/// Each element of `tiles` from `src` can be loaded as a `T`, the block's memory holds a tile, and
/// `STEPS` is [`steps`].
#[inline(always)]
pub(crate) unsafe fn transpose_in<L: Lane, T: Pod, const STEPS: usize>(
    lane: L,
    _: *mut T,
    src: *const T,
    tiles: &Tiles,
) {
    let tile = Tile::of::<L, T>(lane, tiles);
    // Past the end the last element stands in: no load depends on a branch.
    let col = (tile.first_col + tile.x).min(tiles.cols.len() - 1);
    let mut values = [T::zeroed(); STEPS];
    for (step, value) in values.iter_mut().enumerate() {
        let row = (tile.first_row + tile.y_of::<T>(step)).min(tiles.rows.len() - 1);
        let from = src.wrapping_byte_offset(tile.offsets(tiles, row, col).src as isize);
        // SAFETY: an element of the source, promised by the caller.
        *value = unsafe { lane.load(from) };
    }
    for (step, value) in values.into_iter().enumerate() {
        let place = tile.y_of::<T>(step) * pitch(size_of::<T>()) + tile.x;
        // SAFETY: a place in the tile, which has one thread.
        unsafe { lane.shared_store(place, value) }
    }
}

/// Empties the tile, column by column.
///
/// # Safety
/// After a barrier after [`transpose_in`]. Each element of `tiles` from `dst` can be stored as a
/// `T` by one thread alone.
#[inline(always)]
pub(crate) unsafe fn transpose_out<L: Lane, T: Pod, const STEPS: usize>(
    lane: L,
    dst: *mut T,
    _: *const T,
    tiles: &Tiles,
) {
    let tile = Tile::of::<L, T>(lane, tiles);
    let row = tile.first_row + tile.x;
    for step in 0..STEPS {
        let y = tile.y_of::<T>(step);
        let col = tile.first_col + y;
        if row < tiles.rows.len() && col < tiles.cols.len() {
            // SAFETY: a place in the tile, filled before the barrier.
            let value: T = unsafe { lane.shared_load(tile.x * pitch(size_of::<T>()) + y) };
            let to = dst.wrapping_byte_offset(tile.offsets(tiles, row, col).dst as isize);
            // SAFETY: an element of the target, promised by the caller; one thread has it.
            unsafe { lane.store(to, value) }
        }
    }
}

/// Elements of a tile per thread.
pub(crate) const fn steps(item_bytes: usize) -> usize {
    (tile(item_bytes) * tile(item_bytes) / THREADS) as usize
}
