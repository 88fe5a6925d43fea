//! Python objects as owners of memory.

use ndbridge_tensor::Tensor;
use pyo3::prelude::*;

use crate::dlpack::ManagedOwner;

/// Keeps a Python object, and with it the memory it owns, alive.
///
/// Dropping it is right on every thread: without the interpreter's lock PyO3 sets the object aside
/// until some thread is attached, and after the interpreter has ended nothing is touched.
pub struct PythonOwner {
    object: Py<PyAny>,
    // Weak references to the arrays whose resizing would move the memory, since NumPy refuses to
    // resize an array as long as one exists; and an export of the buffer behind them.
    _pins: Vec<Py<PyAny>>,
    // The structure that a producer made for us: its deleter may run on any thread.
    _managed: Option<ManagedOwner>,
}

impl PythonOwner {
    pub(super) fn new(
        object: Py<PyAny>,
        pins: Vec<Py<PyAny>>,
        managed: Option<ManagedOwner>,
    ) -> Self {
        Self { object, _pins: pins, _managed: managed }
    }

    /// The object.
    #[must_use]
    pub fn object(&self) -> &Py<PyAny> {
        &self.object
    }
}

/// The Python object that owns the memory of `tensor`; `None` if the memory is not Python's.
#[must_use]
pub fn python_owner<'py>(py: Python<'py>, tensor: &Tensor) -> Option<Bound<'py, PyAny>> {
    let owner = tensor.storage().owner::<PythonOwner>()?;
    Some(owner.object.bind(py).clone())
}
