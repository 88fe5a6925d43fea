//! One entry of a NumPy index.

use core::ops::{Range, RangeFrom, RangeFull, RangeTo};

/// One entry of a basic NumPy index, as in `a[3, 1:8:2, None, ...]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Index {
    /// One element of an axis, which is dropped; negative counts from the end.
    At(isize),
    /// A slice with Python's meaning: bounds are clamped, negative ones count from the end, and a
    /// negative step walks backwards from `start` to before `stop`.
    Slice {
        /// The first element; the first one walked over if `None`.
        start: Option<isize>,
        /// Where to stop, itself not included; past the last one if `None`.
        stop: Option<isize>,
        /// The step, not 0.
        step: isize,
    },
    /// A new axis of length 1.
    NewAxis,
    /// All axes that the other entries do not name.
    Ellipsis,
}

impl Index {
    /// The whole axis, `:`.
    pub const FULL: Self = Self::Slice { start: None, stop: None, step: 1 };
}

impl From<isize> for Index {
    fn from(index: isize) -> Self {
        Self::At(index)
    }
}

impl From<Range<isize>> for Index {
    fn from(range: Range<isize>) -> Self {
        Self::Slice { start: Some(range.start), stop: Some(range.end), step: 1 }
    }
}

impl From<RangeFrom<isize>> for Index {
    fn from(range: RangeFrom<isize>) -> Self {
        Self::Slice { start: Some(range.start), stop: None, step: 1 }
    }
}

impl From<RangeTo<isize>> for Index {
    fn from(range: RangeTo<isize>) -> Self {
        Self::Slice { start: None, stop: Some(range.end), step: 1 }
    }
}

impl From<RangeFull> for Index {
    fn from(_: RangeFull) -> Self {
        Self::FULL
    }
}
