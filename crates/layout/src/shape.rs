//! Lengths and strides, and how many there can be.

use smallvec::SmallVec;

/// The largest number of axes, NumPy's own limit.
pub const MAX_NDIM: usize = 64;

pub(crate) type Shape = SmallVec<[usize; 4]>;
pub(crate) type Strides = SmallVec<[isize; 4]>;
