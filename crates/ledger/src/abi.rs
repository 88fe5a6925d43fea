//! What the functions of a ledger's table are given and give, in C's types.

use std::ffi::c_int;

use ndbridge_layout::{Axis, Span};

use crate::borrow_kind::BorrowKind;
use crate::call_site::CallSite;
use crate::held::Held;
use crate::loan_gate::LoanGate;
use crate::wanted::Wanted;

/// Version of the functions of a [`LedgerTable`](crate::LedgerTable), and of what they are given.
pub const TABLE_VERSION: u32 = 2;

/// Done: entered, or found.
pub(crate) const DONE: c_int = 0;
/// Not entered: the answer has the borrow in the way.
pub(crate) const CONFLICT: c_int = 1;
/// There is none.
pub(crate) const NOTHING: c_int = 1;
/// Not entered, for want of memory or of a good argument.
pub(crate) const FAILED: c_int = 2;

/// A borrow, wanted or held.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct CBorrow {
    /// As [`BorrowKind`]'s codes.
    pub(crate) kind: u8,
    /// Of a borrow held: 1 if its bytes are counted from the start of a file. Else addresses.
    pub(crate) in_file: u8,
    pub(crate) bytes: Span,
    pub(crate) axes: *const Axis,
    pub(crate) axes_len: usize,
    pub(crate) at: CallSite,
}

/// What became of a wanted borrow.
#[repr(C)]
pub(crate) struct CAnswer {
    pub(crate) token: u64,
    pub(crate) held: CBorrow,
}

/// A loan whose gate a borrow is to ask.
#[repr(C)]
pub(crate) struct CLoan {
    pub(crate) number: u64,
    pub(crate) gate: LoanGate,
}

impl CBorrow {
    pub(crate) fn wanted(wanted: &Wanted<'_>) -> Self {
        let Wanted { kind, bytes, axes, at } = *wanted;
        let (axes, axes_len) = (axes.as_ptr(), axes.len());
        Self { kind: kind as u8, in_file: 0, bytes, axes, axes_len, at }
    }

    /// What a ledger that fails leaves behind: somebody unknown holds all of it.
    pub(crate) fn by_failure(bytes: Span) -> Self {
        let unknown = CallSite::named(c"an unknown place: the ledger of the process failed");
        Self::wanted(&Wanted::contiguous(BorrowKind::Write, bytes, unknown))
    }

    #[cold]
    pub(crate) fn held(held: &Held) -> Self {
        let bytes = Span { start: held.bytes.start, end: held.bytes.end };
        let borrow = Self::wanted(&Wanted::contiguous(held.kind, bytes, held.at));
        Self { in_file: u8::from(held.in_file), ..borrow }
    }

    /// The borrow in safe words; `None` for a kind that only a later release knows, and for a span
    /// and axes that no bytes have.
    ///
    /// # Safety
    /// The axes are as many as said, and live while the result does.
    pub(crate) unsafe fn to_wanted<'a>(self) -> Option<Wanted<'a>> {
        let kind = BorrowKind::from_code(self.kind)?;
        let axes = match self.axes_len {
            0 => &[],
            // SAFETY: promised by the caller.
            len => unsafe { std::slice::from_raw_parts(self.axes, len) },
        };
        is_one(self.bytes, axes).then_some(Wanted { kind, bytes: self.bytes, axes, at: self.at })
    }

    #[cold]
    pub(crate) fn to_held(self) -> Box<Held> {
        // A kind that only a later release knows is compatible with nothing here.
        let kind = BorrowKind::from_code(self.kind).unwrap_or(BorrowKind::Write);
        let in_file = self.in_file != 0;
        Box::new(Held { kind, at: self.at, bytes: self.bytes.addresses(), in_file })
    }
}

/// Whether steps along the axes lead from the first byte of the span to its last one.
fn is_one(bytes: Span, axes: &[Axis]) -> bool {
    let steps = |axis: &Axis| axis.len.checked_sub(1)?.checked_mul(axis.stride);
    let reached = axes.iter().try_fold(1_usize, |sum, axis| sum.checked_add(steps(axis)?));
    match bytes.end.checked_sub(bytes.start) {
        None => false,
        Some(len_bytes) => axes.is_empty() || reached == Some(len_bytes),
    }
}
