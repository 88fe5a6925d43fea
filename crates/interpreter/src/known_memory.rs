//! Memory that went out to Python is known again when it comes back.
//!
//! A tensor that goes to torch and returns is a view of its own storage, and not of a torch tensor
//! over a capsule over that storage: round trips do not pile up owners.
//!
//! Whether it may be written never depends on what went out before:
//!
//! | memory | the tensor of an object that has it |
//! |---|---|
//! | made here, read-only (a constant, a map): all who have it got it from us | read-only, whatever the object says |
//! | made here, writable | what the object says |
//! | of another owner, whose objects may differ in what they allow | what the object says |
//!
//! A capsule of our own says what its tensor was; a legacy one of somebody else says unknown; a torch
//! tensor says writable, also over memory that was unknown when it was handed to torch.
//!
//! A storage that allows something else than the object says is left alone: the object gets a
//! storage of its own, and the ledger sees that the bytes are the same.

use std::collections::BTreeMap;

use ndbridge_storage::{Mutability, Storage, WeakStorage, fork};
use ndbridge_tensor::Outside;

use crate::owner::PythonOwner;

/// Storages that went out.
static KNOWN: fork::Mutex<Known> =
    fork::Mutex::new(11, Known { sorted: BTreeMap::new(), recent: Vec::new(), limit: FEW });

/// So many are sorted at once, and struck out if they are gone.
const FEW: usize = 64;

/// What a storage says to an object that has its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Made here: what it says holds for every object.
    Own,
    /// Another's: it speaks of the one object that it came with.
    Writable,
    Unknown,
    ReadOnly,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Own, Self::Writable, Self::Unknown, Self::ReadOnly];

    fn of(storage: &Storage) -> Self {
        // Immutable bytes of Python's are not lent.
        let is_others = storage.came_lent() || storage.owner::<PythonOwner>().is_some();
        match storage.mutability() {
            _ if !is_others => Self::Own,
            Mutability::Writable => Self::Writable,
            Mutability::Unknown => Self::Unknown,
            Mutability::ReadOnly => Self::ReadOnly,
        }
    }
}

struct Known {
    /// By kind, and by address of their first byte.
    sorted: BTreeMap<(Kind, usize), WeakStorage>,
    /// Not sorted yet: most are gone before anybody asks.
    recent: Vec<WeakStorage>,
    /// Past so many sorted ones, those that are gone are struck out.
    limit: usize,
}

impl Known {
    /// Sorts the recent ones in, and gives those that must be dropped when the lock is gone: the
    /// last handle may be the one held here, and its owner come back here.
    fn sort(&mut self) -> Vec<Storage> {
        let alive: Vec<Storage> = self.recent.drain(..).filter_map(|weak| weak.upgrade()).collect();
        for storage in &alive {
            let at = (Kind::of(storage), storage.addresses().start);
            // The longest of those that begin at one address holds the others' memory, too.
            let there = self.sorted.get(&at).and_then(WeakStorage::len_bytes);
            if there.is_none_or(|len_bytes| len_bytes < storage.len_bytes()) {
                self.sorted.insert(at, storage.downgrade());
            }
        }
        if self.sorted.len() > self.limit {
            self.sorted.retain(|_, weak| weak.is_alive());
            self.limit = FEW.max(2 * self.sorted.len());
        }
        alive
    }

    /// The last storage of each kind that begins at `start` or before, if it reaches to `end`.
    fn nearest(&self, start: usize, end: usize) -> [Option<Storage>; 4] {
        Kind::ALL.map(|kind| {
            let ((_, first), weak) = self.sorted.range((kind, 0)..=(kind, start)).next_back()?;
            let reaches = end - first <= weak.len_bytes()?;
            if reaches { weak.upgrade() } else { None }
        })
    }
}

/// Remembers a storage, as long as it lives.
#[inline]
pub fn remember(storage: &Storage) {
    if storage.mark_known() {
        remember_new(storage);
    }
}

fn remember_new(storage: &Storage) {
    let mut known = KNOWN.lock();
    known.recent.push(storage.downgrade());
    let alive = if known.recent.len() < FEW { Vec::new() } else { known.sort() };
    drop(known);
    drop(alive);
}

/// The storage that the elements lie in and that says the same of them, if it went out and still
/// lives.
pub fn storage_of(outside: &Outside) -> Option<Storage> {
    let (start, end) = outside.addresses()?;
    let mut known = KNOWN.lock();
    let alive = known.sort();
    let nearest = known.nearest(start, end);
    drop(known);
    drop(alive);
    let is_it = |storage: &Storage| {
        // A shut gate: the memory may have been freed, and be another's now.
        outside.lies_in(storage)
            && says_the_same(storage, outside.mutability)
            && storage.check_gate().is_ok()
    };
    nearest.into_iter().flatten().find(is_it)
}

/// Whether a view of the storage is what an object is that says `said` of itself.
fn says_the_same(storage: &Storage, said: Mutability) -> bool {
    match (Kind::of(storage), said) {
        // A view can be made read-only.
        (_, Mutability::ReadOnly) => true,
        // What is less than writable stays that, whatever a consumer makes of it. A legacy capsule
        // of somebody else may be that of a read-only tensor.
        (Kind::Own, Mutability::Writable) => true,
        (Kind::Own, Mutability::Unknown) => storage.mutability() != Mutability::Writable,
        (Kind::Writable, Mutability::Writable) | (Kind::Unknown, Mutability::Unknown) => true,
        _ => false,
    }
}
