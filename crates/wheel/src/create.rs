//! Tensors from whatever Python has.

use ndbridge::python::{find_by_dlpack, from_numpy as share, to_py_err};
use ndbridge::tensor::Receipt;
use ndbridge::{CopyRule, DType, Device, Order, Request, Scalar, Tensor};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::argument::{Source, array_of_buffer};
use crate::device::DeviceArgument;
use crate::dtype::DTypeArgument;
use crate::index::integers;
use crate::scalar::scalar;
use crate::tensor::{PyTensor, converted};

/// A tensor that shares the memory of a NumPy array; an error if it cannot.
#[pyfunction]
#[pyo3(signature = (a, /))]
pub fn from_numpy(a: &Bound<'_, PyAny>) -> PyResult<PyTensor> {
    share(a).map(PyTensor::from)
}

/// A tensor that shares the memory of any object with the buffer protocol, keeping its shape and
/// format.
#[pyfunction]
#[pyo3(signature = (b, /))]
pub fn from_buffer(b: &Bound<'_, PyAny>) -> PyResult<PyTensor> {
    let tensor = share(&array_of_buffer(b)?)?;
    Ok(tensor.with_receipt(Receipt::shared("from_buffer")).into())
}

/// A tensor over the memory of any object with `__dlpack__`, or of a DLPack capsule: shares unless
/// `copy=True`.
#[pyfunction]
#[pyo3(signature = (x, device=None, copy=None))]
pub fn from_dlpack(
    x: &Bound<'_, PyAny>,
    device: Option<DeviceArgument>,
    copy: Option<bool>,
) -> PyResult<PyTensor> {
    // Unless another device is asked for, it shares or fails without being told to copy.
    let may_copy = copy.is_none() && device.is_some();
    let copy = if may_copy { None } else { Some(copy == Some(true)) };
    let request = request("from_dlpack", None, copy, device)?;
    if let Ok(tensor) = x.cast::<PyTensor>() {
        return converted(x.py(), &tensor.get().tensor, &request).map(PyTensor::from);
    }
    find_by_dlpack(x)?.convert(&request).map(PyTensor::from)
}

/// A copy of any array-like, number or nested list, in private memory.
#[pyfunction]
#[pyo3(signature = (x, dtype=None))]
pub fn tensor(x: &Bound<'_, PyAny>, dtype: Option<DTypeArgument>) -> PyResult<PyTensor> {
    copied("tensor", x, dtype).map(PyTensor::from)
}

/// A tensor of any array-like: `copy=None` shares if possible and else copies, `True` always
/// copies, `False` shares or raises ValueError.
#[pyfunction]
#[pyo3(signature = (x, dtype=None, copy=None, device=None))]
pub fn asarray(
    x: &Bound<'_, PyAny>,
    dtype: Option<DTypeArgument>,
    copy: Option<bool>,
    device: Option<DeviceArgument>,
) -> PyResult<PyTensor> {
    let request = request("asarray", dtype, copy, device)?;
    Source::of(x, &request)?.convert(&request).map(PyTensor::from)
}

/// A read-only copy of any array-like; `shape` reshapes it, or repeats a single value.
#[pyfunction]
#[pyo3(signature = (x, dtype=None, shape=None))]
pub fn constant(
    x: &Bound<'_, PyAny>,
    dtype: Option<DTypeArgument>,
    shape: Option<Shape>,
) -> PyResult<PyTensor> {
    let request = request("constant", dtype, Some(true), None)?;
    // Only in C order does every shape have a view.
    let request = if shape.is_some() { request.with_order(Order::C) } else { request };
    let values = Source::of(x, &request)?.convert(&request)?;
    let receipt = *values.receipt();
    let shaped = match shape {
        None => values,
        Some(shape) if values.len() == 1 => {
            let value = values.item().map_err(to_py_err)?;
            Tensor::full(&shape.0, value, values.dtype()).map_err(to_py_err)?
        }
        Some(shape) => {
            let lens: Vec<isize> = shape.0.iter().map(|&len| len as isize).collect();
            let shaped = values.reshape(&lens).map_err(to_py_err)?;
            // The only handle is then a constant.
            drop(values);
            shaped
        }
    };
    Ok(shaped.with_receipt(receipt).into_constant().into())
}

/// A Tensor unchanged (if the dtype agrees), and a read-only copy of anything else.
#[pyfunction]
#[pyo3(signature = (x, dtype=None))]
pub fn convert_to_tensor<'py>(
    x: &Bound<'py, PyAny>,
    dtype: Option<DTypeArgument>,
) -> PyResult<Bound<'py, PyAny>> {
    if let Ok(tensor) = x.cast::<PyTensor>() {
        let (found, wanted) = (tensor.get().tensor.dtype(), dtype.map(|dtype| dtype.0));
        if wanted.is_none_or(|wanted| wanted == found) {
            return Ok(x.clone());
        }
        return Err(PyTypeError::new_err(format!(
            "tensor has dtype {found}, asked for {}: call t.astype(dtype) first (copies)",
            wanted.map_or("none", DType::name)
        )));
    }
    let constant = copied("convert_to_tensor", x, dtype)?.into_constant();
    Ok(Bound::new(x.py(), PyTensor::from(constant))?.into_any())
}

/// Zeros, in private 64-byte aligned memory.
#[pyfunction]
#[pyo3(signature = (shape, dtype=DTypeArgument(DType::F64)), text_signature = "(shape, dtype='float64')")]
pub fn zeros(shape: Shape, dtype: DTypeArgument) -> PyResult<PyTensor> {
    Tensor::zeros(&shape.0, dtype.0).map(PyTensor::from).map_err(to_py_err)
}

/// Ones, in private 64-byte aligned memory.
#[pyfunction]
#[pyo3(signature = (shape, dtype=DTypeArgument(DType::F64)), text_signature = "(shape, dtype='float64')")]
pub fn ones(shape: Shape, dtype: DTypeArgument) -> PyResult<PyTensor> {
    Tensor::ones(&shape.0, dtype.0).map(PyTensor::from).map_err(to_py_err)
}

/// One value everywhere, in private 64-byte aligned memory.
#[pyfunction]
#[pyo3(signature = (shape, fill_value, dtype=None))]
pub fn full(
    shape: Shape,
    fill_value: &Bound<'_, PyAny>,
    dtype: Option<DTypeArgument>,
) -> PyResult<PyTensor> {
    let value = scalar(fill_value)?.ok_or_else(|| {
        PyTypeError::new_err("fill_value must be a number: use tensor() for arrays")
    })?;
    let dtype = dtype.map_or_else(|| default_dtype(value), |dtype| dtype.0);
    Tensor::full(&shape.0, value, dtype).map(PyTensor::from).map_err(to_py_err)
}

/// Memory for elements to be written, private and 64-byte aligned; holds zeros, so that nothing
/// left by others shows.
#[pyfunction]
#[pyo3(signature = (shape, dtype=DTypeArgument(DType::F64)), text_signature = "(shape, dtype='float64')")]
pub fn empty(shape: Shape, dtype: DTypeArgument) -> PyResult<PyTensor> {
    let tensor = Tensor::zeros(&shape.0, dtype.0).map_err(to_py_err)?;
    Ok(tensor.with_receipt(Receipt::created("empty")).into())
}

/// NumPy's data type for one number.
fn default_dtype(value: Scalar) -> DType {
    match value {
        Scalar::Bool(_) => DType::Bool,
        Scalar::Int(_) => DType::I64,
        Scalar::UInt(_) => DType::U64,
        Scalar::Float(_) => DType::F64,
        Scalar::Complex(_) => DType::C128,
    }
}

fn copied(
    call: &'static str,
    x: &Bound<'_, PyAny>,
    dtype: Option<DTypeArgument>,
) -> PyResult<Tensor> {
    let request = request(call, dtype, Some(true), None)?;
    Source::of(x, &request)?.convert(&request)
}

/// The request that array API arguments make, of a device that exists.
pub fn request(
    call: &'static str,
    dtype: Option<DTypeArgument>,
    copy: Option<bool>,
    device: Option<DeviceArgument>,
) -> PyResult<Request> {
    let request = request_anywhere(call, dtype, copy, device)?;
    let exists = request.device.map_or(Ok(()), Device::check_exists);
    exists.map_err(|error| to_py_err(error.into()))?;
    Ok(request)
}

/// The request that array API arguments make, of whatever device.
pub fn request_anywhere(
    call: &'static str,
    dtype: Option<DTypeArgument>,
    copy: Option<bool>,
    device: Option<DeviceArgument>,
) -> PyResult<Request> {
    let copy = match copy {
        None => CopyRule::IfNeeded,
        Some(true) => CopyRule::Always,
        Some(false) => CopyRule::Never,
    };
    let device = device.map(|device| device.0);
    let dtype = dtype.map(|dtype| dtype.0);
    Ok(Request { copy, device, dtype, ..Request::new(call) })
}

/// A shape: one length, or a sequence of lengths.
pub struct Shape(pub Vec<usize>);

impl<'py> FromPyObject<'_, 'py> for Shape {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let lens: Vec<isize> = match object.extract::<isize>() {
            Ok(len) => vec![len],
            Err(_) => integers(&object).map_err(|_| not_a_shape(&object))?,
        };
        let lens = lens.into_iter().map(|len| {
            usize::try_from(len)
                .map_err(|_| PyValueError::new_err(format!("length {len} is negative")))
        });
        lens.collect::<PyResult<_>>().map(Self)
    }
}

fn not_a_shape(object: &Bound<'_, PyAny>) -> PyErr {
    let found = object.repr().map_or_else(|_| "another object".into(), |text| text.to_string());
    PyTypeError::new_err(format!("a shape is an integer or a sequence of integers, got {found}"))
}
