//! Files that this module maps itself.

use std::path::PathBuf;

use ndbridge::npy::{self, MapMode};
use ndbridge::python::{ArrayError, to_py_err};
use pyo3::prelude::*;

/// The sum of an .npy file, read through a map of its own, without the GIL.
#[pyfunction]
pub fn sum_of_file(py: Python<'_>, path: PathBuf) -> PyResult<f64> {
    let map = npy::map(path).map_err(ArrayError::from)?;
    py.detach(|| map.read::<f64>().map(|values| values.sum())).map_err(to_py_err)
}

/// Fills an .npy file with `value`, through a map of its own, without the GIL.
#[pyfunction]
pub fn fill_file(py: Python<'_>, path: PathBuf, value: f64) -> PyResult<()> {
    let map = npy::map_with(path, MapMode::ReadWrite).map_err(ArrayError::from)?;
    py.detach(|| map.write::<f64>().map(|mut values| values.fill(value))).map_err(to_py_err)
}

/// What `function` returns, called while an .npy file is borrowed through a map of its own.
#[pyfunction]
pub fn call_while_mapped<'py>(
    path: PathBuf,
    writing: bool,
    function: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let mode = if writing { MapMode::ReadWrite } else { MapMode::Read };
    let map = npy::map_with(path, mode).map_err(ArrayError::from)?;
    if writing {
        let values = map.write::<f64>().map_err(to_py_err)?;
        let result = function.call0();
        drop(values);
        return result;
    }
    let values = map.read::<f64>().map_err(to_py_err)?;
    let before = values.sum();
    let result = function.call0();
    assert_eq!(values.sum().to_bits(), before.to_bits(), "changed under a guard");
    result
}
