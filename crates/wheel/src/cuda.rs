//! `ndbridge.cuda`: devices, their memory and their streams.

use std::cell::RefCell;

use ndbridge::cuda::{self, Stream, StreamScope};
use ndbridge::python::to_py_err;
use ndbridge::storage::StorageError;
use ndbridge::{Device, TensorError};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

fn as_exception(error: StorageError) -> PyErr {
    to_py_err(TensorError::from(error))
}

/// A device: its number, or a name such as 'cuda:1'.
pub struct DeviceArgument(usize);

impl<'py> FromPyObject<'_, 'py> for DeviceArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(ordinal) = object.extract::<usize>() {
            return Ok(Self(ordinal));
        }
        let name: String = object.extract().map_err(|_| {
            PyTypeError::new_err("a CUDA device is a number or a name such as 'cuda:1'")
        })?;
        match name.parse() {
            Ok(Device::Cuda(ordinal)) => Ok(Self(ordinal)),
            Ok(other) => Err(PyValueError::new_err(format!("{other} is no CUDA device"))),
            Err(error) => Err(PyValueError::new_err(error.to_string())),
        }
    }
}

/// Whether there is a CUDA driver and at least one device.
#[pyfunction]
pub fn is_available() -> bool {
    cuda::is_available()
}

/// Number of CUDA devices; 0 without a driver.
#[pyfunction]
pub fn device_count() -> usize {
    cuda::device_count().unwrap_or(0)
}

/// The vendor's name of a device.
#[pyfunction]
#[pyo3(signature = (device=DeviceArgument(0)), text_signature = "(device=0)")]
pub fn device_name(device: DeviceArgument) -> PyResult<String> {
    cuda::device_name(device.0).map_err(as_exception)
}

/// Bytes in use, held and free on a device, by name.
#[pyfunction]
#[pyo3(signature = (device=DeviceArgument(0)), text_signature = "(device=0)")]
pub fn memory_stats(py: Python<'_>, device: DeviceArgument) -> PyResult<Bound<'_, PyDict>> {
    let stats = cuda::memory_stats(device.0).map_err(as_exception)?;
    let named = PyDict::new(py);
    named.set_item("used_bytes", stats.used_bytes)?;
    named.set_item("used_peak_bytes", stats.used_peak_bytes)?;
    named.set_item("reserved_bytes", stats.reserved_bytes)?;
    named.set_item("reserved_peak_bytes", stats.reserved_peak_bytes)?;
    named.set_item("free_bytes", stats.free_bytes)?;
    named.set_item("total_bytes", stats.total_bytes)?;
    named.set_item("pinned_kept_bytes", stats.pinned_kept_bytes)?;
    Ok(named)
}

/// Starts the peaks of memory_stats anew.
#[pyfunction]
#[pyo3(signature = (device=DeviceArgument(0)), text_signature = "(device=0)")]
pub fn reset_peak_memory_stats(device: DeviceArgument) -> PyResult<()> {
    cuda::reset_peak_stats(device.0).map_err(as_exception)
}

/// Sets how many unused bytes are kept when the device is synchronised; all, unless set.
#[pyfunction]
#[pyo3(signature = (bytes, device=DeviceArgument(0)), text_signature = "(bytes, device=0)")]
pub fn set_release_threshold(bytes: usize, device: DeviceArgument) -> PyResult<()> {
    cuda::set_release_threshold(device.0, bytes).map_err(as_exception)
}

/// Gives back the memory of a device that is kept unused, and pinned memory that is.
#[pyfunction]
#[pyo3(signature = (device=DeviceArgument(0)), text_signature = "(device=0)")]
pub fn empty_cache(py: Python<'_>, device: DeviceArgument) -> PyResult<()> {
    py.detach(|| cuda::empty_cache(device.0)).map_err(as_exception)
}

/// Waits until all work on a device has run; other threads run Python meanwhile.
#[pyfunction]
#[pyo3(signature = (device=DeviceArgument(0)), text_signature = "(device=0)")]
pub fn synchronize(py: Python<'_>, device: DeviceArgument) -> PyResult<()> {
    py.detach(|| cuda::synchronize(device.0)).map_err(as_exception)
}

/// The stream that this thread's work on a device goes to.
#[pyfunction]
#[pyo3(signature = (device=DeviceArgument(0)), text_signature = "(device=0)")]
pub fn current_stream(device: DeviceArgument) -> PyResult<PyStream> {
    cuda::current_stream(device.0).map(PyStream).map_err(as_exception)
}

thread_local! {
    /// The `with` blocks that this thread is in.
    static SCOPES: RefCell<Vec<(Stream, StreamScope)>> = const { RefCell::new(Vec::new()) };
}

/// A queue of work on one device. `with stream:` makes it this thread's current one.
#[pyclass(name = "Stream", module = "ndbridge.cuda", frozen, eq)]
#[derive(PartialEq)]
pub struct PyStream(Stream);

#[pymethods]
impl PyStream {
    #[new]
    #[pyo3(signature = (device=DeviceArgument(0)), text_signature = "(device=0)")]
    fn new(device: DeviceArgument) -> PyResult<Self> {
        Stream::new(device.0).map(Self).map_err(as_exception)
    }

    /// A stream that another library made, by its handle, such as
    /// torch.cuda.current_stream().cuda_stream or a cupy.cuda.Stream's ptr; 1 is the legacy default
    /// stream (torch names it 0: pass 1), 2 the per-thread one. It must live while this is used.
    #[staticmethod]
    #[pyo3(signature = (handle, device=DeviceArgument(0)), text_signature = "(handle, device=0)")]
    fn external(handle: usize, device: DeviceArgument) -> PyResult<Self> {
        // SAFETY: the caller's word, as the documentation asks; a handle is a number in Python.
        unsafe { Stream::external(device.0, handle) }.map(Self).map_err(as_exception)
    }

    /// The name of the device.
    #[getter]
    fn device(&self) -> String {
        Device::Cuda(self.0.ordinal()).to_string()
    }

    /// The driver's handle.
    #[getter]
    fn handle(&self) -> usize {
        self.0.handle()
    }

    /// Version and handle, as CUDA's libraries for Python ask for them.
    fn __cuda_stream__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, [0, self.0.handle()])
    }

    /// Waits until everything on the stream so far has run; other threads run Python meanwhile.
    fn synchronize(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.synchronize()).map_err(as_exception)
    }

    /// Whether everything on the stream so far has run.
    fn query(&self) -> PyResult<bool> {
        self.0.is_done().map_err(as_exception)
    }

    /// Makes later work on this stream wait for what is on the other one now.
    fn wait_stream(&self, other: &Self) -> PyResult<()> {
        self.0.wait_for(&other.0).map_err(as_exception)
    }

    fn __enter__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        let stream = slf.get().0.clone();
        let scope = StreamScope::enter(&stream);
        SCOPES.with_borrow_mut(|scopes| scopes.push((stream, scope)));
        slf.clone()
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        // Its own, the last one: generators leave their blocks when they like.
        let scope = SCOPES.with_borrow_mut(|scopes| {
            let at = scopes.iter().rposition(|(stream, _)| *stream == self.0)?;
            Some(scopes.remove(at))
        });
        let left = "the `with` block of this stream was not entered on this thread";
        scope.map(drop).ok_or_else(|| PyRuntimeError::new_err(left))
    }

    fn __hash__(&self) -> usize {
        self.0.handle()
    }

    fn __repr__(&self) -> String {
        format!("Stream(device='{}', handle={:#x})", self.device(), self.0.handle())
    }
}
