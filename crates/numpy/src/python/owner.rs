//! Python objects as owners of memory.

use ndbridge_tensor::Tensor;
use pyo3::prelude::*;

use super::gate::is_attached;
use crate::dlpack::ManagedOwner;

/// Keeps a Python object, and with it the memory it owns, alive.
///
/// Dropping it is right on every thread: without the interpreter's lock PyO3 sets the object aside
/// until some thread is attached, and after the interpreter has ended nothing is touched.
pub struct PythonOwner {
    // Some until it is dropped.
    kept: Option<Kept>,
}

struct Kept {
    object: Py<PyAny>,
    // Weak references to the arrays whose resizing would move the memory, since NumPy refuses to
    // resize an array as long as one exists; and an export of the buffer behind them.
    _pins: Vec<Py<PyAny>>,
    // The structure that a producer made for us: its deleter may run on any thread.
    _managed: Option<ManagedOwner>,
}

impl Drop for PythonOwner {
    fn drop(&mut self) {
        let kept = self.kept.take();
        if !is_attached() {
            return drop(kept);
        }
        // PyO3 does not know the threads on which foreign code deletes what it was given: it would
        // set the objects aside until the next call into this module.
        let _ = Python::try_attach(|_| drop(kept));
    }
}

impl PythonOwner {
    pub(super) fn new(
        object: Py<PyAny>,
        pins: Vec<Py<PyAny>>,
        managed: Option<ManagedOwner>,
    ) -> Self {
        Self { kept: Some(Kept { object, _pins: pins, _managed: managed }) }
    }
}

/// The Python object that owns the memory of `tensor`; `None` if the memory is not Python's.
#[must_use]
pub fn python_owner<'py>(py: Python<'py>, tensor: &Tensor) -> Option<Bound<'py, PyAny>> {
    let owner = tensor.storage().owner::<PythonOwner>()?;
    Some(owner.kept.as_ref()?.object.bind(py).clone())
}
