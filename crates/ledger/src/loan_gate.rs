//! The gate of a lent map, which borrows of every map of that file ask, in whatever module.

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::gate::{Gate, GateError};

/// A handle to a [`Gate`] of this module or another one. Part of the ledger's table.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct LoanGate {
    // INVARIANT: one handle of those that `retain` counts, for these functions.
    pub(crate) context: *const c_void,
    /// The same for two handles if they are to one gate.
    pub(crate) identity: usize,
    pub(crate) functions: &'static GateFunctions,
}

// SAFETY: a gate may be asked, kept and let go of on every thread.
unsafe impl Send for LoanGate {}
// SAFETY: as above.
unsafe impl Sync for LoanGate {}

#[derive(Debug)]
#[repr(C)]
pub(crate) struct GateFunctions {
    pub(crate) check: unsafe extern "C" fn(context: *const c_void) -> Says,
    /// Blocks nobody: it is called under the lock of the ledger.
    pub(crate) retain: unsafe extern "C" fn(context: *const c_void),
    pub(crate) release: unsafe extern "C" fn(context: *const c_void),
}

/// What a gate says. The texts are UTF-8, and live until the process ends.
#[repr(C)]
pub(crate) struct Says {
    pub(crate) is_open: c_int,
    pub(crate) gate: Text,
    pub(crate) reason: Text,
}

#[repr(C)]
pub(crate) struct Text {
    pub(crate) bytes: *const u8,
    pub(crate) len: usize,
}

impl LoanGate {
    /// The first handle to a gate of this module.
    pub(crate) fn new(gate: Arc<dyn Gate>) -> Self {
        let identity = Arc::as_ptr(&gate).addr();
        let context = Arc::into_raw(Arc::new(gate)).cast();
        Self { context, identity, functions: &OWN }
    }

    /// As [`Gate::check`].
    pub(crate) fn check(&self) -> Result<(), GateError> {
        // SAFETY: by the invariant.
        let says = unsafe { (self.functions.check)(self.context) };
        if says.is_open != 0 {
            return Ok(());
        }
        // SAFETY: what `check` gave.
        let gate = unsafe { says.gate.read() };
        // SAFETY: as above.
        let reason = unsafe { says.reason.read() };
        Err(GateError { gate, reason })
    }
}

impl PartialEq for LoanGate {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.functions, other.functions) && self.identity == other.identity
    }
}

impl Clone for LoanGate {
    fn clone(&self) -> Self {
        // SAFETY: by the invariant, which the clone then has as well.
        unsafe { (self.functions.retain)(self.context) };
        Self { ..*self }
    }
}

impl Drop for LoanGate {
    fn drop(&mut self) {
        // SAFETY: by the invariant; this handle ends here.
        unsafe { (self.functions.release)(self.context) };
    }
}

static OWN: GateFunctions = GateFunctions { check, retain, release };

type Kept = Arc<dyn Gate>;

unsafe extern "C" fn check(context: *const c_void) -> Says {
    // SAFETY: the context of these functions is such a gate, kept by the caller's handle.
    let gate = unsafe { &*context.cast::<Kept>() };
    let failed = GateError { gate: "a gate", reason: "it failed" };
    let says = catch_unwind(AssertUnwindSafe(|| gate.check())).unwrap_or(Err(failed));
    let GateError { gate, reason } = says.err().unwrap_or(GateError { gate: "", reason: "" });
    Says { is_open: c_int::from(says.is_ok()), gate: gate.into(), reason: reason.into() }
}

unsafe extern "C" fn retain(context: *const c_void) {
    // SAFETY: the context came from `Arc::into_raw`, and the caller has a handle.
    unsafe { Arc::increment_strong_count(context.cast::<Kept>()) };
}

unsafe extern "C" fn release(context: *const c_void) {
    // SAFETY: as above, and the caller gives its handle up.
    let last = unsafe { Arc::from_raw(context.cast::<Kept>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(last)));
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self { bytes: text.as_ptr(), len: text.len() }
    }
}

impl Text {
    /// # Safety
    /// As many bytes as said, which live until the process ends.
    unsafe fn read(self) -> &'static str {
        // SAFETY: promised by the caller.
        let bytes = unsafe { std::slice::from_raw_parts(self.bytes, self.len) };
        std::str::from_utf8(bytes).unwrap_or("a gate of another module")
    }
}
