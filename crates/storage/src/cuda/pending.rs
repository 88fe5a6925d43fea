//! Host memory that devices read or write while the host goes on.
//!
//! Such memory is borrowed until its copy has run. Whoever wants it otherwise waits for that first:
//! a guard for the copies it conflicts with, the memory's end for all of them.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::event::Event;
use crate::{BorrowKind, Device, OwnedBorrow, Storage, StorageError};

/// A copy that was enqueued.
pub(super) struct Pending {
    pub(super) end: Event,
    pub(super) kind: BorrowKind,
    pub(super) addresses: Range<usize>,
    /// Keeps the memory, and others away from it.
    pub(super) _held: OwnedBorrow,
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
        let meets =
            pending.addresses.start < addresses.end && addresses.start < pending.addresses.end;
        pending.kind == BorrowKind::Read || !meets || pending.end.has_passed().unwrap_or(false)
    })
}

/// Waits for the copies that a borrow of `kind` of some of `addresses` conflicts with.
pub(crate) fn settle(kind: BorrowKind, addresses: &Range<usize>) -> Result<(), StorageError> {
    let meets = |pending: &Pending| {
        pending.addresses.start < addresses.end
            && addresses.start < pending.addresses.end
            && !kind.is_compatible_with(pending.kind)
    };
    let mut conflicting = take(meets);
    while let Some(pending) = conflicting.pop() {
        if let Err(error) = pending.end.wait() {
            // Nobody knows whether the copy still runs: its memory stays as it is.
            add(pending);
            conflicting.into_iter().for_each(add);
            return Err(error);
        }
    }
    Ok(())
}

/// Waits until no device reads or writes the page-locked memory of `storage`.
///
/// For those who hand such memory to code that takes no borrow.
///
/// # Errors
/// The driver's.
pub fn wait_for_host_memory(storage: &Storage) -> Result<(), StorageError> {
    if storage.device() != Device::CudaHost {
        return Ok(());
    }
    settle(BorrowKind::Write, &storage.addresses())
}
