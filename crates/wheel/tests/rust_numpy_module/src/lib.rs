//! Borrows of rust-numpy, and of a second copy of ndbridge, held while a Python callable runs.

use std::sync::OnceLock;

use ndbridge_python::{
    Arg, DlpackForm, from_numpy, join_ledger, to_dlpack, to_py_err,
};
use ndbridge_tensor::Tensor;
use numpy::{PyReadonlyArrayDyn, PyReadwriteArrayDyn};
use pyo3::prelude::*;

static KEPT: OnceLock<Tensor> = OnceLock::new();

/// A guard, or why there is none.
fn guard(tensor: &Tensor) -> String {
    match tensor.read::<f64>() {
        Ok(guard) => format!("a guard of {} elements", guard.len()),
        Err(error) => error.to_string(),
    }
}

#[pymodule(gil_used = true)]
mod rust_numpy_module {
    use super::*;

    fn call_while<'py>(held: impl Sized, call: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let result = call.call0();
        drop(held);
        result
    }

    /// What `call()` returns while rust-numpy reads the array. TypeError if that is refused.
    #[pyfunction]
    fn reading<'py>(
        array: PyReadonlyArrayDyn<'py, f64>,
        call: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        call_while(array, &call)
    }

    /// What `call()` returns while rust-numpy writes the array. TypeError if that is refused.
    #[pyfunction]
    fn writing<'py>(
        array: PyReadwriteArrayDyn<'py, f64>,
        call: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        call_while(array, &call)
    }

    /// What `call()` returns while this module's ndbridge reads the array.
    #[pyfunction]
    fn tensor_reading<'py>(
        array: Bound<'py, PyAny>,
        call: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let tensor = from_numpy(&array)?;
        let guard = tensor.read::<f64>().map_err(to_py_err)?;
        call_while(guard, &call)
    }

    /// What `call()` returns while this module's ndbridge writes the array.
    #[pyfunction]
    fn tensor_writing<'py>(
        array: Bound<'py, PyAny>,
        call: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let tensor = from_numpy(&array)?;
        let guard = tensor.write::<f64>().map_err(to_py_err)?;
        call_while(guard, &call)
    }

    /// What a thread that has let go of the GIL gets that asks for a guard.
    #[pyfunction]
    fn guard_while_detached(py: Python<'_>, array: Bound<'_, PyAny>) -> PyResult<String> {
        let tensor = from_numpy(&array)?;
        Ok(py.detach(|| guard(&tensor)))
    }

    /// Keeps a tensor of the array until the process ends.
    #[pyfunction]
    fn keep(array: Bound<'_, PyAny>) -> PyResult<()> {
        let _first_kept = KEPT.set(from_numpy(&array)?);
        Ok(())
    }

    /// What an attached thread gets that asks the tensor kept for a guard.
    #[pyfunction]
    fn guard_of_kept() -> Option<String> {
        KEPT.get().map(guard)
    }

    /// A capsule of new memory.
    #[pyfunction]
    fn fresh(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let tensor = Tensor::from_vec(vec![0.0; 3]);
        to_dlpack(py, &tensor, DlpackForm::default())
    }

    /// Number of elements of an argument.
    #[pyfunction]
    fn count(array: Arg<'_, f64>) -> usize {
        array.len()
    }

    /// Joins this module's ndbridge now.
    #[pyfunction]
    fn join(py: Python<'_>) -> PyResult<()> {
        join_ledger(py)
    }

    /// What `call()` returns while a borrow of no array lives in this module's own ledger.
    #[pyfunction]
    fn borrowing_before_the_join<'py>(call: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        use ndbridge_storage::{BorrowKind, LentBorrow, Region};

        let region = Region { start: 64, item_bytes: 1, shape: &[], strides: &[] };
        let at = std::panic::Location::caller();
        let borrow = LentBorrow::enter(BorrowKind::Read, &region, at);
        call_while(borrow, &call)
    }
}
