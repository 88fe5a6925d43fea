//! Several data types, any data type, copies where needed.

use ndbridge::python::{AnyDType, Arg, ArgCow, OneOf, to_py_err};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Sum of the elements, which are float32 or float64.
#[pyfunction]
pub fn total(x: Arg<'_, OneOf<(f32, f64)>>) -> PyResult<f64> {
    if let Ok(x) = x.typed::<f32>() {
        return Ok(x.iter().copied().map(f64::from).sum());
    }
    Ok(x.typed::<f64>().map_err(to_py_err)?.sum())
}

/// Data type, shape and address of an array.
#[pyfunction]
pub fn describe<'py>(py: Python<'py>, x: Arg<'py, AnyDType>) -> PyResult<Bound<'py, PyDict>> {
    let facts = PyDict::new(py);
    facts.set_item("dtype", x.dtype().name())?;
    facts.set_item("shape", x.shape())?;
    facts.set_item("address", x.tensor()?.as_ptr().addr())?;
    Ok(facts)
}

/// Sum of the elements of whatever can become float64 without loss of kind, and whether a copy was
/// needed.
#[pyfunction]
pub fn total_of_any(x: ArgCow<'_, f64>) -> (f64, String) {
    (x.sum(), x.receipt().to_string())
}
