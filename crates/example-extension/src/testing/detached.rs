//! Computations without the GIL, in the midst of which Python runs.

use ndarray::Dimension;
use ndbridge::python::{AnyDType, Arg, Detach, from_python, hold, to_py_err};
use pyo3::prelude::*;

/// Sums the elements without the GIL, before and after a call of `meanwhile`: both sums, and what
/// it returned.
#[pyfunction]
pub fn sum_detached_while(
    py: Python<'_>,
    x: Arg<'_, f64>,
    meanwhile: Py<PyAny>,
) -> PyResult<(f64, f64, Py<PyAny>)> {
    x.detach(py, |x| {
        let before = x.sum();
        let result = Python::attach(|py| meanwhile.call0(py))?;
        Ok((before, x.sum(), result))
    })?
}

/// What `meanwhile` returned, called while `x` and `y` are held.
#[pyfunction]
pub fn call_while_detached(
    py: Python<'_>,
    x: Arg<'_, AnyDType>,
    y: Arg<'_, AnyDType>,
    meanwhile: Py<PyAny>,
) -> PyResult<Py<PyAny>> {
    let held = hold(py, &[&x, &y])?;
    held.detach(|| Python::attach(|py| meanwhile.call0(py)))
}

/// Panics without the GIL.
#[pyfunction]
pub fn panic_detached(py: Python<'_>, x: Arg<'_, f64>) -> PyResult<()> {
    x.detach(py, |x| panic!("found {} elements", x.len()))
}

/// What a hold of `x` cannot keep out.
#[pyfunction]
pub fn unblocked(py: Python<'_>, x: Arg<'_, AnyDType>) -> PyResult<Vec<String>> {
    Ok(hold(py, &[&x])?.unblocked().to_vec())
}

/// Sum of elements that others may be writing, without the GIL.
#[pyfunction]
pub fn shared_sum(py: Python<'_>, x: &Bound<'_, PyAny>) -> PyResult<f64> {
    let tensor = from_python(x)?;
    let elements = tensor.shared::<f64>().map_err(to_py_err)?;
    let indices = ndarray::indices(tensor.shape());
    let sum: Result<f64, _> =
        py.detach(|| indices.into_iter().map(|index| elements.load(index.slice())).sum());
    sum.map_err(to_py_err)
}
