//! What one call of a kernel does.

use super::pair::Axis;

/// One or two axes of a pair of layouts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// The axis along which the destination is densest.
    pub(super) row: Axis,
    /// Another one; one element if there is none.
    pub(super) col: Axis,
    pub(super) item_bytes: usize,
    /// Whether the result goes past the caches.
    pub(super) stream: bool,
}
