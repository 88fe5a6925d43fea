//! One borrow, as the ledger writes it down.

use std::panic::Location;

use super::Held;
use crate::overlap::{DEFAULT_BUDGET, footprints_overlap};
use crate::{BorrowKind, Footprint};

#[derive(Debug)]
pub(super) struct Record {
    pub(super) kind: BorrowKind,
    pub(super) bytes: Footprint,
    at: &'static Location<'static>,
}

impl Record {
    pub(super) fn new(kind: BorrowKind, bytes: Footprint, at: &'static Location<'static>) -> Self {
        Self { kind, bytes, at }
    }

    /// Content of a slot that was never used.
    pub(super) fn none() -> Self {
        Self::new(BorrowKind::Read, Footprint::none_at(0), Location::caller())
    }

    /// Overwrites a record; axes move only if there are any, which most borrows have not.
    #[inline]
    pub(super) fn fill(
        &mut self,
        kind: BorrowKind,
        bytes: Footprint,
        at: &'static Location<'static>,
    ) {
        let Footprint { start, end, run_bytes, axes } = bytes;
        (self.kind, self.at) = (kind, at);
        (self.bytes.start, self.bytes.end, self.bytes.run_bytes) = (start, end, run_bytes);
        if !(axes.is_empty() && self.bytes.axes.is_empty()) {
            self.bytes.axes = axes;
        }
    }

    #[inline]
    pub(super) fn conflicts_with(&self, kind: BorrowKind, bytes: &Footprint) -> bool {
        !self.kind.is_compatible_with(kind)
            && !footprints_overlap(&self.bytes, bytes, DEFAULT_BUDGET).is_disjoint()
    }

    #[cold]
    pub(super) fn held(&self) -> Held {
        Held { kind: self.kind, at: self.at, bytes: self.bytes.bounds() }
    }
}
