//! Whatever Python code may pass as an array.

use ndbridge::python::{Importer, array_facts, is_array, numpy_dtype, to_py_err};
use ndbridge::tensor::Facts;
use ndbridge::{Plan, Request, Tensor, plan};
use pyo3::buffer::PyUntypedBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMemoryView};

use crate::scalar::is_numpy_scalar;
use crate::tensor::PyTensor;

/// Knows the memory of tensors again that comes back by way of NumPy.
pub const IMPORTER: Importer = Importer {
    storage_of: |object| Some(object.cast::<PyTensor>().ok()?.get().tensor.storage().clone()),
};

/// An array-like object, with its elements in one place.
pub enum Source<'py> {
    /// One of ours.
    Tensor(Tensor),
    /// A NumPy array, that of a buffer, or one gathered from a list or number.
    Array { array: Bound<'py, PyAny>, facts: Facts },
}

impl<'py> Source<'py> {
    /// Finds the elements of `object`; a list or number is gathered for `request`.
    pub fn of(object: &Bound<'py, PyAny>, request: &Request) -> PyResult<Self> {
        if let Ok(tensor) = object.cast::<PyTensor>() {
            return Ok(Self::Tensor(tensor.get().tensor.clone()));
        }
        if is_array(object)? {
            return Ok(Self::Array { array: object.clone(), facts: array_facts(object)? });
        }
        if has_buffer(object)? {
            let array = array_of_buffer(object)?;
            let facts = array_facts(&array)?;
            return Ok(Self::Array { array, facts });
        }
        let array = gather(object, request)?;
        let facts = Facts { is_array: false, ..array_facts(&array)? };
        Ok(Self::Array { array, facts })
    }

    /// What would be done for `request`.
    pub fn plan(&self, request: &Request) -> Plan {
        match self {
            Self::Tensor(tensor) => plan(&tensor.facts(), request),
            Self::Array { facts, .. } => plan(facts, request),
        }
    }

    /// Does it.
    pub fn convert(&self, request: &Request) -> PyResult<Tensor> {
        match self {
            Self::Tensor(tensor) => tensor.convert(request).map_err(to_py_err),
            Self::Array { array, facts } => IMPORTER.convert(array, facts, request),
        }
    }
}

/// Whether `object` lends its memory by the buffer protocol. A NumPy scalar does, too, but is a
/// number here.
fn has_buffer(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(!is_numpy_scalar(object)? && PyUntypedBuffer::get(object).is_ok())
}

/// The NumPy array of a buffer: shares, keeps shape and format, holds the buffer's export.
pub fn array_of_buffer<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let view = PyMemoryView::from(object)?;
    object.py().import("numpy")?.call_method1("asarray", (view,))
}

/// A NumPy array of the elements of a list, a number or another array-like object.
fn gather<'py>(object: &Bound<'py, PyAny>, request: &Request) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let options = PyDict::new(py);
    // NumPy checks the range of Python integers if it knows the data type.
    if let Some(dtype) = request.dtype.and_then(|dtype| numpy_dtype(py, dtype).ok()) {
        options.set_item("dtype", dtype)?;
    }
    // Not asarray, which would drop the mask of a masked array unseen.
    py.import("numpy")?.call_method("asanyarray", (object,), Some(&options))
}
