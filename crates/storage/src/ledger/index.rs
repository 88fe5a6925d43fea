//! Borrows beyond the inline slots, ordered so that finding a conflict costs a logarithm.
//!
//! An interval that reaches into the bytes wanted begins below their end, and above their start
//! less its own length. Lengths differ widely (one big array beside many rows), so borrows are
//! kept by class of length, a power of two, and each class is searched over its own short range.

use std::collections::BTreeMap;
use std::panic::Location;

use super::Held;
use super::record::Record;
use crate::BorrowKind;
use crate::region::{Axis, Span};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: BorrowKind,
    /// The footprint is at least 2^class bytes long, and less than twice that.
    class: u32,
    start: usize,
    id: u64,
}

#[derive(Debug)]
pub(super) struct Index {
    records: BTreeMap<Key, Record>,
    // By id, which is what a token knows.
    keys: BTreeMap<u64, Key>,
    /// For each kind, a bit for each class that has records.
    classes: [u64; BorrowKind::ALL.len()],
    next_id: u64,
}

impl Index {
    pub(super) fn new(first_id: u64) -> Self {
        let classes = [0; BorrowKind::ALL.len()];
        Self { records: BTreeMap::new(), keys: BTreeMap::new(), classes, next_id: first_id }
    }

    #[cold]
    pub(super) fn insert(
        &mut self,
        kind: BorrowKind,
        span: Span,
        axes: &[Axis],
        at: &'static Location<'static>,
    ) -> u64 {
        let mut record = Record::none();
        record.fill(kind, span, axes, at);
        let class = span.len_bytes().ilog2();
        let id = self.next_id;
        self.next_id += 1;
        let key = Key { kind, class, start: span.start, id };
        self.classes[key.kind as usize] |= 1 << class;
        self.records.insert(key, record);
        self.keys.insert(id, key);
        id
    }

    pub(super) fn remove(&mut self, id: u64) {
        let Some(key) = self.keys.remove(&id) else { return };
        self.records.remove(&key);
        let first = Key { start: 0, id: 0, ..key };
        let last = Key { start: usize::MAX, id: u64::MAX, ..key };
        if self.records.range(first..=last).next().is_none() {
            self.classes[key.kind as usize] &= !(1 << key.class);
        }
    }

    #[inline(always)]
    pub(super) fn conflict(
        &self,
        kind: BorrowKind,
        span: Span,
        axes: &[Axis],
    ) -> Option<Box<Held>> {
        if self.records.is_empty() { None } else { self.search(kind, span, axes) }
    }

    #[cold]
    fn search(&self, wanted: BorrowKind, span: Span, axes: &[Axis]) -> Option<Box<Held>> {
        let others = BorrowKind::ALL.into_iter().filter(|kind| !kind.is_compatible_with(wanted));
        others
            .flat_map(|kind| bits(self.classes[kind as usize]).map(move |class| (kind, class)))
            .flat_map(|(kind, class)| self.reaching_into(kind, class, span))
            .find(|record| record.conflicts_with(wanted, span, axes))
            .map(Record::held)
    }

    /// Records of a kind and class that can reach into `span`.
    fn reaching_into(
        &self,
        kind: BorrowKind,
        class: u32,
        span: Span,
    ) -> impl Iterator<Item = &Record> {
        let longest = (1_usize << class) - 1 + (1 << class);
        let start = span.start.saturating_sub(longest);
        let first = Key { kind, class, start, id: 0 };
        let past = Key { kind, class, start: span.end, id: 0 };
        self.records.range(first..past).map(|(_, record)| record)
    }

    pub(super) fn any_held(&self) -> Option<Box<Held>> {
        self.records.values().next().map(Record::held)
    }
}

/// Numbers of the bits that are set.
fn bits(mut mask: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (mask != 0).then(|| mask.trailing_zeros())?;
        mask &= mask - 1;
        Some(bit)
    })
}
