//! Python objects as owners of memory.

use ndbridge_tensor::Tensor;
use pyo3::prelude::*;

use crate::reference::References;

/// Keeps a Python object, and with it the memory it owns, alive.
///
/// Dropping it is right on every thread: one that is not attached to Python sets the objects aside
/// until some thread is, and after the interpreter has ended nothing is touched.
pub struct PythonOwner {
    // The last one is the object. The others are weak references to the arrays whose resizing would
    // move the memory, since NumPy refuses to resize an array as long as one exists; and an export of
    // the buffer behind them.
    objects: References,
    // What a producer made for us, and may be given up on any thread.
    _also: Option<Box<dyn Send + Sync>>,
}

impl PythonOwner {
    /// The owner `object`, what pins its memory to its place, and what else must live as long: it is
    /// dropped on whatever thread drops this.
    #[must_use]
    pub fn new(
        object: Py<PyAny>,
        mut pins: Vec<Py<PyAny>>,
        also: Option<Box<dyn Send + Sync>>,
    ) -> Self {
        pins.push(object);
        Self { objects: pins.into(), _also: also }
    }
}

/// The Python object that owns the memory of `tensor`; `None` if the memory is not Python's.
#[must_use]
pub fn python_owner<'py>(py: Python<'py>, tensor: &Tensor) -> Option<Bound<'py, PyAny>> {
    let owner = tensor.storage().owner::<PythonOwner>()?;
    owner.objects.last(py).cloned()
}
