//! Live arrays of the NumPy that the tests' interpreter has; NumPy is the witness.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

#[path = "../../../interpreter/tests/live/alone.rs"]
mod alone;
mod dtypes;
#[expect(unsafe_code, reason = "makes tensors of foreign memory")]
mod export;
mod files;
#[expect(unsafe_code, reason = "reads the flags of arrays")]
mod frozen;
mod interface;
mod layouts;
mod pins;
#[expect(unsafe_code, reason = "calls the table of rust-numpy")]
mod rust_numpy;
#[path = "../../../interpreter/tests/live/snippets.rs"]
mod snippets;

use std::ffi::CString;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use snippets::said;

/// Runs `test` with NumPy as `np` and ml_dtypes, and with what `code` leaves.
fn with_numpy(code: &str, test: impl FnOnce(Python<'_>, &Bound<'_, PyDict>)) {
    Python::initialize();
    Python::attach(|py| {
        let code = format!("import numpy as np, ml_dtypes, weakref, warnings\n{code}");
        let names = snippets::names(py, &CString::new(code).unwrap());
        test(py, &names);
    });
}

/// The value of a Python expression.
fn eval<'py>(names: &Bound<'py, PyDict>, code: &str) -> Bound<'py, PyAny> {
    let value = names.py().eval(&CString::new(code).unwrap(), Some(names), None);
    value.unwrap_or_else(|error| panic!("{code}: {error}"))
}

/// Runs Python statements, which `assert` what must hold.
fn run(names: &Bound<'_, PyDict>, code: &str) {
    let done = names.py().run(&CString::new(code).unwrap(), Some(names), None);
    done.unwrap_or_else(|error| panic!("{code}: {error}"));
}

/// The class and the words of what an expression raises.
fn raised(names: &Bound<'_, PyDict>, code: &str) -> (String, String) {
    let py = names.py();
    let value = py.eval(&CString::new(code).unwrap(), Some(names), None);
    said(py, &value.expect_err(code))
}
