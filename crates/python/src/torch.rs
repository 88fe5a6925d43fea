//! What a torch tensor's memory does not show: lazy bits, the autograd graph, and that other code may
//! take it away.
//!
//! A reference to a tensor keeps its memory only until somebody puts other memory into it:
//!
//! ```text
//! x.data = y, x.set_(..), swap_tensors(x, y)   give x another storage: a reference to the former keeps it
//! x.resize_(n), f(.., out=x), storage.resize_  move what is in the storage: refused by torch once
//!                                              NumPy has had an array of it
//! x.share_memory_(), multiprocessing           moves it to shared memory: nothing stops that
//! ```
//!
//! So whatever is taken of torch holds the storage, and has made it one that is not resized, for good,
//! as `x.numpy()` does.

use ndbridge_interpreter::{PythonGate, Reference, call, intern, once::Once};
use ndbridge_storage::{Gate, GateError};
use ndbridge_tensor::Outside;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyType};

use crate::error::ObjectError;

/// torch's own, looked up once per process.
struct Torch {
    tensor: Py<PyType>,
    is_neg: Py<PyAny>,
    is_conj: Py<PyAny>,
    untyped_storage: Py<PyAny>,
    numpy: Py<PyAny>,
    /// Of a storage.
    resizable: Py<PyAny>,
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
                untyped_storage: tensor.getattr("untyped_storage")?.unbind(),
                numpy: tensor.getattr("numpy")?.unbind(),
                resizable: module.getattr("UntypedStorage")?.getattr("resizable")?.unbind(),
                no: PyBool::new(py, false).to_owned().into_any().unbind(),
                tensor: tensor.cast_into::<PyType>()?.unbind(),
            })
        });
        loaded.map(Some)
    }
}

/// Whether `kind` is torch's tensor type, or a subclass.
pub(crate) fn is_tensor_type(kind: &Bound<'_, PyType>) -> PyResult<bool> {
    match Torch::loaded(kind.py())? {
        Some(torch) => kind.is_subclass(torch.tensor.bind(kind.py())),
        None => Ok(false),
    }
}

/// torch's own tensor type.
pub(crate) fn table_holder(py: Python<'_>) -> PyResult<Option<Bound<'_, PyType>>> {
    Ok(Torch::loaded(py)?.map(|torch| torch.tensor.bind(py).clone()))
}

/// Refuses a tensor whose memory is not its value: the conjugate or negative bit is set, or torch
/// must see what is done to it. To be asked before the memory is looked at: torch lets other threads
/// run meanwhile.
///
/// # Errors
/// `BufferError` that names the call which resolves it.
pub(crate) fn check_plain(tensor: &Bound<'_, PyAny>) -> PyResult<()> {
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
pub(crate) fn check_real(tensor: &Bound<'_, PyAny>) -> PyResult<()> {
    match TORCH.get(tensor.py()) {
        Some(torch) => torch.check_real(tensor),
        None => check_plain(tensor),
    }
}

impl Torch {
    #[inline]
    fn check_real(&self, tensor: &Bound<'_, PyAny>) -> PyResult<()> {
        if !self.is_no(&tensor.getattr(intern!(tensor.py(), "requires_grad"))?) {
            return Err(ObjectError::RequiresGrad.into());
        }
        if !self.is_no(&call(&self.is_neg, tensor)?) {
            return Err(ObjectError::Negative.into());
        }
        Ok(())
    }

    fn check_conjugate(&self, tensor: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.is_no(&call(&self.is_conj, tensor)?) {
            return Ok(());
        }
        Err(ObjectError::Conjugate.into())
    }

    #[inline]
    fn is_no(&self, answer: &Bound<'_, PyAny>) -> bool {
        answer.as_ptr() == self.no.as_ptr()
    }
}

/// Why torch gives no memory for a tensor: its layout or its device has none.
#[cold]
pub(crate) fn in_our_words(tensor: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
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
    ObjectError::TorchMemory { layout, device, reason, remedy }.into()
}

/// The gate of a torch storage: that of Python, and shut once torch has put other memory into the
/// storage, as `share_memory_()` does, which frees what was there.
pub(crate) struct TorchGate {
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

impl TorchGate {
    /// The gate of a storage, which it keeps.
    ///
    /// # Errors
    /// What torch raises.
    pub(crate) fn of(storage: Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self { address: address(&storage)?, storage: storage.unbind().into() })
    }
}

/// Where a storage begins.
fn address(storage: &Bound<'_, PyAny>) -> PyResult<usize> {
    storage.call_method0(intern!(storage.py(), "data_ptr"))?.extract()
}

/// The storage of a host tensor, which torch will not resize from now on.
///
/// # Errors
/// What torch raises; a tensor of a device, or without plain memory.
#[inline]
pub(crate) fn kept_storage<'py>(tensor: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = tensor.py();
    let Some(torch) = Torch::loaded(py)? else { return Err(not_kept()) };
    let storage = torch.storage_of(tensor)?;
    if !torch.is_no(&call(&torch.resizable, &storage)?) {
        torch.pin(tensor, &storage)?;
    }
    Ok(storage)
}

/// Whether `storage` is the tensor's. Asked after its elements were looked at: to make the object that
/// stands for a storage may run Python code, by the garbage collector.
#[inline]
pub(crate) fn is_storage_of(storage: &Bound<'_, PyAny>, tensor: &Bound<'_, PyAny>) -> bool {
    let now = TORCH.get(tensor.py()).and_then(|torch| torch.storage_of(tensor).ok());
    now.is_some_and(|now| now.is(storage))
}

fn not_kept() -> PyErr {
    PyRuntimeError::new_err("torch does not keep its storage in its place")
}

impl Torch {
    #[inline]
    fn storage_of<'py>(&self, tensor: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.ask(tensor, || call(&self.untyped_storage, tensor))
    }

    /// Asks torch itself: a subclass may answer for it, and may answer anything.
    #[inline]
    fn ask<R>(&self, tensor: &Bound<'_, PyAny>, ask: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
        match tensor.get_type_ptr() == self.tensor.as_ptr().cast() {
            true => ask(),
            false => past_subclasses(tensor.py(), ask),
        }
    }

    /// Makes torch refuse to resize the tensor's storage, as NumPy's having it does.
    #[cold]
    fn pin(&self, tensor: &Bound<'_, PyAny>, storage: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = tensor.py();
        let is_host = self.ask(tensor, || tensor.getattr(intern!(py, "is_cpu")))?;
        if !is_host.extract::<bool>()? {
            return Err(not_kept());
        }
        let is_pinned = || Ok::<_, PyErr>(self.is_no(&call(&self.resizable, storage)?));
        // Not of the data types that NumPy does not have.
        if call(&self.numpy, tensor).is_ok() && is_pinned()? {
            return Ok(());
        }
        past_subclasses(py, || {
            let torch = py.import(intern!(py, "torch"))?;
            let options = PyDict::new(py);
            options.set_item(intern!(py, "dtype"), torch.getattr(intern!(py, "uint8"))?)?;
            let nothing = torch.call_method(intern!(py, "empty"), (0,), Some(&options))?;
            let view = nothing.call_method1(intern!(py, "set_"), (storage, 0, (0,)))?;
            view.call_method0(intern!(py, "numpy"))
        })?;
        if is_pinned()? { Ok(()) } else { Err(not_kept()) }
    }
}

/// Whether the elements lie in the storage, which other code may have resized below its tensors.
///
/// # Errors
/// `BufferError` if they do not.
pub(crate) fn check_inside(storage: &Bound<'_, PyAny>, elements: &Outside) -> PyResult<()> {
    let Some((from, to)) = elements.addresses() else { return Ok(()) };
    let start = address(storage)?;
    let nbytes = storage.call_method0(intern!(storage.py(), "nbytes"))?;
    let len_bytes: usize = nbytes.extract()?;
    if from < start || to > start.saturating_add(len_bytes) {
        return Err(ObjectError::TorchStorage { len_bytes }.into());
    }
    Ok(())
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
