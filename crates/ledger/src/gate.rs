//! What lent memory asks before it gives a borrow.

/// Decides, on the calling thread, whether lent memory may be touched now.
///
/// A Python gate demands a thread attached to the interpreter: only then is it known that no Python
/// code runs beside the guard. Asked before **every** borrow of the memory; no lock of the ledger is
/// held meanwhile.
///
/// ```
/// use ndbridge_ledger::{Gate, GateError};
///
/// struct OnThread(std::thread::ThreadId);
/// impl Gate for OnThread {
///     fn check(&self) -> Result<(), GateError> {
///         if std::thread::current().id() == self.0 { return Ok(()) }
///         Err(GateError { gate: "one thread", reason: "borrow on the thread that owns the bytes" })
///     }
/// }
///
/// let gate = OnThread(std::thread::current().id());
/// assert!(gate.check().is_ok());
/// let elsewhere = std::thread::scope(|scope| scope.spawn(|| gate.check()).join().unwrap());
/// assert_eq!(
///     elsewhere.unwrap_err().to_string(),
///     "one thread refuses: borrow on the thread that owns the bytes"
/// );
/// ```
pub trait Gate: Send + Sync {
    /// Whether a borrow may be given to this thread now.
    ///
    /// # Errors
    /// Says which gate refused and what to do about it.
    fn check(&self) -> Result<(), GateError>;
}

/// A gate that is closed on this thread now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{gate} refuses: {reason}")]
pub struct GateError {
    /// Which gate, e.g. `"the Python interpreter"`.
    pub gate: &'static str,
    /// Why, and the call that would work.
    pub reason: &'static str,
}

/// The gate that is always open: for memory shared with code that is known to wait for its guards.
#[derive(Clone, Copy, Debug, Default)]
pub struct Always;

impl Gate for Always {
    fn check(&self) -> Result<(), GateError> {
        Ok(())
    }
}

/// The gate that is always closed: the bytes can be passed on, never borrowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Never;

impl Gate for Never {
    fn check(&self) -> Result<(), GateError> {
        Err(GateError { gate: "the closed gate", reason: "this memory is never borrowed: copy it" })
    }
}
