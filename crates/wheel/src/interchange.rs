//! Methods of `Tensor` by which its memory goes to other libraries, processes and files.

use ndbridge::python::{
    DlpackForm, ObjectError, array_interface, cuda_array_interface, from_numpy, settle,
    settle_move, to_cupy, to_dlpack_on, to_jax, to_py_err, to_tensorflow, to_torch,
};
use ndbridge::storage::{ALIGN_BYTES, BorrowKind, Mutability};
use ndbridge::{CopyOrder, DType, Device, Order, Tensor, dlpack};
use pyo3::exceptions::{PyAttributeError, PyBufferError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::argument::array_of_buffer;
use crate::dtype::DTypeArgument;
use crate::index::integers;
use crate::tensor::{PyTensor, order_of};

#[pymethods]
impl PyTensor {
    /// The tensor as a torch tensor that shares its memory.
    fn torch<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_torch(py, &self.tensor)
    }

    /// The tensor as an eager TensorFlow tensor that shares its memory.
    fn tensorflow<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_tensorflow(py, &self.tensor)
    }

    /// The tensor as a JAX array that shares its memory.
    fn jax<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_jax(py, &self.tensor)
    }

    /// The tensor as a CuPy array that shares its memory, which must be a CUDA device's.
    fn cupy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_cupy(py, &self.tensor)
    }

    /// A DLPack capsule that shares the memory; `copy=True` gives one that holds a copy.
    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<i64>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let own = self.__dlpack_device__()?;
        let asked = dl_device.unwrap_or(own);
        let here = self.tensor.device();
        let target = if asked == own { here } else { device_asked(asked, own)? };
        let moves = here != target && !(here.is_host() && target.is_host());
        if stream.is_some() && target.is_host() {
            let text = "stream must be None: host memory has no streams";
            return Err(PyValueError::new_err(text));
        }
        if moves && copy == Some(false) {
            let text =
                format!("tensor is on DLPack device {own:?}, asked for {asked:?}: allow a copy");
            return Err(PyBufferError::new_err(text));
        }
        // Pinned memory is plain host memory to who asks for that.
        let form = DlpackForm { max_version, is_copied: moves, as_host: target == Device::Cpu };
        if !moves && copy != Some(true) {
            self.check_consumer(py)?;
            return to_dlpack_on(py, &self.tensor, stream, form);
        }
        let copied = match moves {
            true => {
                settle_move(py, &self.tensor, target, false)?;
                self.tensor.to_device(target)
            }
            false => {
                settle(py, &self.tensor, BorrowKind::Read)?;
                self.tensor.copy(CopyOrder::Keep)
            }
        };
        let form = DlpackForm { is_copied: true, ..form };
        to_dlpack_on(py, &copied.map_err(to_py_err)?, stream, form)
    }

    /// DLPack's numbers of the device: (1, 0) is the host, (2, i) a CUDA device.
    fn __dlpack_device__(&self) -> PyResult<(i32, i32)> {
        let device = dlpack::device_of(self.tensor.device()).map_err(ObjectError::from)?;
        Ok((device.kind, device.id))
    }

    #[classattr]
    #[pyo3(name = "__dlpack_c_exchange_api__")]
    fn exchange_api(py: Python<'_>) -> PyResult<Py<PyAny>> {
        crate::exchange::for_all(py)
    }

    #[classattr]
    #[pyo3(name = "__ndbridge_exchange_api__")]
    fn own_exchange_api(py: Python<'_>) -> PyResult<Py<PyAny>> {
        crate::exchange::for_ndbridge(py)
    }

    /// NumPy's dictionary of address, shape, strides and type.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        array_interface(py, &self.tensor)?.ok_or_else(|| self.has_no("__array_interface__"))
    }

    /// Numba's dictionary for memory on a CUDA device; host tensors have none.
    #[getter]
    fn __cuda_array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let interface = cuda_array_interface(py, &self.tensor)?;
        interface.ok_or_else(|| self.has_no("__cuda_array_interface__"))
    }

    /// Another handle to the same memory.
    fn __copy__(&self) -> Self {
        self.tensor.clone().into()
    }

    /// A copy in private memory.
    fn __deepcopy__(&self, memo: &Bound<'_, PyAny>) -> PyResult<Self> {
        settle(memo.py(), &self.tensor, BorrowKind::Read)?;
        self.tensor.copy(CopyOrder::Keep).map(Self::from).map_err(to_py_err)
    }

    /// For pickle: with protocol 5 the memory itself, which goes out of band if the pickler has a
    /// place for buffers. Like a memoryview, such a buffer is live memory and no borrow of it; but
    /// memory that is being written is refused, since most picklers read it at once.
    fn __reduce_ex__<'py>(
        &self,
        py: Python<'py>,
        protocol: i32,
    ) -> PyResult<(Bound<'py, PyAny>, Pickled<'py>)> {
        let kind = match protocol >= 5 {
            true => py.import("pickle")?.getattr("PickleBuffer")?,
            false => py.get_type::<pyo3::types::PyBytes>().into_any(),
        };
        settle(py, &self.tensor, BorrowKind::Read)?;
        let (order, bytes) = flat_bytes(&self.tensor)?;
        if bytes.device().is_host() {
            // Let go of before the memory is lent; no other code runs in between.
            drop(bytes.bytes().map_err(to_py_err)?);
        }
        let buffer = kind.call1((Bound::new(py, Self::from(bytes))?,))?;
        let shape = PyTuple::new(py, self.tensor.shape())?;
        let (dtype, read_only) = (self.tensor.dtype().name(), self.tensor.is_read_only());
        let rebuild = py.import("ndbridge._ndbridge")?.getattr("_rebuild")?;
        Ok((rebuild, (buffer, dtype, shape, order, read_only)))
    }
}

impl PyTensor {
    fn has_no(&self, attribute: &str) -> PyErr {
        let (dtype, device) = (self.tensor.dtype(), self.tensor.device());
        PyAttributeError::new_err(format!("no {attribute} for {dtype} on {device}"))
    }

    /// Refuses torch what it cannot hold: it writes read-only memory whatever the capsule says, and
    /// has odd words for axes that run backwards. Who calls shows in nothing but the caller's module.
    fn check_consumer(&self, py: Python<'_>) -> PyResult<()> {
        let Some(refusal) = self.refusal_to_torch() else { return Ok(()) };
        let Ok(frame) = py.import("sys")?.call_method0("_getframe") else { return Ok(()) };
        let module = frame.getattr("f_globals")?.get_item("__name__");
        let name = module.and_then(|name| name.extract::<String>()).unwrap_or_default();
        match name.split('.').next() {
            Some("torch") => Err(PyBufferError::new_err(refusal)),
            _ => Ok(()),
        }
    }

    fn refusal_to_torch(&self) -> Option<&'static str> {
        if self.tensor.mutability() == Mutability::ReadOnly {
            return Some("torch has no read-only tensors: call clone() first (copies)");
        }
        let mut axes = self.tensor.shape().iter().zip(self.tensor.strides());
        let runs_backwards = axes.any(|(&len, &stride)| len > 1 && stride < 0);
        (runs_backwards && !self.tensor.is_empty())
            .then_some("torch has no negative strides: call contiguous() first (copies)")
    }
}

/// The device of DLPack's numbers, for a copy to go there.
fn device_asked(asked: (i32, i32), own: (i32, i32)) -> PyResult<Device> {
    let device = Device::from_dlpack(asked.0, asked.1).filter(|device| {
        // Pinned and managed memory are where memory is, not where a copy is asked for.
        let is_place = *device != Device::CudaHost && device.to_dlpack() == Some(asked);
        is_place && device.check_exists().is_ok()
    });
    device.ok_or_else(|| {
        let text = format!("tensor is on DLPack device {own:?}, cannot be had on {asked:?}");
        PyBufferError::new_err(text)
    })
}

/// Buffer, data type, shape, order and whether it is read-only.
type Pickled<'py> = (Bound<'py, PyAny>, &'static str, Bound<'py, PyTuple>, &'static str, bool);

/// The elements as bytes in memory order, and that order; a copy if there are gaps.
fn flat_bytes(tensor: &Tensor) -> PyResult<(&'static str, Tensor)> {
    let is_fortran = tensor.is_contiguous(Order::F) && !tensor.is_contiguous(Order::C);
    let (order, in_order) = if is_fortran {
        ("F", tensor.transpose())
    } else if tensor.is_contiguous(Order::C) {
        ("C", Ok(tensor.clone()))
    } else {
        ("C", tensor.copy(CopyOrder::C))
    };
    let flat = in_order.and_then(|tensor| tensor.reshape(&[-1])).map_err(to_py_err)?;
    Ok((order, flat.reinterpret(DType::U8).map_err(to_py_err)?))
}

/// Makes a tensor of what `Tensor.__reduce_ex__` gave to pickle: shares the buffer if it is aligned
/// and may be written (or need not), else copies it.
#[pyfunction]
pub fn _rebuild(
    buffer: &Bound<'_, PyAny>,
    dtype: DTypeArgument,
    shape: &Bound<'_, PyAny>,
    order: &str,
    read_only: bool,
) -> PyResult<PyTensor> {
    let shape: Vec<usize> = integers(shape)?;
    let bytes = from_numpy(&array_of_buffer(buffer)?)?;
    let will_do = bytes.is_empty() || bytes.as_ptr().addr().is_multiple_of(ALIGN_BYTES);
    let bytes = match will_do && (read_only || !bytes.is_read_only()) {
        true => bytes,
        false => bytes.copy(CopyOrder::C).map_err(to_py_err)?,
    };
    let tensor = shaped(&bytes, dtype.0, &shape, order_of(order)?).map_err(to_py_err)?;
    // The only handle, if the bytes were copied.
    drop(bytes);
    Ok(if read_only { tensor.into_constant() } else { tensor }.into())
}

fn shaped(
    bytes: &Tensor,
    dtype: DType,
    shape: &[usize],
    order: Order,
) -> Result<Tensor, ndbridge::TensorError> {
    // A length past isize is too large for any shape.
    let lens = shape.iter().map(|&len| isize::try_from(len).unwrap_or(isize::MAX));
    let mut lens: Vec<isize> = lens.collect();
    let flat = bytes.reshape(&[-1])?.reinterpret(DType::U8)?.reinterpret(dtype)?;
    if order == Order::C {
        return flat.reshape(&lens);
    }
    lens.reverse();
    flat.reshape(&lens)?.transpose()
}
