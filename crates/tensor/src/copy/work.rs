//! What one call of a kernel does.

use super::kernels::Convert;
use super::pair::Axis;
use super::plan::Kernel;

/// One or two axes of a pair of layouts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// The axis along which the destination is densest.
    pub(super) row: Axis,
    /// Another one; one element if there is none.
    pub(super) col: Axis,
    /// Size of an item of the source.
    pub(super) item_bytes: usize,
    /// Whether the result goes past the caches.
    pub(super) stream: bool,
    /// The change of data type.
    pub(super) cast: Option<Cast>,
    /// How short rows are put together before they are streamed.
    pub(super) stage: Option<Stage>,
}

/// How planes are put together until the destination has long runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage {
    /// Moves a plane.
    pub(super) gather: Kernel,
    /// The axis along which the destination goes on where a row, or a plane, ends.
    pub(super) mid: Axis,
    /// Size of a row of the destination.
    pub(super) row_bytes: usize,
    /// What is dense at each index of `col` in the source: an item, or a row.
    pub(super) col_bytes: usize,
}

/// How the data type changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cast {
    /// Converts dense elements.
    pub(super) convert: Convert,
    /// Size of an item of the destination.
    pub(super) item_bytes: usize,
    /// Moves elements into the order of the destination, if they lie otherwise.
    pub(super) gather: Option<Kernel>,
    /// The axis that `gather` splits.
    pub(super) units: Axis,
    /// Elements of each of its units.
    pub(super) per_unit: usize,
    /// Of a plane: whether `gather` splits its rows, not its columns.
    pub(super) gathers_rows: bool,
}
