//! One borrow, as the ledger writes it down.

use ndbridge_layout::{Axis, Footprint, Span};

use super::{CallSite, Held};
use crate::BorrowKind;

#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) kind: BorrowKind,
    pub(super) bytes: Footprint,
    at: CallSite,
}

/// What a record is to a borrow that is wanted, as far as can be said at a glance.
pub(super) enum Verdict {
    Clear,
    Conflict,
    /// Whether a byte is shared, only a search can tell.
    Unknown,
}

impl Record {
    /// Content of a slot that was never used.
    pub(super) const fn none() -> Self {
        let at = CallSite::named(c"nowhere");
        Self { kind: BorrowKind::Read, bytes: Footprint::none_at(0), at }
    }

    #[inline(always)]
    pub(super) fn fill(&mut self, kind: BorrowKind, span: Span, axes: &[Axis], at: CallSite) {
        (self.kind, self.at) = (kind, at);
        self.bytes.overwrite(span, axes);
    }

    /// Whether there is more to be asked: the kinds conflict, and the spans meet.
    #[inline(always)]
    pub(super) fn is_near(&self, kind: BorrowKind, span: Span) -> bool {
        let ours = self.bytes.span();
        // Neither is empty: no bytes are not entered.
        !self.kind.is_compatible_with(kind) && ours.start < span.end && span.start < ours.end
    }

    pub(super) fn verdict(&self, kind: BorrowKind, span: Span, axes: &[Axis]) -> Verdict {
        match self.is_near(kind, span) {
            false => Verdict::Clear,
            true if self.bytes.axes().is_empty() && axes.is_empty() => Verdict::Conflict,
            true => Verdict::Unknown,
        }
    }

    #[cold]
    pub(super) fn held(&self) -> Box<Held> {
        Box::new(Held {
            kind: self.kind,
            at: self.at,
            bytes: self.bytes.addresses(),
            in_file: false,
        })
    }
}
