//! Python code in tests.

use std::ffi::CStr;

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The names that Python code leaves.
pub fn names<'py>(py: Python<'py>, code: &CStr) -> Bound<'py, PyDict> {
    let names = PyDict::new(py);
    py.run(code, Some(&names), None).unwrap();
    names
}

/// The class of an exception, and what it says.
pub fn said(py: Python<'_>, error: &PyErr) -> (String, String) {
    let value = error.value(py);
    (value.get_type().name().unwrap().to_string(), value.to_string())
}
