//! Which Python exception a file's error becomes.

use std::io;

use ndbridge_interpreter::{ArrayError, in_python_words};
use pyo3::exceptions::{PyMemoryError, PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::error::NumpyError;

impl From<NumpyError> for ArrayError {
    fn from(error: NumpyError) -> Self {
        file_error(error).into()
    }
}

fn file_error(error: NumpyError) -> PyErr {
    let text = in_python_words(error.to_string());
    match error {
        // What a Python file object raised goes on as it came.
        NumpyError::Io { source, .. }
            if source.get_ref().is_some_and(|inner| inner.is::<PyErr>()) =>
        {
            source.into()
        }
        NumpyError::Io { source, .. } => io_error(&source, text),
        NumpyError::Tensor(error) => ArrayError::from(error).into(),
        NumpyError::NoTypeCode { .. } => PyTypeError::new_err(text),
        _ => PyValueError::new_err(text),
    }
}

/// `FileNotFoundError` and the like, with the file named.
fn io_error(source: &io::Error, text: String) -> PyErr {
    match source.raw_os_error() {
        _ if source.kind() == io::ErrorKind::OutOfMemory => PyMemoryError::new_err(text),
        Some(code) => PyOSError::new_err((code, text)),
        // A helper's error that kept only the kind.
        None => io::Error::new(source.kind(), text).into(),
    }
}
