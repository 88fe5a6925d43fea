//! Memory that Python code may reach is borrowed only while this thread keeps Python still.

use std::sync::{Arc, OnceLock};

use ndbridge_storage::{Gate, GateError, fork};

use crate::interpreter::{is_attached, why_detached};

/// The gate of memory lent to, or by, Python: open for threads that are attached to the main
/// interpreter of the process (hold its GIL).
///
/// It opens with the ledger of the process ([`join_ledger`](crate::join_ledger)). In subinterpreters,
/// and on a Python without a GIL, where other threads run Python code beside this one, it stays shut.
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

impl Gate for PythonGate {
    #[inline]
    fn check(&self) -> Result<(), GateError> {
        if is_attached() {
            return Ok(());
        }
        Err(GateError { gate: "the Python gate", reason: why_detached() })
    }
}
