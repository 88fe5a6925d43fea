//! Memory that went out to Python is known again when it comes back.
//!
//! A tensor that goes to torch and returns is a view of its own storage, and not of a torch tensor
//! over a capsule over that storage: round trips do not pile up owners. Memory inside a storage that
//! lives is that storage's, whoever hands it in.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ndbridge_storage::{Storage, WeakStorage};

use crate::described::Described;

/// Storages that went out, by address of their first byte.
static KNOWN: Mutex<Known> = Mutex::new(Known { storages: BTreeMap::new(), limit: 64 });

struct Known {
    storages: BTreeMap<usize, WeakStorage>,
    /// Past so many, those that are gone are struck out.
    limit: usize,
}

/// Remembers a storage, as long as it lives.
pub(super) fn remember(storage: &Storage) {
    let (start, len_bytes) = (storage.addresses().start, storage.len_bytes());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let there = known.storages.get(&start).and_then(WeakStorage::upgrade);
    // The longest of those that begin at one address holds the others' memory, too.
    if there.as_ref().is_none_or(|there| there.len_bytes() < len_bytes) {
        known.storages.insert(start, storage.downgrade());
        if known.storages.len() > known.limit {
            known.storages.retain(|_, weak| weak.is_alive());
            known.limit = 64.max(2 * known.storages.len());
        }
    }
    // The last handle may be the one held here, and its owner come back here when it is dropped.
    drop(known);
    drop(there);
}

/// The storage that the elements lie in, if it went out and still lives.
pub(super) fn storage_of(described: &Described) -> Option<Storage> {
    let (start, end) = described.addresses()?;
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let storage = known.storages.range(..=start).next_back()?.1.upgrade();
    drop(known);
    let is_inside =
        |storage: &Storage| end <= storage.addresses().end && storage.device() == described.device;
    storage.filter(is_inside)
}
