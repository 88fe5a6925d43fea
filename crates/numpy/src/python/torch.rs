//! What a torch tensor's memory does not show: lazy bits and the autograd graph.

use ndbridge_storage::{Gate, GateError};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyType};

use super::call::call;
use super::error::ArrayError;
use super::gate::PythonGate;
use super::once::{Once, intern};
use super::reference::Reference;
use crate::described::Described;

/// torch's own, looked up once per process.
struct Torch {
    tensor: Py<PyType>,
    is_neg: Py<PyAny>,
    is_conj: Py<PyAny>,
    /// `False`, which these answer of a plain tensor.
    no: Py<PyAny>,
}

static TORCH: Once<Torch> = Once::new();

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
                no: PyBool::new(py, false).to_owned().into_any().unbind(),
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

/// torch's own tensor type.
pub(super) fn table_holder(py: Python<'_>) -> PyResult<Option<Bound<'_, PyType>>> {
    Ok(Torch::loaded(py)?.map(|torch| torch.tensor.bind(py).clone()))
}

/// Refuses a tensor whose memory is not its value: the conjugate or negative bit is set, or torch
/// must see what is done to it. To be asked before the memory is looked at: torch lets other threads
/// run meanwhile.
///
/// # Errors
/// `BufferError` that names the call which resolves it.
pub(super) fn check_plain(tensor: &Bound<'_, PyAny>) -> PyResult<()> {
    let Some(torch) = Torch::loaded(tensor.py())? else { return Ok(()) };
    let check = || torch.check_real(tensor).and_then(|()| torch.check_conjugate(tensor));
    match check() {
        // A subclass that lets nobody ask: torch itself is asked past it.
        Err(error) if error.is_instance_of::<PyRuntimeError>(tensor.py()) => {
            past_subclasses(tensor.py(), check)
        }
        checked => checked,
    }
}

/// As [`check_plain`], but for the conjugate bit, which only complex tensors have.
#[inline]
pub(super) fn check_real(tensor: &Bound<'_, PyAny>) -> PyResult<()> {
    match TORCH.get(tensor.py()) {
        Some(torch) => torch.check_real(tensor),
        None => check_plain(tensor),
    }
}

impl Torch {
    #[inline]
    fn check_real(&self, tensor: &Bound<'_, PyAny>) -> PyResult<()> {
        if !self.is_no(&tensor.getattr(intern!(tensor.py(), "requires_grad"))?) {
            return Err(ArrayError::RequiresGrad.into());
        }
        if !self.is_no(&call(&self.is_neg, tensor)?) {
            return Err(ArrayError::Negative.into());
        }
        Ok(())
    }

    fn check_conjugate(&self, tensor: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.is_no(&call(&self.is_conj, tensor)?) {
            return Ok(());
        }
        Err(ArrayError::Conjugate.into())
    }

    #[inline]
    fn is_no(&self, answer: &Bound<'_, PyAny>) -> bool {
        answer.as_ptr() == self.no.as_ptr()
    }
}

/// Why torch gives no memory for a tensor: its layout or its device has none.
#[cold]
pub(super) fn in_our_words(tensor: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let text = |name| tensor.getattr(name).map(|value| value.to_string());
    let (Ok(layout), Ok(device)) = (text("layout"), text("device")) else { return error };
    let is_true = |name| tensor.getattr(name).and_then(|value| value.is_truthy()).unwrap_or(false);
    let remedy = match () {
        () if is_true("is_quantized") => ": pass x.dequantize() or x.int_repr() (copies)",
        () if layout != "torch.strided" => ": pass x.to_dense() (copies)",
        () if !matches!(device.as_str(), "cpu" | "meta") => ": pass x.cpu() (copies)",
        () => "",
    };
    let text = error.value(tensor.py()).to_string();
    let reason = text.lines().next().unwrap_or_default().to_owned();
    ArrayError::TorchMemory { layout, device, reason, remedy }.into()
}

/// The gate of a torch storage: that of Python, and shut once torch has put other memory into the
/// storage, as `share_memory_()` does, which frees what was there.
pub(super) struct TorchGate {
    storage: Reference,
    address: usize,
}

impl Gate for TorchGate {
    fn check(&self) -> Result<(), GateError> {
        PythonGate.check()?;
        let now = Python::try_attach(|py| self.storage.bind(py).map(address)).flatten();
        if now.is_some_and(|now| now.is_ok_and(|now| now == self.address)) {
            return Ok(());
        }
        let reason = "torch put other memory into the tensor's storage, as share_memory_() does, and \
                      freed this: import the tensor again";
        Err(GateError { gate: "the gate of a torch storage", reason })
    }
}

/// Where a storage begins.
fn address(storage: &Bound<'_, PyAny>) -> PyResult<usize> {
    storage.call_method0(intern!(storage.py(), "data_ptr"))?.extract()
}

/// Makes torch refuse to resize the storage behind a host tensor for good, as its own `numpy()`
/// does: the memory would move away. Gives the gate of the storage, which keeps it.
///
/// # Errors
/// What torch raises.
pub(super) fn pin_storage(tensor: &Bound<'_, PyAny>) -> PyResult<TorchGate> {
    past_subclasses(tensor.py(), || {
        let py = tensor.py();
        let torch = py.import(intern!(py, "torch"))?;
        let storage = tensor.call_method0(intern!(py, "untyped_storage"))?;
        let options = PyDict::new(py);
        options.set_item(intern!(py, "dtype"), torch.getattr(intern!(py, "uint8"))?)?;
        let nothing = torch.call_method(intern!(py, "empty"), (0,), Some(&options))?;
        let view = nothing.call_method1(intern!(py, "set_"), (&storage, 0, (0,)))?;
        view.call_method0(intern!(py, "numpy"))?;
        Ok(TorchGate { address: address(&storage)?, storage: storage.unbind().into() })
    })
}

/// Whether the elements lie in the storage, which other code may have resized below its tensors.
///
/// # Errors
/// `BufferError` if they do not.
pub(super) fn check_inside(gate: &TorchGate, py: Python<'_>, elements: &Described) -> PyResult<()> {
    let Some(storage) = gate.storage.bind(py) else { return Ok(()) };
    let len_bytes: usize = storage.call_method0(intern!(py, "nbytes"))?.extract()?;
    let end = gate.address.saturating_add(len_bytes);
    match elements.addresses() {
        Some((from, to)) if from < gate.address || to > end => {
            Err(ArrayError::TorchStorage { len_bytes }.into())
        }
        _ => Ok(()),
    }
}

/// Runs `ask` with torch itself to answer, and not a subclass of its tensor.
fn past_subclasses<R>(py: Python<'_>, ask: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    let aside = py.import(intern!(py, "torch._C"))?;
    let aside = aside.getattr(intern!(py, "DisableTorchFunctionSubclass"))?.call0()?;
    aside.call_method0(intern!(py, "__enter__"))?;
    let answer = ask();
    aside.call_method1(intern!(py, "__exit__"), (py.None(), py.None(), py.None()))?;
    answer
}
