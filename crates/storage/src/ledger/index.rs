//! Borrows beyond the inline slots, ordered so that finding a conflict costs a logarithm.
//!
//! An interval that reaches into the bytes wanted begins below their end, and above their start
//! less its own length. Lengths differ widely (one big array beside many rows), so borrows are
//! kept by class of length, a power of two, and each class is searched over its own short range.
//!
//! Only the keys are ordered. Records are large and stay where they are, in a place that is used
//! again after the borrow; the token knows the place.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use ndbridge_layout::{Axis, Span};

use super::record::Record;
use super::{CallSite, Held};
use crate::BorrowKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: BorrowKind,
    /// The footprint is at least 2^class bytes long, and less than twice that.
    class: u32,
    start: usize,
    id: u64,
}

impl Key {
    /// All keys of the same kind and class.
    fn class_range(self) -> RangeInclusive<Self> {
        Self { start: 0, id: 0, ..self }..=Self { start: usize::MAX, id: u64::MAX, ..self }
    }
}

#[derive(Debug)]
pub(super) struct Index {
    // INVARIANT: the id of a key is its place, and a place with a key has a record.
    keys: BTreeSet<Key>,
    places: Vec<(Option<Key>, Record)>,
    free: Vec<u64>,
    /// For each kind, a bit for each class that has records.
    classes: [u64; BorrowKind::ALL.len()],
}

impl Index {
    pub(super) fn new() -> Self {
        let (keys, classes) = (BTreeSet::new(), [0; BorrowKind::ALL.len()]);
        Self { keys, places: Vec::new(), free: Vec::new(), classes }
    }

    #[cold]
    pub(super) fn insert(
        &mut self,
        kind: BorrowKind,
        span: Span,
        axes: &[Axis],
        at: CallSite,
    ) -> u64 {
        let id = self.free.pop().unwrap_or_else(|| {
            self.places.push((None, Record::none()));
            self.places.len() as u64 - 1
        });
        let class = span.len_bytes().ilog2();
        let key = Key { kind, class, start: span.start, id };
        let (place, record) = &mut self.places[id as usize];
        record.fill(kind, span, axes, at);
        *place = Some(key);
        self.classes[key.kind as usize] |= 1 << class;
        self.keys.insert(key);
        id
    }

    pub(super) fn remove(&mut self, id: u64) {
        let place = self.places.get_mut(id as usize);
        let Some(key) = place.and_then(|(key, _)| key.take()) else { return };
        self.keys.remove(&key);
        self.free.push(id);
        if self.keys.range(key.class_range()).next().is_none() {
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
        if self.keys.is_empty() { None } else { self.search(kind, span, axes) }
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
        self.keys.range(first..past).map(|key| self.record(key))
    }

    fn record(&self, key: &Key) -> &Record {
        &self.places[key.id as usize].1
    }

    pub(super) fn any_held(&self) -> Option<Box<Held>> {
        self.keys.first().map(|key| self.record(key).held())
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
