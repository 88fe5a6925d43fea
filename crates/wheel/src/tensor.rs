//! The class `Tensor`.

use std::sync::OnceLock;

use ndbridge::dlpack::{DlpackError, HeaderAxes};
use ndbridge::python::{
    python_owner, settle, settle_copy, settle_move, to_numpy_with_base, to_py_err,
};
use ndbridge::storage::{Access, BorrowKind};
use ndbridge::{Casting, CopyRule, Device, Order, Request, Scalar, Tensor};
use pyo3::exceptions::{PyBufferError, PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyTuple};

use crate::argument::Source;
use crate::device::DeviceArgument;
use crate::dtype::{DTypeArgument, PyDType};
use crate::index::indices;
use crate::lists::{list_of, number};
use crate::planning::PyReceipt;
use crate::rows::Rows;
use crate::scalar::scalar;

/// An n-dimensional array whose memory may belong to NumPy, Rust, a file or another framework.
///
/// A tensor is a handle: indexing with integers and slices, `permute`, `reshape`, `numpy()` share
/// its memory; `clone()`, `astype()`, `reshape_copy()` copy; `receipt` tells which was done.
#[pyclass(name = "Tensor", module = "ndbridge", frozen, sequence, weakref)]
pub struct PyTensor {
    pub tensor: Tensor,
    // What lent headers point to.
    axes: OnceLock<HeaderAxes>,
}

impl From<Tensor> for PyTensor {
    fn from(tensor: Tensor) -> Self {
        Self { tensor, axes: OnceLock::new() }
    }
}

#[pymethods]
impl PyTensor {
    /// Length of each axis.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.tensor.shape())
    }

    /// Step of each axis, in bytes.
    #[getter]
    fn strides<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.tensor.strides())
    }

    /// Number of axes.
    #[getter]
    fn ndim(&self) -> usize {
        self.tensor.ndim()
    }

    /// Number of elements.
    #[getter]
    fn size(&self) -> usize {
        self.tensor.len()
    }

    /// Bytes that the elements take without gaps.
    #[getter]
    fn nbytes(&self) -> usize {
        self.tensor.size_bytes()
    }

    /// Bytes of one element.
    #[getter]
    fn itemsize(&self) -> usize {
        self.tensor.dtype().item_bytes()
    }

    /// Data type of the elements.
    #[getter]
    fn dtype(&self) -> PyDType {
        PyDType(self.tensor.dtype())
    }

    /// Where the memory is, such as 'cpu'.
    #[getter]
    fn device(&self) -> String {
        self.tensor.device().to_string()
    }

    /// Whether writing through this handle is refused.
    #[getter]
    fn readonly(&self) -> bool {
        self.tensor.is_read_only()
    }

    /// What the conversion that brought this memory here did.
    #[getter]
    fn receipt(&self) -> PyReceipt {
        PyReceipt(*self.tensor.receipt())
    }

    /// The Python object that owns the memory; None if Rust does.
    #[getter]
    fn owner<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        python_owner(py, &self.tensor)
    }

    /// Address of element [0, .., 0].
    fn data_ptr(&self) -> usize {
        self.tensor.as_ptr().addr()
    }

    /// Whether the elements lie in C (or 'F'ortran) order without gaps.
    #[pyo3(signature = (order="C"))]
    fn is_contiguous(&self, order: &str) -> PyResult<bool> {
        Ok(self.tensor.is_contiguous(order_of(order)?))
    }

    /// The tensor as a NumPy array that shares its memory; with `force`, the elements of a tensor on a
    /// device are copied.
    #[pyo3(signature = (force=false))]
    fn numpy<'py>(slf: &Bound<'py, Self>, force: bool) -> PyResult<Bound<'py, PyAny>> {
        if force && !slf.get().tensor.device().is_host() {
            let copy = Bound::new(slf.py(), slf.get().on_host(slf.py())?)?;
            return Self::numpy(&copy, false);
        }
        // SAFETY: the object holds the tensor, and with it the storage, and is never changed.
        unsafe { to_numpy_with_base(&slf.get().tensor, slf.clone().into_any()) }
    }

    /// NumPy's conversion: `numpy.asarray(t)`, `numpy.array(t, copy=...)`.
    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        slf: &Bound<'py, Self>,
        dtype: Option<DTypeArgument>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let request = crate::create::request("__array__", dtype, copy, None)?;
        let holder = Bound::new(slf.py(), slf.get().convert(slf.py(), &request)?)?;
        Self::numpy(&holder, false)
    }

    /// A copy in private memory; keeps the memory order.
    fn clone(&self, py: Python<'_>) -> PyResult<Self> {
        self.convert(py, &Request::new("clone").with_copy(CopyRule::Always))
    }

    /// Copies the elements of `src`, broadcast to this shape, into this tensor; returns it.
    ///
    /// With `non_blocking`, a copy between a device and pinned memory may still run when this returns.
    /// The data type may change as far as `casting` allows.
    #[pyo3(signature = (src, non_blocking=false, casting="same_kind"))]
    fn copy_<'py>(
        slf: &Bound<'py, Self>,
        src: &Bound<'py, PyAny>,
        non_blocking: bool,
        casting: &str,
    ) -> PyResult<Bound<'py, Self>> {
        let casting: Casting = casting.parse().map_err(ndbridge::python::ArrayError::from)?;
        let tensor = &slf.get().tensor;
        let source = Source::for_target("copy_", src, tensor.dtype())?;
        settle_copy(slf.py(), &source, tensor, non_blocking)?;
        let copied = match non_blocking {
            true => tensor.assign_non_blocking(&source, casting),
            false => tensor.assign_with(&source, casting),
        };
        copied.map_err(to_py_err)?;
        Ok(slf.clone())
    }

    /// Writes one number to every element; returns the tensor.
    fn fill_<'py>(slf: &Bound<'py, Self>, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Self>> {
        let value = scalar(value)?
            .ok_or_else(|| PyTypeError::new_err("fill_ takes a number: use copy_ for arrays"))?;
        let tensor = &slf.get().tensor;
        settle(slf.py(), tensor, BorrowKind::Write)?;
        tensor.fill(value).map_err(to_py_err)?;
        Ok(slf.clone())
    }

    /// A copy of another data type; `copy=False` returns the same memory if nothing changes.
    #[pyo3(signature = (dtype, casting="same_kind", copy=true))]
    fn astype(
        &self,
        py: Python<'_>,
        dtype: DTypeArgument,
        casting: &str,
        copy: bool,
    ) -> PyResult<Self> {
        let casting: Casting = casting.parse().map_err(ndbridge::python::ArrayError::from)?;
        let copy = if copy { CopyRule::Always } else { CopyRule::IfNeeded };
        let request = Request { casting, ..Request::new("astype").with_dtype(dtype.0) };
        self.convert(py, &request.with_copy(copy))
    }

    /// The same memory if the elements lie in `order` without gaps, else a copy that does.
    #[pyo3(signature = (order="C"))]
    fn contiguous(&self, py: Python<'_>, order: &str) -> PyResult<Self> {
        self.convert(py, &Request::new("contiguous").with_order(order_of(order)?))
    }

    /// The tensor itself if it is on the host, else a copy there.
    fn cpu<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        if slf.get().tensor.device().is_host() {
            return Ok(slf.clone());
        }
        Bound::new(slf.py(), slf.get().on_host(slf.py())?)
    }

    /// The tensor itself if it is on that CUDA device, else a copy there.
    #[pyo3(signature = (i=0))]
    fn cuda<'py>(slf: &Bound<'py, Self>, i: usize) -> PyResult<Bound<'py, Self>> {
        slf.get().moved(slf, &Request::new("cuda").with_device(Device::Cuda(i)))
    }

    /// The tensor itself if it is in pinned host memory, else a copy there.
    fn pin_memory<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        slf.get().moved(slf, &Request::new("pin_memory").with_device(Device::CudaHost))
    }

    /// Whether the tensor is in pinned host memory.
    fn is_pinned(&self) -> bool {
        self.tensor.device() == Device::CudaHost
    }

    /// Whether the copy that fills the tensor has run.
    fn is_ready(&self) -> PyResult<bool> {
        self.tensor.is_ready().map_err(to_py_err)
    }

    /// The tensor with another device or data type; the same memory if it has that already.
    #[pyo3(signature = (target, non_blocking=false))]
    ///
    /// With `non_blocking`, a copy from pinned memory to a device, or from a device into new pinned
    /// memory, may still run when this returns; whoever uses the result waits by himself.
    fn to(&self, target: &Bound<'_, PyAny>, non_blocking: bool) -> PyResult<Self> {
        let request = match DeviceArgument::of(target)? {
            Some(device) => Request::new("to").with_device(device),
            None => Request::new("to").with_dtype(target.extract::<DTypeArgument>()?.0),
        };
        self.convert(target.py(), &Request { non_blocking, ..request })
    }

    /// The elements as nested lists of Python numbers.
    fn tolist<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let values = self.on_host(py)?.tensor.scalars().map_err(to_py_err)?;
        nested(py, &mut values.into_iter(), self.tensor.shape())
    }

    /// The value of a tensor of one element, as a Python number.
    fn item<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        number(py, self.on_host(py)?.tensor.item().map_err(to_py_err)?)
    }

    fn __getitem__(&self, index: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.tensor.index(&indices(index)?).map(Self::from).map_err(to_py_err)
    }

    fn __setitem__(&self, index: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let (py, target) = (index.py(), self.tensor.index(&indices(index)?).map_err(to_py_err)?);
        if let Some(value) = scalar(value)? {
            settle(py, &target, BorrowKind::Write)?;
            return target.fill(value).map_err(to_py_err);
        }
        let source = Source::for_target("__setitem__", value, target.dtype())?;
        settle_copy(py, &source, &target, false)?;
        target.assign(&without_leading_ones(source, target.ndim())?).map_err(to_py_err)
    }

    fn __len__(&self) -> PyResult<usize> {
        let first = self.tensor.shape().first().copied();
        first.ok_or_else(|| PyTypeError::new_err("len() of a tensor of no axes"))
    }

    fn __iter__(&self) -> PyResult<Rows> {
        self.__len__()?;
        Ok(Rows::of(self.tensor.clone()))
    }

    fn __bool__(&self, py: Python<'_>) -> PyResult<bool> {
        let value = self.on_host(py)?.tensor.item().map_err(to_py_err)?;
        Ok(value.to_element::<bool>())
    }

    fn __int__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.get_type::<pyo3::types::PyInt>().call1((self.item(py)?,))
    }

    fn __float__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.get_type::<pyo3::types::PyFloat>().call1((self.item(py)?,))
    }

    fn __complex__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.get_type::<pyo3::types::PyComplex>().call1((self.item(py)?,))
    }

    fn __index__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        use ndbridge::dtype::Kind::{Int, UInt};
        if self.tensor.ndim() != 0 || !matches!(self.tensor.dtype().kind(), Int | UInt) {
            return Err(PyTypeError::new_err("only an integer tensor of no axes is an index"));
        }
        self.item(py)
    }

    /// Whether `other` has the same shape and equal elements. What `asarray` refuses is asked whether it
    /// is equal to this.
    fn __eq__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (py, request) = (other.py(), Request::new("__eq__"));
        let found = Source::of(other, &request).and_then(|source| source.convert(&request));
        let other = match found {
            Err(error) if is_refusal(&error, py) => {
                return Ok(py.NotImplemented().into_bound(py));
            }
            found => found?,
        };
        settle(py, &self.tensor, BorrowKind::Read)?;
        let is_equal = ndbridge::array_equal(&self.tensor, &other).map_err(to_py_err)?;
        Ok(PyBool::new(py, is_equal).to_owned().into_any())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        // Values that cannot be had now, and a bool that is none, say so in Python's words.
        let _ = settle_move(py, &self.tensor, Device::Cpu, false);
        self.tensor.printed().unwrap_or_else(|error| {
            let reason = to_py_err(error).into_value(py);
            let (shape, dtype) = (self.tensor.shape(), self.tensor.dtype());
            format!("tensor(<{reason}>, shape={shape:?}, dtype={dtype})")
        })
    }
}

impl PyTensor {
    /// Shape and strides as DLPack counts them, kept in this object.
    pub fn header_axes(&self) -> Result<&HeaderAxes, DlpackError> {
        if let Some(axes) = self.axes.get() {
            return Ok(axes);
        }
        let axes = HeaderAxes::of(&self.tensor)?;
        Ok(self.axes.get_or_init(|| axes))
    }

    /// The same elements on the host: shared, or copied from a device.
    pub fn on_host(&self, py: Python<'_>) -> PyResult<Self> {
        self.convert(py, &Request::new("cpu").with_device(Device::Cpu))
    }

    /// What `request` asks for; `slf`, which holds this tensor, if that shares.
    fn moved<'py>(&self, slf: &Bound<'py, Self>, request: &Request) -> PyResult<Bound<'py, Self>> {
        let converted = self.convert(slf.py(), request)?;
        if converted.tensor.receipt().is_shared() {
            return Ok(slf.clone());
        }
        Bound::new(slf.py(), converted)
    }

    #[inline]
    pub fn convert(&self, py: Python<'_>, request: &Request) -> PyResult<Self> {
        converted(py, &self.tensor, request).map(Self::from)
    }
}

/// What `request` asks for of a tensor. Devices are waited for before, while other threads run Python.
// Inlined, as what it makes is moved slowly.
#[inline]
pub fn converted(py: Python<'_>, tensor: &Tensor, request: &Request) -> PyResult<Tensor> {
    let to = request.device.unwrap_or(tensor.device());
    settle_move(py, tensor, to, request.non_blocking)?;
    let convert = || tensor.convert(request);
    // Memory that no Python code reaches: other threads run Python meanwhile.
    let is_apart = tensor.storage().access() != Access::Lent;
    let converted = match is_apart && tensor.size_bytes() >= LARGE_BYTES {
        true => py.detach(convert),
        false => convert(),
    };
    converted.map_err(to_py_err)
}

/// A copy of so much takes longer than letting go of the interpreter and taking it again.
const LARGE_BYTES: usize = 1 << 20;

/// Whether an object is none that `asarray` takes; all other errors are told.
fn is_refusal(error: &PyErr, py: Python<'_>) -> bool {
    error.is_instance_of::<PyTypeError>(py)
        || error.is_instance_of::<PyValueError>(py)
        || error.is_instance_of::<PyBufferError>(py)
        || error.is_instance_of::<PyOverflowError>(py)
}

/// Assignment ignores axes of length 1 in front of those of the target, as NumPy's does.
fn without_leading_ones(source: Tensor, ndim: usize) -> PyResult<Tensor> {
    let extra = source.ndim().saturating_sub(ndim);
    let ones = source.shape().iter().take(extra).take_while(|&&len| len == 1).count();
    let axes: Vec<isize> = (0..ones as isize).collect();
    source.squeeze(Some(&axes)).map_err(to_py_err)
}

/// Lists within lists, as deep as `shape`.
fn nested<'py>(
    py: Python<'py>,
    values: &mut impl Iterator<Item = Scalar>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    match shape.split_first() {
        // Without elements, lengths may be larger than any memory.
        Some((&len, inner)) => list_of(py, len, |_| nested(py, values, inner)),
        None => values.next().map_or_else(|| Ok(py.None().into_bound(py)), |at| number(py, at)),
    }
}

/// 'C' or 'F'.
pub fn order_of(name: &str) -> PyResult<Order> {
    match name {
        "C" => Ok(Order::C),
        "F" => Ok(Order::F),
        _ => Err(PyValueError::new_err(format!("order {name:?}, expected 'C' or 'F'"))),
    }
}
