//! One borrow, as the ledger writes it down.

use super::{CallSite, Held};
use crate::overlap::{DEFAULT_BUDGET, footprints_overlap};
use crate::region::{Axes, Axis, Span};
use crate::{BorrowKind, Footprint};

#[derive(Debug)]
pub(super) struct Record {
    pub(super) kind: BorrowKind,
    pub(super) bytes: Footprint,
    at: CallSite,
}

impl Record {
    /// Content of a slot that was never used.
    pub(super) fn none() -> Self {
        let (kind, bytes) = (BorrowKind::Read, Footprint::none_at(0));
        Self { kind, bytes, at: CallSite::named(c"nowhere") }
    }

    /// Overwrites a record; axes move only if there are any, which most borrows have not.
    #[inline(always)]
    pub(super) fn fill(&mut self, kind: BorrowKind, span: Span, axes: &[Axis], at: CallSite) {
        (self.kind, self.bytes.span, self.at) = (kind, span, at);
        if !(axes.is_empty() && self.bytes.axes.is_empty()) {
            self.bytes.axes = Axes::from_slice(axes);
        }
    }

    #[inline(always)]
    pub(super) fn conflicts_with(&self, kind: BorrowKind, span: Span, axes: &[Axis]) -> bool {
        !self.kind.is_compatible_with(kind)
            && !footprints_overlap(&self.bytes, span, axes, DEFAULT_BUDGET).is_disjoint()
    }

    #[cold]
    pub(super) fn held(&self) -> Box<Held> {
        Box::new(Held { kind: self.kind, at: self.at, bytes: self.bytes.addresses() })
    }
}
