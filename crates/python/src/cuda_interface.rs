//! `__cuda_array_interface__`: a dictionary with the address of elements on a device.
//!
//! Versions 2 and 3 of Numba's specification; version 2 names no stream and leaves the order to the
//! user.

use ndbridge_dtype::{ByteOrder, parse_type_string};
use ndbridge_interpreter::{ArrayError, join_ledger, lend_to_python, to_py_err};
use ndbridge_numpy::python::array_interface;
use ndbridge_storage::{Device, Mutability};
use ndbridge_tensor::{Layout, MAX_NDIM, Order, Outside, Tensor, TensorError};
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use smallvec::SmallVec;

use crate::consumers::check_items;
use crate::device;
use crate::dictionary::entry;

/// What the dictionary says, once our current stream waits for the one named there.
///
/// # Errors
/// `BufferError` for a mask, for the other byte order and for what the driver does not know;
/// `ValueError` for stream 0; `KeyError`, `TypeError` for a dictionary that is none.
pub(crate) fn describe(interface: &Bound<'_, PyAny>) -> PyResult<Outside> {
    if entry(interface, "mask")?.is_some() {
        return Err(PyBufferError::new_err("__cuda_array_interface__ with a mask: fill it first"));
    }
    let shape: SmallVec<[usize; 4]> = integers(&interface.get_item("shape")?)?;
    let type_string: String = interface.get_item("typestr")?.extract()?;
    let (dtype, byte_order) = parse_type_string(&type_string).map_err(ArrayError::from)?;
    if byte_order != ByteOrder::NATIVE {
        let text = format!("__cuda_array_interface__ with type {type_string}: expected '<'");
        return Err(PyBufferError::new_err(text));
    }
    let (address, is_read_only): (usize, bool) = interface.get_item("data")?.extract()?;
    let strides: SmallVec<[isize; 4]> = match entry(interface, "strides")? {
        Some(strides) => integers(&strides)?,
        None => {
            let packed = Layout::contiguous(&shape, dtype.item_bytes(), Order::C);
            packed.map_err(TensorError::from).map_err(to_py_err)?.strides().into()
        }
    };
    if strides.len() != shape.len() {
        let text = format!("{} strides for {} axes", strides.len(), shape.len());
        return Err(PyValueError::new_err(text));
    }
    let is_empty = shape.contains(&0);
    if address == 0 && !is_empty {
        return Err(PyBufferError::new_err("__cuda_array_interface__ with a null address"));
    }
    let device = device::device_of(if is_empty { 0 } else { address })?;
    if let Some(stream) = entry(interface, "stream")? {
        device::after_stream(device, Some(stream.extract()?))?;
    }
    let mutability = if is_read_only { Mutability::ReadOnly } else { Mutability::Writable };
    let ptr = std::ptr::without_provenance_mut(address);
    let outside = Outside { ptr, shape, strides, dtype, byte_order, device, mutability };
    outside.check().map_err(to_py_err)?;
    Ok(outside)
}

/// The integers of a tuple; of one longer than any shape, as many as show that.
fn integers<'py, T>(tuple: &Bound<'py, PyAny>) -> PyResult<SmallVec<[T; 4]>>
where
    T: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
    [T; 4]: smallvec::Array<Item = T>,
{
    if tuple.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("expected a tuple of integers"));
    }
    tuple.try_iter()?.take(MAX_NDIM + 1).map(|item| item?.extract()).collect()
}

/// The dictionary of a tensor on a device, whose memory is lent to Python; `None` for host memory
/// and for data types that the dictionary has no name for.
///
/// # Errors
/// `BufferError` while a guard of the memory is alive; the driver's.
pub fn cuda_array_interface<'py>(
    py: Python<'py>,
    tensor: &Tensor,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Device::Cuda(_) = tensor.device() else { return Ok(None) };
    check_items("__cuda_array_interface__", tensor, "call clone() first (copies)")?;
    let Some(interface) = array_interface::entries(py, tensor)? else { return Ok(None) };
    join_ledger(py)?;
    let stream = device::ready_on_own_stream(tensor)?;
    lend_to_python(tensor)?;
    if tensor.is_empty() {
        interface.set_item("data", (0, tensor.is_read_only()))?;
    }
    interface.set_item("stream", stream)?;
    Ok(Some(interface))
}
