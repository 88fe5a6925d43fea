//! A ledger as a table of C functions: what modules of one process that share no Rust types agree on.
//!
//! ```text
//! module A, owner of the ledger        module B
//! ┌────────────┐                       ┌──────────────────┐
//! │ its ledger │◄── context ─┐         │ SharedLedger     │
//! └────────────┘         ┌───┴─────────┴┐                 │
//!                        │ LedgerTable  │◄── adopted ─────┤
//!                        └──────────────┘                 │
//! ```
//!
//! A table begins with its version and its size. The fields of a version keep their meaning for
//! good; new ones are added at the end, where the size tells whether they are there.

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use crate::abi::{CAnswer, CBorrow, CONFLICT, DONE, FAILED, TABLE_VERSION};
use crate::adopt_error::AdoptError;
use crate::held::Held;
use crate::map_table::{MapFunctions, MapTable};
use crate::process::ProcessLedger;
use crate::token::Token;
use crate::wanted::Wanted;

type Acquire = unsafe extern "C" fn(
    context: *const c_void,
    wanted: *const CBorrow,
    answer: *mut CAnswer,
) -> c_int;
type Release = unsafe extern "C" fn(context: *const c_void, token: u64);

/// The functions of a ledger, for [`SharedLedger::adopt`](super::SharedLedger::adopt) of another
/// module.
#[derive(Debug)]
#[repr(C)]
pub struct LedgerTable {
    pub(crate) version: u32,
    pub(crate) table_bytes: u32,
    pub(crate) context: *const c_void,
    // 0: entered, the token is in the answer. Anything else: not entered. 1: the answer has the
    // borrow that stands in the way.
    pub(crate) acquire: Acquire,
    // Each token once. Token 0 stands for no bytes.
    pub(crate) release: Release,
    pub(crate) maps: MapFunctions,
}

// SAFETY: the context is a ledger, which threads may share, and outlives its table.
unsafe impl Send for LedgerTable {}
// SAFETY: as above.
unsafe impl Sync for LedgerTable {}

impl LedgerTable {
    const BYTES: u32 = size_of::<Self>() as u32;

    pub(crate) fn of(ledger: &'static ProcessLedger) -> Self {
        let context = std::ptr::from_ref(ledger).cast();
        let (version, table_bytes) = (TABLE_VERSION, Self::BYTES);
        let maps = MapFunctions::of(ledger);
        Self { version, table_bytes, context, acquire, release, maps }
    }

    /// Whether anything is mapped.
    #[inline]
    pub(crate) fn has_maps(&self) -> bool {
        self.maps.any()
    }

    #[inline]
    pub(crate) fn maps(&self) -> MapTable<'_> {
        MapTable { functions: &self.maps, context: self.context }
    }

    /// The same functions in the words of another version or size, which every reader refuses.
    #[doc(hidden)]
    #[must_use]
    pub fn relabelled(&self, version: u32, table_bytes: u32) -> Self {
        Self { version, table_bytes, ..*self }
    }

    /// The table, once its head says that it is one of this version.
    ///
    /// # Safety
    /// At `table` a ledger's table of any version begins, and stays there, unchanged, until the
    /// process ends. What it says of itself is true.
    pub(crate) unsafe fn checked(table: NonNull<Self>) -> Result<&'static Self, AdoptError> {
        let head = table.cast::<[u32; 2]>();
        // SAFETY: every table begins with its version and size.
        let [version, table_bytes] = unsafe { head.read() };
        if version != TABLE_VERSION {
            return Err(AdoptError::Version { found: version });
        }
        if table_bytes < Self::BYTES {
            return Err(AdoptError::TooShort { found: table_bytes, expected: Self::BYTES });
        }
        // SAFETY: it has all fields of this version, and lives on.
        Ok(unsafe { table.as_ref() })
    }

    pub(crate) fn enter(&self, wanted: &Wanted<'_>) -> Result<Token, Box<Held>> {
        let mut answer = CAnswer { token: 0, held: CBorrow::by_failure(wanted.bytes) };
        let wanted = CBorrow::wanted(wanted);
        // SAFETY: the function goes with its context; the arguments are live and well formed.
        let code = unsafe { (self.acquire)(self.context, &raw const wanted, &raw mut answer) };
        if code == DONE {
            return Ok(Token(answer.token));
        }
        Err(answer.held.to_held())
    }

    pub(crate) fn release(&self, token: Token) {
        // SAFETY: the function goes with its context, and this table gave the token.
        unsafe { (self.release)(self.context, token.0) }
    }
}

unsafe extern "C" fn acquire(
    context: *const c_void,
    wanted: *const CBorrow,
    answer: *mut CAnswer,
) -> c_int {
    // SAFETY: the context of this function is a ledger that lives as long as the process.
    let ledger = unsafe { &*context.cast::<ProcessLedger>() };
    // SAFETY: the caller gives a live borrow.
    let wanted = unsafe { *wanted };
    // SAFETY: the caller gives the room for an answer.
    let answer = unsafe { &mut *answer };
    // SAFETY: the caller's axes live until this returns.
    let Some(wanted) = (unsafe { wanted.to_wanted() }) else { return FAILED };
    // The lock of the ledger is released on the way out of a panic, and nothing is entered.
    let enter = AssertUnwindSafe(|| ledger.enter_if(&wanted, || true));
    match catch_unwind(enter) {
        Ok(Some(Ok(token))) => {
            answer.token = token.0;
            DONE
        }
        Ok(Some(Err(held))) => {
            answer.held = CBorrow::held(&held);
            CONFLICT
        }
        Ok(None) | Err(_) => FAILED,
    }
}

unsafe extern "C" fn release(context: *const c_void, token: u64) {
    // SAFETY: the context of this function is a ledger that lives as long as the process.
    let ledger = unsafe { &*context.cast::<ProcessLedger>() };
    // Releasing does not panic; were it to, the bytes stay borrowed.
    let _ = catch_unwind(AssertUnwindSafe(|| ledger.release(Token(token))));
}

#[cfg(test)]
mod tests {
    use ndbridge_layout::{Axis, Span};

    use super::*;
    use crate::borrow_kind::BorrowKind;
    use crate::call_site::CallSite;

    unsafe extern "C" fn fail(_: *const c_void, _: *const CBorrow, _: *mut CAnswer) -> c_int {
        FAILED
    }

    #[test]
    fn mut_1_a_ledger_that_fails_refuses() {
        static LEDGER: ProcessLedger = ProcessLedger::new();
        let bytes = Span { start: 64, end: 72 };
        let wanted = Wanted::contiguous(BorrowKind::Read, bytes, CallSite::named(c"here"));
        let table = LedgerTable::of(&LEDGER);
        let held = CBorrow::wanted(&wanted);
        // Those of 8 bytes are [2, 1], [2, 6].
        let with_axes =
            |axes: &'static [Axis]| CBorrow { axes: axes.as_ptr(), axes_len: axes.len(), ..held };
        for malformed in [
            CBorrow { kind: 200, ..held },
            CBorrow { bytes: Span { start: 72, end: 64 }, ..held },
            with_axes(&[Axis { len: 0, stride: 1 }]),
            with_axes(&[Axis { len: 2, stride: 1 }, Axis { len: 2, stride: 4 }]),
            with_axes(&[Axis { len: usize::MAX, stride: 2 }]),
        ] {
            let mut answer = CAnswer { token: 7, held };
            // SAFETY: the function's own context, a live borrow and room for an answer.
            let code = unsafe { acquire(table.context, &raw const malformed, &raw mut answer) };
            assert_eq!((code, answer.token, LEDGER.ledger.is_idle()), (FAILED, 7, true));
        }

        let failing = LedgerTable { acquire: fail, ..table };
        let held = failing.enter(&wanted).unwrap_err();
        assert_eq!((held.kind, held.bytes), (BorrowKind::Write, 64..72));
        assert!(held.at.to_string().starts_with("an unknown place"), "{}", held.at);
    }
}
