//! Borrows beyond the inline slots, ordered so that finding a conflict costs a logarithm.
//!
//! An interval that reaches into the bytes wanted begins below their end, and above their start
//! less its own length. Lengths differ widely (one big array beside many rows), so borrows are
//! kept by class of length, a power of two, and each class is searched over its own short range.
//!
//! Only the keys are ordered. Records are large and stay where they are, under a number that is
//! used again after the borrow; the token has the number.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use ndbridge_layout::Span;

use crate::borrow_kind::BorrowKind;
use crate::held::Held;
use crate::mark;
use crate::record::Record;
use crate::search::Search;
use crate::wanted::Wanted;

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
pub(crate) struct Index {
    // INVARIANT: the id of a key is the number of its record, which has that key.
    keys: BTreeSet<Key>,
    kept: Vec<Kept>,
    free: Vec<u64>,
    /// For each kind, a bit for each class that has records.
    classes: [u64; BorrowKind::ALL.len()],
}

#[derive(Debug)]
struct Kept {
    /// None if it is nobody's.
    key: Option<Key>,
    /// Mark of the thread that entered the record.
    mark: u64,
    record: Record,
}

impl Index {
    pub(crate) const fn new() -> Self {
        let classes = [0; BorrowKind::ALL.len()];
        Self { keys: BTreeSet::new(), kept: Vec::new(), free: Vec::new(), classes }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Not to be seen half done: call it while forks are held off, as all that changes the index.
    #[cold]
    pub(crate) fn insert(&mut self, mark: u64, borrow: &Wanted<'_>) -> u64 {
        let id = self.free.pop().unwrap_or_else(|| {
            self.kept.push(Kept { key: None, mark, record: Record::none() });
            self.kept.len() as u64 - 1
        });
        let Wanted { kind, bytes, .. } = *borrow;
        let class = bytes.len_bytes().ilog2();
        let key = Key { kind, class, start: bytes.start, id };
        let kept = &mut self.kept[id as usize];
        kept.record.fill(borrow);
        (kept.key, kept.mark) = (Some(key), mark);
        self.classes[key.kind as usize] |= 1 << class;
        self.keys.insert(key);
        id
    }

    pub(crate) fn remove(&mut self, id: u64) {
        if self.strike_out(id) {
            self.free.push(id);
        }
    }

    /// Strikes out the records of threads that this process does not have. Their numbers are not used
    /// again: somebody may still hold the token.
    pub(crate) fn remove_the_gone(&mut self) {
        for id in 0..self.kept.len() {
            if !mark::is_here(self.kept[id].mark) {
                self.strike_out(id as u64);
            }
        }
    }

    /// False if there is no record any more.
    fn strike_out(&mut self, id: u64) -> bool {
        let kept = self.kept.get_mut(id as usize);
        let Some(key) = kept.and_then(|kept| kept.key.take()) else { return false };
        self.keys.remove(&key);
        if self.keys.range(key.class_range()).next().is_none() {
            self.classes[key.kind as usize] &= !(1 << key.class);
        }
        true
    }

    /// Asks about all records that can be in the way.
    #[inline(always)]
    pub(crate) fn ask(&self, search: &mut Search<'_>) -> Result<(), Box<Held>> {
        let (wanted, span) = (search.wanted.kind, search.wanted.bytes);
        let others = BorrowKind::ALL.into_iter().filter(|kind| !kind.is_compatible_with(wanted));
        others
            .flat_map(|kind| bits(self.classes[kind as usize]).map(move |class| (kind, class)))
            .flat_map(|(kind, class)| self.reaching_into(kind, class, span))
            .try_for_each(|kept| search.ask(&kept.record, kept.mark))
    }

    /// Records of a kind and class that can reach into `span`.
    fn reaching_into(
        &self,
        kind: BorrowKind,
        class: u32,
        span: Span,
    ) -> impl Iterator<Item = &Kept> {
        let longest = (1_usize << class) - 1 + (1 << class);
        let start = span.start.saturating_sub(longest);
        let first = Key { kind, class, start, id: 0 };
        let past = Key { kind, class, start: span.end, id: 0 };
        self.keys.range(first..past).map(|key| self.of_key(key))
    }

    fn of_key(&self, key: &Key) -> &Kept {
        &self.kept[key.id as usize]
    }

    pub(crate) fn any_held(&self) -> Option<Box<Held>> {
        let mut all = self.keys.iter().map(|key| self.of_key(key));
        all.find(|kept| mark::is_here(kept.mark)).map(|kept| kept.record.held())
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
