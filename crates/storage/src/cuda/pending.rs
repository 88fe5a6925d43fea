//! Host memory that devices read or write while the host goes on.
//!
//! Such memory is borrowed until its copy has run. Whoever wants it otherwise waits for that first:
//! a guard for the copies it conflicts with, the memory's end for all of them.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::event::Event;
use super::pinned::Pinned;
use crate::{BorrowKind, Device, OwnedBorrow, Storage, StorageError};

/// A copy that was enqueued.
pub(super) struct Pending {
    pub(super) end: Arc<Event>,
    pub(super) kind: BorrowKind,
    pub(super) addresses: Range<usize>,
    /// Keeps the memory, and others away from it.
    pub(super) _held: OwnedBorrow,
}

impl Pending {
    fn meets(&self, addresses: &Range<usize>) -> bool {
        self.addresses.start < addresses.end && addresses.start < self.addresses.end
    }
}

static PENDING: Mutex<Vec<Pending>> = Mutex::new(Vec::new());

/// Past so many, copies that have run are looked for whenever one is added.
const MANY: usize = 16;

pub(super) fn add(pending: Pending) {
    let mut all = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
    all.push(pending);
    let are_many = all.len() > MANY;
    drop(all);
    if are_many {
        release_passed();
    }
}

/// Takes out those of the enqueued copies that `wanted` says. Never dropped under the lock: the end
/// of a borrow may be the end of its memory, which may run foreign code.
fn take(wanted: impl Fn(&Pending) -> bool) -> Vec<Pending> {
    let mut all = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
    all.extract_if(.., |pending| wanted(pending)).collect()
}

/// Lets go of the memory of copies that have run.
pub(super) fn release_passed() {
    drop(take(|pending| pending.end.has_passed().unwrap_or(false)));
}

/// Whether no device writes to any of `addresses` now.
pub(super) fn is_written(addresses: &Range<usize>) -> bool {
    let all = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
    all.iter().all(|pending| {
        let is_elsewhere = pending.kind == BorrowKind::Read || !pending.meets(addresses);
        is_elsewhere || pending.end.has_passed().unwrap_or(false)
    })
}

/// Waits for the copies that a borrow of `kind` of some of `addresses` conflicts with.
pub(crate) fn settle(kind: BorrowKind, addresses: &Range<usize>) -> Result<(), StorageError> {
    let conflicts =
        |pending: &Pending| pending.meets(addresses) && !kind.is_compatible_with(pending.kind);
    // They stay where they are meanwhile, for others who ask.
    let all = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
    let ends: Vec<Arc<Event>> = all
        .iter()
        .filter(|pending| conflicts(pending))
        .map(|pending| Arc::clone(&pending.end))
        .collect();
    drop(all);
    // If this fails nobody knows whether the copy still runs: its memory stays as it is.
    ends.iter().try_for_each(|end| end.wait())?;
    drop(take(|pending| ends.iter().any(|end| Arc::ptr_eq(end, &pending.end))));
    Ok(())
}

impl Storage {
    /// Waits until no device reads or writes this page-locked memory. Nothing happens for other memory.
    ///
    /// # Errors
    /// The driver's.
    pub fn wait_until_unused(&self) -> Result<(), StorageError> {
        if self.device() != Device::CudaHost {
            return Ok(());
        }
        settle(BorrowKind::Write, &self.addresses())
    }
}

/// Waits until no device reads or writes the page-locked memory of `storage`, which goes out to code that
/// takes no borrow and may give it to devices itself: it is not used again for something else before
/// the driver has waited for them.
///
/// # Errors
/// The driver's.
pub fn hand_over_host_memory(storage: &Storage) -> Result<(), StorageError> {
    if storage.device() == Device::CudaHost
        && let Some(pinned) = storage.any_owner::<Pinned>()
    {
        pinned.note_foreign_use();
    }
    storage.wait_until_unused()
}
