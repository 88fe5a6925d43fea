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

use ndbridge_layout::{Axis, Span};

use super::map_table::{MapFunctions, MapTable};
use super::process::ProcessLedger;
use super::{CallSite, Held, Token};
use crate::BorrowKind;

/// Version of the functions of a [`LedgerTable`], and of what they are given.
pub const TABLE_VERSION: u32 = 2;

pub(super) const ENTERED: c_int = 0;
pub(super) const CONFLICT: c_int = 1;
pub(super) const FAILED: c_int = 2;

type Acquire = unsafe extern "C" fn(
    context: *const c_void,
    wanted: *const Borrowed,
    answer: *mut Answer,
) -> c_int;
type Release = unsafe extern "C" fn(context: *const c_void, token: u64);

/// The functions of a ledger, for [`SharedLedger::adopt`](super::SharedLedger::adopt) of another
/// module.
#[derive(Debug)]
#[repr(C)]
pub struct LedgerTable {
    version: u32,
    table_bytes: u32,
    context: *const c_void,
    // 0: entered, the token is in the answer. Anything else: not entered. 1: the answer has the
    // borrow that stands in the way.
    acquire: Acquire,
    // Each token once. Token 0 stands for no bytes.
    release: Release,
    maps: MapFunctions,
}

// SAFETY: the context is a ledger, which threads may share, and outlives its table.
unsafe impl Send for LedgerTable {}
// SAFETY: as above.
unsafe impl Sync for LedgerTable {}

/// A borrow, wanted or held.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Borrowed {
    /// As [`BorrowKind`]'s codes.
    kind: u8,
    /// Of a borrow held: 1 if its bytes are counted from the start of a file. Else addresses.
    in_file: u8,
    bytes: Span,
    axes: *const Axis,
    axes_len: usize,
    at: CallSite,
}

#[repr(C)]
struct Answer {
    token: u64,
    held: Borrowed,
}

/// Why a table cannot be adopted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// The other module speaks another version.
    #[error(
        "the ledger of this process has version {found}, expected {TABLE_VERSION}: \
         build the extension modules with the same release of ndbridge"
    )]
    Version {
        /// Version of the other module's table.
        found: u32,
    },
    /// The table ends before its last function.
    #[error("the ledger of this process is a table of {found} bytes, expected {expected} or more")]
    TooShort {
        /// Size of the other module's table.
        found: u32,
        /// Size of a table of this version.
        expected: u32,
    },
    /// Borrows of this module live in its own ledger.
    #[error(
        "cannot join the ledger of this process: still borrowed {held} at {held_at}, \
         drop that guard first"
    )]
    StillBorrowed {
        /// What the borrow is for.
        held: BorrowKind,
        /// Who took it.
        held_at: CallSite,
    },
    /// This module uses another ledger already, for good.
    #[error("this module has joined another ledger already")]
    Decided,
    /// The other module's ledger has no room for a file that this module maps.
    #[error("the ledger of this process has no room for a file that this module maps")]
    Failed,
}

impl AdoptError {
    pub(super) fn still_borrowed(held: &Held) -> Self {
        Self::StillBorrowed { held: held.kind, held_at: held.at }
    }
}

impl LedgerTable {
    const BYTES: u32 = size_of::<Self>() as u32;

    pub(super) fn of(ledger: &'static ProcessLedger) -> Self {
        let context = std::ptr::from_ref(ledger).cast();
        let (version, table_bytes) = (TABLE_VERSION, Self::BYTES);
        let maps = MapFunctions::of(ledger);
        Self { version, table_bytes, context, acquire, release, maps }
    }

    /// Whether anything is mapped.
    #[inline]
    pub(super) fn has_maps(&self) -> bool {
        self.maps.any()
    }

    #[inline]
    pub(super) fn maps(&self) -> MapTable<'_> {
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
    pub(super) unsafe fn checked(table: NonNull<Self>) -> Result<&'static Self, AdoptError> {
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

    pub(super) fn acquire(
        &self,
        kind: BorrowKind,
        bytes: Span,
        axes: &[Axis],
        at: CallSite,
    ) -> Result<Token, Box<Held>> {
        let wanted = Borrowed::new(kind, bytes, axes, at);
        let mut answer = Answer { token: 0, held: Borrowed::by_failure(bytes) };
        // SAFETY: the function goes with its context; the arguments are live and well formed.
        let code = unsafe { (self.acquire)(self.context, &raw const wanted, &raw mut answer) };
        if code == ENTERED {
            return Ok(Token(answer.token));
        }
        Err(answer.held.to_held())
    }

    pub(super) fn release(&self, token: Token) {
        // SAFETY: the function goes with its context, and this table gave the token.
        unsafe { (self.release)(self.context, token.0) }
    }
}

impl Borrowed {
    fn new(kind: BorrowKind, bytes: Span, axes: &[Axis], at: CallSite) -> Self {
        let (axes, axes_len) = (axes.as_ptr(), axes.len());
        Self { kind: kind as u8, in_file: 0, bytes, axes, axes_len, at }
    }

    /// What a ledger that fails leaves behind: somebody unknown holds all of it.
    pub(super) fn by_failure(bytes: Span) -> Self {
        let unknown = CallSite::named(c"an unknown place: the ledger of the process failed");
        Self::new(BorrowKind::Write, bytes, &[], unknown)
    }

    #[cold]
    pub(super) fn held(held: &Held) -> Self {
        let bytes = Span { start: held.bytes.start, end: held.bytes.end };
        Self { in_file: u8::from(held.in_file), ..Self::new(held.kind, bytes, &[], held.at) }
    }

    /// # Safety
    /// The axes are as many as said, and live while the result does.
    unsafe fn axes<'a>(&self) -> &'a [Axis] {
        if self.axes_len == 0 {
            return &[];
        }
        // SAFETY: promised by the caller.
        unsafe { std::slice::from_raw_parts(self.axes, self.axes_len) }
    }

    #[cold]
    pub(super) fn to_held(self) -> Box<Held> {
        // A kind that only a later release knows is compatible with nothing here.
        let kind = BorrowKind::from_code(self.kind).unwrap_or(BorrowKind::Write);
        let in_file = self.in_file != 0;
        Box::new(Held { kind, at: self.at, bytes: self.bytes.addresses(), in_file })
    }
}

unsafe extern "C" fn acquire(
    context: *const c_void,
    wanted: *const Borrowed,
    answer: *mut Answer,
) -> c_int {
    // SAFETY: the context of this function is a ledger that lives as long as the process.
    let ledger = unsafe { &*context.cast::<ProcessLedger>() };
    // SAFETY: the caller gives a live borrow.
    let wanted = unsafe { *wanted };
    // SAFETY: the caller gives the room for an answer.
    let answer = unsafe { &mut *answer };
    let Some(kind) = BorrowKind::from_code(wanted.kind) else { return FAILED };
    // SAFETY: the caller's axes live until this returns.
    let axes = unsafe { wanted.axes() };
    // The lock of the ledger is released on the way out of a panic, and nothing is entered.
    let Borrowed { bytes, at, .. } = wanted;
    let enter = AssertUnwindSafe(|| ledger.acquire_if(|| true, kind, bytes, axes, at));
    match catch_unwind(enter) {
        Ok(Some(Ok(token))) => {
            answer.token = token.0;
            ENTERED
        }
        Ok(Some(Err(held))) => {
            answer.held = Borrowed::held(&held);
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
    use super::*;

    unsafe extern "C" fn fail(_: *const c_void, _: *const Borrowed, _: *mut Answer) -> c_int {
        FAILED
    }

    #[test]
    fn mut_1_a_ledger_that_fails_refuses() {
        static LEDGER: ProcessLedger = ProcessLedger::new();
        let bytes = Span { start: 64, end: 72 };
        let wanted = Borrowed::new(BorrowKind::Read, bytes, &[], CallSite::named(c"here"));
        let table = LedgerTable::of(&LEDGER);
        let of_a_later_release = Borrowed { kind: 200, ..wanted };
        let mut answer = Answer { token: 7, held: wanted };
        // SAFETY: the function's own context, a live borrow and room for an answer.
        let code =
            unsafe { acquire(table.context, &raw const of_a_later_release, &raw mut answer) };
        assert_eq!((code, answer.token, LEDGER.ledger.is_idle()), (FAILED, 7, true));

        let failing = LedgerTable { acquire: fail, ..table };
        let at = CallSite::named(c"here");
        let held = failing.acquire(BorrowKind::Read, bytes, &[], at).unwrap_err();
        assert_eq!((held.kind, held.bytes), (BorrowKind::Write, 64..72));
        assert!(held.at.to_string().starts_with("an unknown place"), "{}", held.at);
    }
}
