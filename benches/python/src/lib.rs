//! Contenders of the boundary benchmark, as Python functions. `run.py` builds, checks and times them.
//!
//! Every function that takes an array does the same little work, so that the time is the way in:
//! it answers the first element, plus 1 if the array is square. The answer is a small integer, which
//! Python keeps ready-made, whatever the size of the array.

mod dlpark_peer;
#[cfg(feature = "ndbridge")]
mod ours;
mod rust_numpy;

use pyo3::prelude::*;

/// Takes any object and does nothing: what a call costs by itself.
#[pyfunction]
fn empty(_object: &Bound<'_, PyAny>) {}

#[pymodule]
mod boundary {
    #[pymodule_export]
    use super::dlpark_peer::dlpark_read;
    #[pymodule_export]
    use super::empty;
    #[cfg(feature = "ndbridge")]
    #[pymodule_export]
    use super::ours::{
        ndbridge_detach, ndbridge_hold, ndbridge_new_numpy, ndbridge_new_torch, ndbridge_read,
        ndbridge_write,
    };
    #[pymodule_export]
    use super::rust_numpy::{
        rust_numpy_into, rust_numpy_read, rust_numpy_untracked, rust_numpy_write, rust_numpy_zeros,
    };
}

/// What every element of every array is. Contenders that write store it again.
const FILL: f32 = 2.0;

/// The answer of every contender that takes an array.
fn answer(shape: [usize; 2], first: f32) -> usize {
    first as usize + usize::from(shape[0] == shape[1])
}
