//! ndbridge.

use ndbridge::python::{Any, Arg, ArgMut, Detach, ToNumpy, ToTorch, hold, to_py_err};
use ndbridge::{DType, Tensor};
use pyo3::prelude::*;

use crate::{FILL, answer};

/// Borrowed for reading.
#[pyfunction]
pub fn ndbridge_read(array: Arg<'_, f32, (Any, Any)>) -> usize {
    answer([array.nrows(), array.ncols()], array[[0, 0]])
}

/// Borrowed for writing; the first element is stored again.
#[pyfunction]
pub fn ndbridge_write(mut array: ArgMut<'_, f32, (Any, Any)>) -> usize {
    let first = array[[0, 0]];
    array[[0, 0]] = FILL;
    answer([array.nrows(), array.ncols()], first)
}

/// Borrowed for reading, and held as for other threads.
#[pyfunction]
pub fn ndbridge_hold(py: Python<'_>, array: Arg<'_, f32, (Any, Any)>) -> PyResult<usize> {
    let _held = hold(py, &[&array])?;
    Ok(answer([array.nrows(), array.ncols()], array[[0, 0]]))
}

/// Borrowed for reading, read without the GIL.
#[pyfunction]
pub fn ndbridge_detach(py: Python<'_>, array: Arg<'_, f32, (Any, Any)>) -> PyResult<usize> {
    array.detach(py, |array| answer([array.nrows(), array.ncols()], array[[0, 0]]))
}

/// A new array, NumPy's over our memory.
#[pyfunction]
pub fn ndbridge_new_numpy() -> PyResult<ToNumpy> {
    Ok(ToNumpy(zeros()?))
}

/// A new tensor, torch's over our memory.
#[pyfunction]
pub fn ndbridge_new_torch() -> PyResult<ToTorch> {
    Ok(ToTorch(zeros()?))
}

fn zeros() -> PyResult<Tensor> {
    Tensor::zeros(&[2, 2], DType::F32).map_err(to_py_err)
}
