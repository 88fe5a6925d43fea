//! Memory that Python code may reach is borrowed only while this thread keeps Python still.

use std::sync::{Arc, LazyLock};

use ndbridge_storage::{Gate, GateError};
use pyo3::ffi;

/// The gate of memory lent to, or by, Python: open for threads that are attached to the
/// interpreter (hold the GIL).
#[derive(Clone, Copy, Debug, Default)]
pub struct PythonGate;

impl PythonGate {
    /// The gate for a storage.
    #[must_use]
    pub fn shared() -> Arc<dyn Gate> {
        static SHARED: LazyLock<Arc<PythonGate>> = LazyLock::new(|| Arc::new(PythonGate));
        Arc::<PythonGate>::clone(&SHARED)
    }
}

const NAME: &str = "the Python gate";

impl Gate for PythonGate {
    fn check(&self) -> Result<(), GateError> {
        // SAFETY: may be called at any time, also without an interpreter.
        if unsafe { ffi::Py_IsInitialized() } == 0 {
            return Err(GateError { gate: NAME, reason: "the interpreter has ended" });
        }
        if is_attached() {
            return Ok(());
        }
        let reason = "this thread is not attached to Python: borrow inside Python::attach";
        Err(GateError { gate: NAME, reason })
    }
}

/// Whether this thread is attached to the interpreter, which is running.
fn is_attached() -> bool {
    // SAFETY: may be called from any thread while there is an interpreter.
    if unsafe { ffi::PyGILState_GetThisThreadState() }.is_null() {
        return false;
    }
    // The stable ABI does not offer PyGILState_Check. For an attached thread this pair only counts
    // up and down; one that has let go attaches for a moment, and is then refused.
    // SAFETY: there is an interpreter.
    let before = unsafe { ffi::PyGILState_Ensure() };
    let attached = matches!(before, ffi::PyGILState_STATE::PyGILState_LOCKED);
    // SAFETY: undoes the call above.
    unsafe { ffi::PyGILState_Release(before) };
    attached
}
