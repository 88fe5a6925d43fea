//! `__array_interface__`: a dictionary with the address of elements, as NumPy specifies it.

use ndbridge_dtype::ByteOrder;
use ndbridge_interpreter::{join_ledger, lend_host_memory};
use ndbridge_storage::Mutability;
use ndbridge_tensor::{Order, Tensor};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// The dictionary of a tensor, whose memory is lent to Python; `None` for memory of a device and for
/// data types that NumPy has no name for.
///
/// # Errors
/// `BufferError` while a guard of the memory is alive.
pub fn array_interface<'py>(
    py: Python<'py>,
    tensor: &Tensor,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    join_ledger(py)?;
    if !tensor.device().is_host() {
        return Ok(None);
    }
    let Some(interface) = entries(py, tensor)? else { return Ok(None) };
    lend_host_memory(tensor)?;
    Ok(Some(interface))
}

/// What the dictionaries of host and device memory have in common.
pub fn entries<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Some(type_string) = tensor.dtype().type_string(ByteOrder::NATIVE) else { return Ok(None) };
    let interface = PyDict::new(py);
    interface.set_item("version", 3)?;
    interface.set_item("typestr", type_string)?;
    interface.set_item("shape", PyTuple::new(py, tensor.shape())?)?;
    let is_plain = tensor.is_contiguous(Order::C);
    let strides = (!is_plain).then(|| PyTuple::new(py, tensor.strides())).transpose()?;
    interface.set_item("strides", strides)?;
    let is_writable = tensor.mutability() == Mutability::Writable;
    interface.set_item("data", (tensor.as_ptr().addr(), !is_writable))?;
    Ok(Some(interface))
}
