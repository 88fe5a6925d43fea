//! dlpark.

use dlpark::ffi::DLDeviceType;
use dlpark::python::{ImportedDlpack, from_dlpack};
use dlpark::tensor::TensorRef;
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::prelude::*;

use crate::answer;

/// Checked down to dtype, rank and device. Elements are not read: dlpark's way to them is unsafe,
/// and slower than this.
#[pyfunction]
pub fn dlpark_read(object: &Bound<'_, PyAny>) -> PyResult<usize> {
    match from_dlpack(object.as_borrowed(), None, None)? {
        ImportedDlpack::Versioned(tensor) => inspect(&tensor.validate().map_err(to_py_err)?),
        ImportedDlpack::Legacy(tensor) => inspect(&tensor.validate().map_err(to_py_err)?),
    }
}

fn inspect(tensor: &TensorRef<'_>) -> PyResult<usize> {
    let is_host = tensor.device().device_type == DLDeviceType::CPU;
    match tensor.shape() {
        &[rows, columns] if is_host && tensor.dtype().is::<f32>() => {
            Ok(answer([rows as usize, columns as usize], 0.0))
        }
        _ => Err(PyTypeError::new_err("expected float32 [*, *] on cpu")),
    }
}

fn to_py_err(error: impl ToString) -> PyErr {
    PyBufferError::new_err(error.to_string())
}
