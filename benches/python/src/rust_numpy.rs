//! rust-numpy.

use numpy::prelude::*;
use numpy::{PyArray2, PyReadonlyArray2, PyReadwriteArray2};
use pyo3::prelude::*;

use crate::{FILL, answer};

/// Borrowed for reading.
#[pyfunction]
pub fn rust_numpy_read(array: PyReadonlyArray2<'_, f32>) -> usize {
    let view = array.as_array();
    answer([view.nrows(), view.ncols()], view[[0, 0]])
}

/// Borrowed for writing; the first element is stored again.
#[pyfunction]
pub fn rust_numpy_write(mut array: PyReadwriteArray2<'_, f32>) -> usize {
    let mut view = array.as_array_mut();
    let first = view[[0, 0]];
    view[[0, 0]] = FILL;
    answer([view.nrows(), view.ncols()], first)
}

/// Type and dtype checked, nothing borrowed: reading elements would be unsafe.
#[pyfunction]
pub fn rust_numpy_untracked(array: &Bound<'_, PyArray2<f32>>) -> usize {
    let &[rows, columns] = array.shape() else { return 0 };
    answer([rows, columns], 0.0)
}

/// A new array in NumPy's memory.
#[pyfunction]
pub fn rust_numpy_zeros(py: Python<'_>) -> Bound<'_, PyArray2<f32>> {
    PyArray2::zeros(py, [2, 2], false)
}

/// A new array in Rust's memory.
#[pyfunction]
pub fn rust_numpy_into(py: Python<'_>) -> Bound<'_, PyArray2<f32>> {
    ndarray::Array2::zeros((2, 2)).into_pyarray(py)
}
