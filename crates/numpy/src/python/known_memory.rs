//! Memory that went out to Python is known again when it comes back.
//!
//! A tensor that goes to torch and returns is a view of its own storage, and not of a torch tensor
//! over a capsule over that storage: round trips do not pile up owners. Memory inside a storage that
//! lives is that storage's, whoever hands it in.

use std::collections::BTreeMap;

use ndbridge_storage::{Storage, WeakStorage, fork};

use crate::described::Described;

/// Storages that went out.
static KNOWN: fork::Mutex<Known> =
    fork::Mutex::new(11, Known { sorted: BTreeMap::new(), recent: Vec::new(), limit: FEW });

/// So many are sorted at once, and struck out if they are gone.
const FEW: usize = 64;

struct Known {
    /// By address of their first byte.
    sorted: BTreeMap<usize, WeakStorage>,
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
            let start = storage.addresses().start;
            // The longest of those that begin at one address holds the others' memory, too.
            let there = self.sorted.get(&start).and_then(WeakStorage::len_bytes);
            if there.is_none_or(|len_bytes| len_bytes < storage.len_bytes()) {
                self.sorted.insert(start, storage.downgrade());
            }
        }
        if self.sorted.len() > self.limit {
            self.sorted.retain(|_, weak| weak.is_alive());
            self.limit = FEW.max(2 * self.sorted.len());
        }
        alive
    }
}

/// Remembers a storage, as long as it lives.
pub(super) fn remember(storage: &Storage) {
    if !storage.mark_known() {
        return;
    }
    let mut known = KNOWN.lock();
    known.recent.push(storage.downgrade());
    let alive = if known.recent.len() < FEW { Vec::new() } else { known.sort() };
    drop(known);
    drop(alive);
}

/// The storage that the elements lie in, if it went out and still lives.
pub(super) fn storage_of(described: &Described) -> Option<Storage> {
    let (start, end) = described.addresses()?;
    let mut known = KNOWN.lock();
    let alive = known.sort();
    let nearest = known.sorted.range(..=start).next_back();
    let storage = nearest.and_then(|(_, weak)| weak.upgrade());
    drop(known);
    drop(alive);
    let is_inside = |storage: &Storage| {
        // Pinned memory may come back as plain host memory.
        let same_place = storage.device() == described.device
            || storage.device().is_host() && described.device.is_host();
        let here = end <= storage.addresses().end && same_place;
        // A shut gate: the memory may have been freed, and be another's now.
        here && storage.check_gate().is_ok()
    };
    storage.filter(is_inside)
}
