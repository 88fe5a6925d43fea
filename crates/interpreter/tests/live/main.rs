//! The rules of this crate, in a process that is an interpreter itself; no array library is needed.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod alone;
#[expect(unsafe_code, reason = "ends the interpreter and starts another")]
mod ended;
mod errors;
mod gate;
#[expect(unsafe_code, reason = "takes its own tables for those of another module")]
mod joining;
#[expect(unsafe_code, reason = "makes tensors of foreign memory")]
mod known;
#[expect(unsafe_code, reason = "counts references")]
mod owners;
#[expect(unsafe_code, reason = "starts and ends subinterpreters")]
mod subinterpreters;

use std::ffi::CStr;

use ndbridge_storage::BorrowError;
use ndbridge_tensor::{Tensor, TensorError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The names that Python code leaves.
fn names<'py>(py: Python<'py>, code: &CStr) -> Bound<'py, PyDict> {
    let names = PyDict::new(py);
    py.run(code, Some(&names), None).unwrap();
    names
}

/// The class of an exception, and what it says.
fn said(py: Python<'_>, error: &PyErr) -> (String, String) {
    (error.get_type(py).name().unwrap().to_string(), error.value(py).to_string())
}

/// Why the gate refuses this thread; `None` if it lets it in.
fn refusal(tensor: &Tensor) -> Option<&'static str> {
    match tensor.read::<i32>() {
        Ok(_) => None,
        Err(TensorError::Borrow(BorrowError::Gate(error))) => Some(error.reason),
        Err(error) => panic!("{error}"),
    }
}
