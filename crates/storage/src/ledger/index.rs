//! Borrows beyond the inline slots, ordered so that finding a conflict costs a logarithm.
//!
//! An interval that reaches into the bytes wanted begins below their end, and above their start
//! less its own length. Lengths differ widely (one big array beside many rows), so borrows are
//! kept by class of length, a power of two, and each class is searched over its own short range.

use std::collections::BTreeMap;

use super::Held;
use super::record::Record;
use crate::{BorrowKind, Footprint};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    kind: BorrowKind,
    /// The footprint is at least 2^class bytes long, and less than twice that.
    class: u32,
    start: usize,
    id: u64,
}

#[derive(Debug)]
pub(super) struct Index {
    records: BTreeMap<Key, Record>,
    /// For each kind, a bit for each class that has records.
    classes: [u64; BorrowKind::ALL.len()],
    next_id: u64,
}

impl Index {
    pub(super) fn new() -> Self {
        Self { records: BTreeMap::new(), classes: [0; BorrowKind::ALL.len()], next_id: 0 }
    }

    pub(super) fn insert(&mut self, record: Record) -> Key {
        let class = (record.bytes.end - record.bytes.start).ilog2();
        let key = Key { kind: record.kind, class, start: record.bytes.start, id: self.next_id };
        self.next_id += 1;
        self.classes[key.kind as usize] |= 1 << class;
        self.records.insert(key, record);
        key
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.records.remove(key);
        let first = Key { start: 0, id: 0, ..*key };
        let last = Key { start: usize::MAX, id: u64::MAX, ..*key };
        if self.records.range(first..=last).next().is_none() {
            self.classes[key.kind as usize] &= !(1 << key.class);
        }
    }

    #[inline]
    pub(super) fn conflict(&self, kind: BorrowKind, bytes: &Footprint) -> Option<Held> {
        if self.records.is_empty() { None } else { self.search(kind, bytes) }
    }

    #[cold]
    fn search(&self, wanted: BorrowKind, bytes: &Footprint) -> Option<Held> {
        let others = BorrowKind::ALL.into_iter().filter(|kind| !kind.is_compatible_with(wanted));
        others
            .flat_map(|kind| bits(self.classes[kind as usize]).map(move |class| (kind, class)))
            .flat_map(|(kind, class)| self.reaching_into(kind, class, bytes))
            .find(|record| record.conflicts_with(wanted, bytes))
            .map(Record::held)
    }

    /// Records of a kind and class that can reach into `bytes`.
    fn reaching_into(
        &self,
        kind: BorrowKind,
        class: u32,
        bytes: &Footprint,
    ) -> impl Iterator<Item = &Record> {
        let longest = (1_usize << class) - 1 + (1 << class);
        let start = bytes.start.saturating_sub(longest);
        let first = Key { kind, class, start, id: 0 };
        let past = Key { kind, class, start: bytes.end, id: 0 };
        self.records.range(first..past).map(|(_, record)| record)
    }

    pub(super) fn any_held(&self) -> Option<Held> {
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
