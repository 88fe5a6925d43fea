//! One borrow, as the ledger writes it down.

use ndbridge_layout::{Footprint, Span};

use crate::borrow_kind::BorrowKind;
use crate::call_site::CallSite;
use crate::held::Held;
use crate::wanted::Wanted;

#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) kind: BorrowKind,
    pub(crate) bytes: Footprint,
    at: CallSite,
}

/// What a record is to a borrow that is wanted, as far as can be said at a glance.
pub(crate) enum Verdict {
    Clear,
    Conflict,
    /// Whether a byte is shared, only a search can tell.
    Unknown,
}

impl Record {
    /// Content of a slot that was never used.
    pub(crate) const fn none() -> Self {
        let at = CallSite::named(c"nowhere");
        Self { kind: BorrowKind::Read, bytes: Footprint::none_at(0), at }
    }

    #[inline(always)]
    pub(crate) fn fill(&mut self, borrow: &Wanted<'_>) {
        (self.kind, self.at) = (borrow.kind, borrow.at);
        self.bytes.overwrite(borrow.bytes, borrow.axes);
    }

    /// Whether there is more to be asked: the kinds conflict, and the spans meet.
    #[inline(always)]
    pub(crate) fn is_near(&self, kind: BorrowKind, span: Span) -> bool {
        let ours = self.bytes.span();
        // Neither is empty: no bytes are not entered.
        !self.kind.is_compatible_with(kind) && ours.start < span.end && span.start < ours.end
    }

    pub(crate) fn verdict(&self, wanted: &Wanted<'_>) -> Verdict {
        match self.is_near(wanted.kind, wanted.bytes) {
            false => Verdict::Clear,
            true if self.bytes.axes().is_empty() && wanted.axes.is_empty() => Verdict::Conflict,
            true => Verdict::Unknown,
        }
    }

    #[cold]
    pub(crate) fn held(&self) -> Box<Held> {
        let (kind, at, bytes) = (self.kind, self.at, self.bytes.addresses());
        Box::new(Held { kind, at, bytes, in_file: false })
    }
}
