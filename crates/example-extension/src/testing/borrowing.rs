//! Arguments that are alive while Python code runs.

use ndbridge::python::{AnyDType, Arg, ArgMut};
use pyo3::prelude::*;

/// Takes one to read and one to write.
#[pyfunction]
pub fn overlap(a: Arg<'_, AnyDType>, b: ArgMut<'_, AnyDType>) {
    drop((a, b));
}

/// Takes both to write.
#[pyfunction]
pub fn both_written(a: ArgMut<'_, AnyDType>, b: ArgMut<'_, AnyDType>) {
    drop((a, b));
}

/// Takes both to read.
#[pyfunction]
pub fn both_read(a: Arg<'_, AnyDType>, b: Arg<'_, AnyDType>) {
    drop((a, b));
}

fn call_while<'py>(held: impl Sized, function: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let result = function.call0();
    drop(held);
    result
}

/// What `function` returns, called while `x` is borrowed for reading.
#[pyfunction]
pub fn call_while_reading<'py>(
    x: Arg<'py, AnyDType>,
    function: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    call_while(x, &function)
}

/// What `function` returns, called while `x` is borrowed for writing.
#[pyfunction]
pub fn call_while_writing<'py>(
    x: ArgMut<'py, AnyDType>,
    function: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    call_while(x, &function)
}

/// Sums the elements before and after a call of `meanwhile`, without letting go of the GIL: both
/// sums, and what it returned.
#[pyfunction]
pub fn sum_while<'py>(
    x: Arg<'py, f64>,
    meanwhile: Bound<'py, PyAny>,
) -> PyResult<(f64, f64, Bound<'py, PyAny>)> {
    let before = x.sum();
    let result = meanwhile.call0()?;
    Ok((before, x.sum(), result))
}

/// Calls `meanwhile`, then writes `value` into each element and gives their sum and what it
/// returned.
#[pyfunction]
pub fn fill_after<'py>(
    mut x: ArgMut<'py, f64>,
    value: f64,
    meanwhile: Bound<'py, PyAny>,
) -> PyResult<(f64, Bound<'py, PyAny>)> {
    let result = meanwhile.call0()?;
    x.fill(value);
    Ok((x.sum(), result))
}
