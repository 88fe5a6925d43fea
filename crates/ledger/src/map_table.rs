//! The part of a ledger's table that is about mapped files.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ndbridge_layout::Span;

use crate::abi::{CBorrow, CLoan, CONFLICT, DONE, FAILED, NOTHING};
use crate::adopt_error::AdoptError;
use crate::borrow_kind::BorrowKind;
use crate::file_piece::{FilePiece, FilePlace};
use crate::held::Held;
use crate::loan_gate::LoanGate;
use crate::maps::Maps;
use crate::process::ProcessLedger;
use crate::sync::{AtomicU64, Ordering};

type Map = unsafe extern "C" fn(context: *const c_void, mapped: *const FilePiece) -> c_int;
type Unmap = unsafe extern "C" fn(context: *const c_void, start: usize);
type Lend = unsafe extern "C" fn(
    context: *const c_void,
    start: usize,
    gate: *const LoanGate,
    held: *mut CBorrow,
) -> c_int;
type NextLoan = unsafe extern "C" fn(
    context: *const c_void,
    kind: u8,
    bytes: Span,
    after: u64,
    loan: *mut CLoan,
) -> c_int;
type Locate =
    unsafe extern "C" fn(context: *const c_void, bytes: Span, place: *mut FilePlace) -> c_int;

/// The functions of a ledger for mapped files. All get the context of the table.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct MapFunctions {
    // Number of maps, for as long as the process lives. Changes while it is read.
    pub(crate) count: *const AtomicU64,
    // 0: entered. Before anything is borrowed of the map, and before anybody else knows of it.
    pub(crate) map: Map,
    // Strikes out the map that begins at an address, and its loan. Before it is unmapped.
    pub(crate) unmap: Unmap,
    // Lends the map that begins at an address, unless it is lent. 0: done. 1: `held` is the borrow
    // in the way. The gate stays the caller's.
    pub(crate) lend: Lend,
    // 0: the next loan whose gate a borrow of this kind is to ask, after the one numbered `after`;
    // the gate is the caller's to let go of. 1: there is none.
    pub(crate) next_loan: NextLoan,
    // 0: the place of the bytes. 1: they are not mapped.
    pub(crate) locate: Locate,
}

impl MapFunctions {
    pub(crate) fn of(ledger: &'static ProcessLedger) -> Self {
        Self { count: ledger.count(), map, unmap, lend, next_loan, locate }
    }

    /// Whether there are maps.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        // SAFETY: a table's counter lives as long as the process.
        let count = unsafe { &*self.count };
        count.load(Ordering::Relaxed) != 0
    }
}

/// A table's functions for mapped files, with their context.
#[derive(Clone, Copy)]
pub(crate) struct MapTable<'t> {
    // INVARIANT: the functions go with the context.
    pub(crate) functions: &'t MapFunctions,
    pub(crate) context: *const c_void,
}

impl MapTable<'_> {
    /// Enters a map; false if there is no room for it.
    pub(crate) fn map(self, mapped: &FilePiece) -> bool {
        // SAFETY: by the invariant; the map is well formed.
        unsafe { (self.functions.map)(self.context, mapped) == DONE }
    }

    pub(crate) fn unmap(self, start: usize) {
        // SAFETY: by the invariant.
        unsafe { (self.functions.unmap)(self.context, start) }
    }

    pub(crate) fn lend(self, start: usize, gate: &LoanGate) -> Result<(), Box<Held>> {
        let mut held = CBorrow::by_failure(Span { start, end: start });
        // SAFETY: by the invariant; the arguments are live.
        let code = unsafe { (self.functions.lend)(self.context, start, gate, &raw mut held) };
        if code == DONE { Ok(()) } else { Err(held.to_held()) }
    }

    pub(crate) fn next_loan(
        self,
        kind: BorrowKind,
        bytes: Span,
        after: u64,
    ) -> Option<(u64, LoanGate)> {
        let (kind, mut loan) = (kind as u8, MaybeUninit::<CLoan>::uninit());
        let room = loan.as_mut_ptr();
        // SAFETY: by the invariant; there is room for a loan.
        let code = unsafe { (self.functions.next_loan)(self.context, kind, bytes, after, room) };
        if code != DONE {
            return None;
        }
        // SAFETY: there is one, which is ours now.
        let CLoan { number, gate } = unsafe { loan.assume_init() };
        Some((number, gate))
    }

    pub(crate) fn locate(self, bytes: Span) -> Option<FilePlace> {
        let mut place = FilePlace::NONE;
        // SAFETY: by the invariant; there is room for a place.
        let code = unsafe { (self.functions.locate)(self.context, bytes, &raw mut place) };
        (code == DONE).then_some(place)
    }

    /// Enters all that another ledger knows of, or nothing.
    pub(crate) fn take_over(self, maps: &Maps) -> Result<(), AdoptError> {
        let mut entered = Vec::new();
        let taken = maps.all().try_for_each(|(mapped, gate)| {
            let start = mapped.bytes.start;
            if !self.map(&mapped) {
                return Err(AdoptError::Failed);
            }
            entered.push(start);
            let lent = gate.map_or(Ok(()), |gate| self.lend(start, &gate));
            lent.map_err(|held| AdoptError::still_borrowed(&held))
        });
        if taken.is_err() {
            entered.into_iter().for_each(|start| self.unmap(start));
        }
        taken
    }

    /// Strikes out all that another ledger knows of.
    pub(crate) fn give_back(self, maps: &Maps) {
        maps.all().for_each(|(mapped, _)| self.unmap(mapped.bytes.start));
    }
}

/// # Safety
/// `context` is that of these functions: a ledger that lives as long as the process.
unsafe fn ledger_of(context: *const c_void) -> &'static ProcessLedger {
    // SAFETY: promised by the caller.
    unsafe { &*context.cast::<ProcessLedger>() }
}

unsafe extern "C" fn map(context: *const c_void, mapped: *const FilePiece) -> c_int {
    // SAFETY: the caller's table has this context.
    let ledger = unsafe { ledger_of(context) };
    // SAFETY: the caller gives a live map.
    let mapped = unsafe { *mapped };
    match catch_unwind(AssertUnwindSafe(|| ledger.map_if(|| true, mapped))) {
        Ok(Some(true)) => DONE,
        _ => FAILED,
    }
}

unsafe extern "C" fn unmap(context: *const c_void, start: usize) {
    // SAFETY: the caller's table has this context.
    let ledger = unsafe { ledger_of(context) };
    let _ = catch_unwind(AssertUnwindSafe(|| ledger.unmap_if(|| true, start)));
}

unsafe extern "C" fn lend(
    context: *const c_void,
    start: usize,
    gate: *const LoanGate,
    held: *mut CBorrow,
) -> c_int {
    // SAFETY: the caller's table has this context.
    let ledger = unsafe { ledger_of(context) };
    // SAFETY: the caller gives a live handle.
    let gate = unsafe { &*gate };
    match catch_unwind(AssertUnwindSafe(|| ledger.lend_if(|| true, start, gate))) {
        Ok(Some(Err(found))) => {
            // SAFETY: the caller gives the room for a borrow.
            unsafe { held.write(CBorrow::held(&found)) };
            CONFLICT
        }
        Ok(_) => DONE,
        Err(_) => FAILED,
    }
}

unsafe extern "C" fn next_loan(
    context: *const c_void,
    kind: u8,
    bytes: Span,
    after: u64,
    loan: *mut CLoan,
) -> c_int {
    // SAFETY: the caller's table has this context.
    let ledger = unsafe { ledger_of(context) };
    let kind = BorrowKind::from_code(kind).unwrap_or(BorrowKind::Write);
    let found = catch_unwind(AssertUnwindSafe(|| ledger.loan_if(|| true, kind, bytes, after)));
    let Ok(Some(Some((number, gate)))) = found else { return NOTHING };
    // SAFETY: the caller gives the room for a loan.
    unsafe { loan.write(CLoan { number, gate }) };
    DONE
}

unsafe extern "C" fn locate(context: *const c_void, bytes: Span, place: *mut FilePlace) -> c_int {
    // SAFETY: the caller's table has this context.
    let ledger = unsafe { ledger_of(context) };
    let found = catch_unwind(AssertUnwindSafe(|| ledger.locate_if(|| true, bytes)));
    let Ok(Some(Some(found))) = found else { return NOTHING };
    // SAFETY: the caller gives the room for a place.
    unsafe { place.write(found) };
    DONE
}
