//! Computations without the GIL, in the midst of which Python runs.

use ndarray::Dimension;
use ndbridge::python::{
    AnyDType, Arg, ArgMut, Detach, DetachMut, Freeze, from_python, hold, to_py_err,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// `Freeze`, by name.
#[derive(Clone, Copy)]
pub struct FreezeName(Freeze);

impl FromPyObject<'_, '_> for FreezeName {
    type Error = PyErr;

    fn extract(name: pyo3::Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        match name.extract::<&str>()? {
            "nothing" => Ok(Self(Freeze::Nothing)),
            "array" => Ok(Self(Freeze::Array)),
            "bases" => Ok(Self(Freeze::ArrayAndBases)),
            other => {
                let text = format!("expected nothing, array or bases, got {other}");
                Err(PyValueError::new_err(text))
            }
        }
    }
}

/// Sums the elements without the GIL, before and after a call of `meanwhile`: both sums, and what
/// it returned. `freeze` says which arrays are read-only then: `nothing`, `array` or `bases`.
#[pyfunction]
#[pyo3(
    signature = (x, meanwhile, freeze = FreezeName(Freeze::Array)),
    text_signature = "(x, meanwhile, freeze='array')"
)]
pub fn sum_detached_while(
    py: Python<'_>,
    x: Arg<'_, f64>,
    meanwhile: Py<PyAny>,
    freeze: FreezeName,
) -> PyResult<(f64, f64, Py<PyAny>)> {
    x.detach_with(py, freeze.0, |x| {
        let before = x.sum();
        let result = Python::attach(|py| meanwhile.call0(py))?;
        Ok((before, x.sum(), result))
    })?
}

/// Writes `value` into each element without the GIL, then calls `meanwhile` and gives what that
/// returned.
#[pyfunction]
pub fn fill_detached_while(
    py: Python<'_>,
    mut x: ArgMut<'_, f64>,
    value: f64,
    meanwhile: Py<PyAny>,
) -> PyResult<Py<PyAny>> {
    x.detach_mut(py, |x| {
        x.fill(value);
        Python::attach(|py| meanwhile.call0(py))
    })?
}

/// As `sum_detached_while`, for a guard of a tensor that is made of `x`, or of its first row (`is_row`).
#[pyfunction]
pub fn sum_of_tensor_detached_while(
    py: Python<'_>,
    x: &Bound<'_, PyAny>,
    is_row: bool,
    meanwhile: Py<PyAny>,
) -> PyResult<(f64, Py<PyAny>)> {
    let tensor = from_python(x)?;
    let tensor = if is_row { tensor.select(0, 0) } else { Ok(tensor) };
    let tensor = tensor.map_err(to_py_err)?;
    let elements = tensor.read::<f64>().map_err(to_py_err)?;
    elements.detach(py, |x| Ok((x.sum(), Python::attach(|py| meanwhile.call0(py))?)))?
}

/// Holds `x` as often as `times` says.
#[pyfunction]
pub fn hold_again(py: Python<'_>, x: Arg<'_, AnyDType>, times: usize) -> PyResult<()> {
    (0..times).try_for_each(|_| hold(py, &[&x]).map(drop))
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
