//! Arrays in, to be kept.

use ndbridge_dtype::DType;
use ndbridge_interpreter::{intern, settle_move, to_py_err};
use ndbridge_numpy::python::{NdarrayError, api::NumpyApi, numpy_dtype};
use ndbridge_storage::Device;
use ndbridge_tensor::{CopyRule, Facts, Plan, Request, Tensor, TensorError, plan};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::incoming::{self, Incoming};

/// A NumPy array as a tensor: shares its memory.
///
/// The array is kept alive, and cannot be resized, as long as any handle to the memory lives.
///
/// # Errors
/// `TypeError` for anything but an array and for data types that cannot be carried; `ValueError`
/// for arrays in the other byte order, which cannot be shared.
pub fn from_numpy(object: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    if NumpyApi::get(object.py())?.array_of(object).is_none() {
        return Err(NdarrayError::not_an_array(object).into());
    }
    share(object, "from_numpy")
}

/// A tensor that shares the memory of any array that Python has: NumPy's, torch's, TensorFlow's,
/// JAX's, or that of any object with `__dlpack__`, `__array_interface__` or a buffer.
///
/// The memory is kept, and kept in its place, as long as any handle to it lives.
///
/// # Errors
/// `TypeError` for anything else and for data types that cannot be carried; `BufferError` for torch
/// tensors with lazy bits or gradients; `ValueError` for arrays in the other byte order.
pub fn from_python(object: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    share(object, "from_python")
}

fn share(object: &Bound<'_, PyAny>, call: &'static str) -> PyResult<Tensor> {
    let found = Found { incoming: Incoming::of(object)? };
    found.convert(&Request::new(call).with_copy(CopyRule::Never))
}

/// The array that `object` lends; `None` if it lends none, as a list or a number.
///
/// # Errors
/// `TypeError` or `BufferError` for an array that cannot be carried.
pub fn find<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Found<'py>>> {
    Ok(Incoming::find(object)?.map(|incoming| Found { incoming }))
}

/// The array that `object` lends by DLPack, or that a DLPack capsule holds.
///
/// # Errors
/// `BufferError` if it does not speak DLPack; else as [`find`].
pub fn find_by_dlpack<'py>(object: &Bound<'py, PyAny>) -> PyResult<Found<'py>> {
    Ok(Found { incoming: incoming::by_dlpack(object)? })
}

/// A NumPy array of the elements of a list, a number or another object that lends no array, of
/// `dtype` if NumPy has it.
///
/// # Errors
/// What NumPy raises.
pub fn gather<'py>(
    object: &Bound<'py, PyAny>,
    dtype: Option<DType>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let options = PyDict::new(py);
    // NumPy checks the range of Python integers if it knows the data type.
    if let Some(dtype) = dtype.and_then(|dtype| numpy_dtype(py, dtype).ok()) {
        options.set_item(intern!(py, "dtype"), dtype)?;
    }
    // Not asarray, which would drop the mask of a masked array unseen.
    let numpy = py.import(intern!(py, "numpy"))?;
    numpy.call_method(intern!(py, "asanyarray"), (object,), Some(&options))
}

/// An array that a Python object lends, found and not yet used.
pub struct Found<'py> {
    pub(crate) incoming: Incoming<'py>,
}

impl Found<'_> {
    /// What a plan needs to know of the array.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.incoming.outside.facts()
    }

    /// What `request` asks for, shared or copied as the plan decides.
    ///
    /// # Errors
    /// Where the request is refused or cannot be carried out, as [`to_py_err`].
    pub fn convert(self, request: &Request) -> PyResult<Tensor> {
        let facts = self.facts();
        self.convert_as(&facts, request)
    }

    /// As [`convert`](Self::convert), where `facts` are those of the list or number that the array
    /// was gathered from.
    ///
    /// # Errors
    /// As [`convert`](Self::convert).
    pub fn convert_as(self, facts: &Facts, request: &Request) -> PyResult<Tensor> {
        if let Plan::Refuse(refusal) = plan(facts, request) {
            return Err(to_py_err(TensorError::Refused { call: request.call, refusal }));
        }
        let tensor = self.incoming.into_tensor()?;
        if tensor.device() != Device::Cpu || request.device.is_some() {
            let to = request.device.unwrap_or(tensor.device());
            Python::attach(|py| settle_move(py, &tensor, to, request.non_blocking))?;
        }
        tensor.convert_from(facts, request).map_err(to_py_err)
    }
}

impl std::fmt::Debug for Found<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found").field("facts", &self.facts()).finish_non_exhaustive()
    }
}
