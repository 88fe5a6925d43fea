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
