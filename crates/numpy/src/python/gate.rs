//! Memory that Python code may reach is borrowed only while this thread keeps Python still.

use std::ffi::c_int;
use std::sync::{Arc, OnceLock};

use ndbridge_storage::{Gate, GateError, fork};
use pyo3::ffi;

/// The gate of memory lent to, or by, Python: open for threads that are attached to the
/// interpreter (hold the GIL).
#[derive(Clone, Copy, Debug, Default)]
pub struct PythonGate;

impl PythonGate {
    /// The gate for a storage.
    #[must_use]
    pub fn shared() -> Arc<dyn Gate> {
        static SHARED: OnceLock<Arc<PythonGate>> = OnceLock::new();
        Arc::<PythonGate>::clone(fork::get_or_init(&SHARED, || Arc::new(PythonGate)))
    }
}

const NAME: &str = "the Python gate";

impl Gate for PythonGate {
    fn check(&self) -> Result<(), GateError> {
        if is_attached() {
            return Ok(());
        }
        let reason = "this thread is not attached to Python (or Python has ended): borrow inside \
                      Python::attach";
        Err(GateError { gate: NAME, reason })
    }
}

unsafe extern "C" {
    /// Exported by every interpreter, though not part of the stable ABI.
    fn PyGILState_Check() -> c_int;
}

/// Whether this thread is attached to the interpreter, and that is running. Never waits.
pub(super) fn is_attached() -> bool {
    // SAFETY: may be called at any time, also without an interpreter.
    if unsafe { ffi::Py_IsInitialized() } == 0 {
        return false;
    }
    // SAFETY: there is an interpreter; any thread may ask.
    unsafe { PyGILState_Check() != 0 }
}
