//! Borrows of rust-numpy, and of a second copy of ndbridge, held while a Python callable runs.

use ndbridge_numpy::python::{from_numpy, join_ledger, to_py_err};
use numpy::{PyReadonlyArrayDyn, PyReadwriteArrayDyn};
use pyo3::prelude::*;

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
