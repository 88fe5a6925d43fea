//! One borrow, as the ledger writes it down.

use ndbridge_layout::{Axis, DEFAULT_BUDGET, Footprint, Span, footprints_overlap};

use super::{CallSite, Held};
use crate::BorrowKind;

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

    #[inline(always)]
    pub(super) fn fill(&mut self, kind: BorrowKind, span: Span, axes: &[Axis], at: CallSite) {
        (self.kind, self.at) = (kind, at);
        self.bytes.overwrite(span, axes);
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
