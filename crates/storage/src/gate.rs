//! What lent memory asks before it gives a borrow.

/// Decides, on the calling thread, whether lent memory may be touched now.
///
/// A Python gate demands a thread attached to the interpreter: only then is it known that no Python
/// code runs beside the guard. The storage asks before **every** borrow; no lock of the ledger is
/// held meanwhile.
///
/// ```
/// use std::sync::Arc;
/// use ndbridge_storage::{BorrowKind, Gate, GateError, Region, Storage};
///
/// struct OnThread(std::thread::ThreadId);
/// impl Gate for OnThread {
///     fn check(&self) -> Result<(), GateError> {
///         if std::thread::current().id() == self.0 { return Ok(()) }
///         Err(GateError { gate: "one thread", reason: "borrow on the thread that owns the bytes" })
///     }
/// }
///
/// let storage = Storage::from_vec(vec![1u8, 2, 3]);
/// storage.lend(Arc::new(OnThread(std::thread::current().id())))?;
/// let borrow = || {
///     let start = storage.as_ptr() as usize;
///     storage.borrow(BorrowKind::Read, &Region { start, item_bytes: 1, shape: &[3], strides: &[1] }).map(drop)
/// };
/// assert!(borrow().is_ok());
/// assert!(std::thread::scope(|scope| scope.spawn(borrow).join().unwrap()).is_err());
/// # Ok::<(), ndbridge_storage::BorrowError>(())
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
