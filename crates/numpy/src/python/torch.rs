//! What a torch tensor's memory does not show: lazy bits and the autograd graph.

use ndbridge_dtype::{DType, Kind};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use pyo3::{intern, types::PyDict};

use super::error::ArrayError;

/// torch's own, looked up once per process.
struct Torch {
    tensor: Py<PyType>,
    is_neg: Py<PyAny>,
    is_conj: Py<PyAny>,
}

static TORCH: PyOnceLock<Torch> = PyOnceLock::new();

impl Torch {
    /// `None` unless something imported torch.
    fn loaded(py: Python<'_>) -> PyResult<Option<&'static Self>> {
        if let Some(torch) = TORCH.get(py) {
            return Ok(Some(torch));
        }
        let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
        let Some(module) = modules.get_item("torch")? else { return Ok(None) };
        // A module that is still being imported has no tensors yet.
        let Ok(tensor) = module.getattr("Tensor") else { return Ok(None) };
        let loaded = TORCH.get_or_try_init(py, || {
            Ok::<_, PyErr>(Self {
                is_neg: tensor.getattr("is_neg")?.unbind(),
                is_conj: tensor.getattr("is_conj")?.unbind(),
                tensor: tensor.cast_into::<PyType>()?.unbind(),
            })
        });
        loaded.map(Some)
    }
}

/// Whether `kind` is torch's tensor type, or a subclass.
pub(super) fn is_tensor_type(kind: &Bound<'_, PyType>) -> PyResult<bool> {
    match Torch::loaded(kind.py())? {
        Some(torch) => kind.is_subclass(torch.tensor.bind(kind.py())),
        None => Ok(false),
    }
}

/// Refuses a tensor whose memory is not its value: the conjugate or negative bit is set, or torch
/// must see what is done to it.
///
/// # Errors
/// `BufferError` that names the call which resolves it.
pub(super) fn check_plain(tensor: &Bound<'_, PyAny>, dtype: DType) -> PyResult<()> {
    let Some(torch) = Torch::loaded(tensor.py())? else { return Ok(()) };
    if tensor.getattr(intern!(tensor.py(), "requires_grad"))?.is_truthy()? {
        return Err(ArrayError::RequiresGrad.into());
    }
    if dtype.kind() == Kind::Complex && call(&torch.is_conj, tensor)?.is_truthy()? {
        return Err(ArrayError::Conjugate.into());
    }
    if call(&torch.is_neg, tensor)?.is_truthy()? {
        return Err(ArrayError::Negative.into());
    }
    Ok(())
}

/// `function(argument)`, without a tuple of arguments.
fn call<'py>(function: &Py<PyAny>, argument: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let end: *mut ffi::PyObject = std::ptr::null_mut();
    // SAFETY: live objects, and the null that ends them; attached.
    let result =
        unsafe { ffi::PyObject_CallFunctionObjArgs(function.as_ptr(), argument.as_ptr(), end) };
    // SAFETY: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(argument.py(), result) }
}

/// Makes torch refuse to resize the storage behind a host tensor for good, as its own `numpy()`
/// does: the memory would move away.
pub(super) fn pin_storage(tensor: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = tensor.py();
    let torch = py.import(intern!(py, "torch"))?;
    let storage = tensor.call_method0(intern!(py, "untyped_storage"))?;
    let bytes = torch.getattr(intern!(py, "uint8"))?;
    let options = PyDict::new(py);
    options.set_item(intern!(py, "dtype"), bytes)?;
    let nothing = torch.call_method(intern!(py, "empty"), (0,), Some(&options))?;
    let view = nothing.call_method1(intern!(py, "set_"), (storage, 0, (0,)))?;
    view.call_method0(intern!(py, "numpy"))?;
    Ok(())
}
