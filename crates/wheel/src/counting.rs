//! The copy counter and the `no_copy` scope.

use std::cell::RefCell;

use ndbridge::CopyReason;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

thread_local! {
    static SCOPES: RefCell<Vec<ndbridge::tensor::NoCopy>> = const { RefCell::new(Vec::new()) };
}

/// What this thread has copied so far.
#[pyclass(module = "ndbridge", frozen)]
pub struct CopyCount(ndbridge::tensor::CopyCount);

#[pymethods]
impl CopyCount {
    /// Number of copies.
    #[getter]
    fn copies(&self) -> u64 {
        self.0.copies
    }

    /// Bytes written by them.
    #[getter]
    fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// Bytes by reason; a copy with two reasons counts under both.
    #[getter]
    fn by_reason<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = PyDict::new(py);
        for reason in CopyReason::ALL {
            let bytes = self.0.bytes_for(reason);
            if bytes > 0 {
                counts.set_item(reason.name(), bytes)?;
            }
        }
        Ok(counts)
    }

    fn __repr__(&self) -> String {
        format!("CopyCount(copies={}, bytes={})", self.0.copies, self.0.bytes)
    }
}

/// What this thread has copied so far: take it before and after a call to see what the call did.
#[pyfunction]
pub fn copies() -> CopyCount {
    CopyCount(ndbridge::copies())
}

/// `with ndbridge.no_copy():` turns every copy on this thread into an error that names its reason.
///
/// `copy_` and `t[...] = array` are copies, too; `fill_` and `t[...] = number` only write.
#[pyfunction]
pub fn no_copy() -> NoCopy {
    NoCopy
}

/// A scope in which this thread may not copy; see `no_copy`.
#[pyclass(module = "ndbridge", frozen)]
pub struct NoCopy;

#[pymethods]
impl NoCopy {
    /// Forbids copies on this thread.
    fn __enter__(slf: Py<Self>) -> Py<Self> {
        SCOPES.with_borrow_mut(|scopes| scopes.push(ndbridge::no_copy()));
        slf
    }

    /// Allows them again.
    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyAny>) -> PyResult<()> {
        let scope = SCOPES.with_borrow_mut(Vec::pop);
        scope.map(drop).ok_or_else(|| {
            PyRuntimeError::new_err("no_copy scope left on a thread that did not enter it")
        })
    }
}
