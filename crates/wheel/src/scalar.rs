//! Numbers between Python and here.

use ndbridge::Scalar;
use ndbridge::dtype::{Complex, DTypeError};
use ndbridge::python::ArrayError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyComplex, PyFloat, PyInt};

use crate::tensor::PyTensor;

/// The value of a Python or NumPy number, or of a tensor of one element; `None` for other objects.
///
/// # Errors
/// `OverflowError` for integers that neither int64 nor uint64 holds.
pub fn scalar(object: &Bound<'_, PyAny>) -> PyResult<Option<Scalar>> {
    if let Ok(value) = object.cast::<PyBool>() {
        return Ok(Some(Scalar::Bool(value.is_true())));
    }
    if let Ok(value) = object.cast::<PyInt>() {
        return integer(value).map(Some);
    }
    if let Ok(value) = object.cast::<PyFloat>() {
        return Ok(Some(Scalar::Float(value.value())));
    }
    if let Ok(value) = object.cast::<PyComplex>() {
        return Ok(Some(Scalar::Complex(Complex::new(value.real(), value.imag()))));
    }
    if let Ok(tensor) = object.cast::<PyTensor>() {
        let tensor = tensor.get();
        if tensor.tensor.ndim() != 0 {
            return Ok(None);
        }
        let value = tensor.on_host(object.py())?.tensor.item();
        return value.map(Some).map_err(ndbridge::python::to_py_err);
    }
    if is_numpy_scalar(object)? {
        return scalar(&object.call_method0("item")?);
    }
    Ok(None)
}

/// Whether `object` is a NumPy scalar (`numpy.generic`).
pub fn is_numpy_scalar(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    object.is_instance(&object.py().import("numpy")?.getattr("generic")?)
}

fn integer(value: &Bound<'_, PyInt>) -> PyResult<Scalar> {
    if let Ok(value) = value.extract::<i64>() {
        return Ok(Scalar::Int(value));
    }
    if let Ok(value) = value.extract::<u64>() {
        return Ok(Scalar::UInt(value));
    }
    let value = value.extract::<i128>().unwrap_or(i128::MAX);
    Err(ArrayError::from(DTypeError::IntegerTooLarge { value }).into())
}
