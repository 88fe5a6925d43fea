//! Host memory that devices read or write while the host goes on.
//!
//! Such memory is borrowed until its copy has run. Whoever wants it otherwise waits for that first:
//! a guard for the copies it conflicts with, the memory's end for all of them.

use std::ops::Range;
use std::sync::Arc;

use super::event::Event;
use super::pinned::Pinned;
use ndbridge_storage::{BorrowKind, OwnedBorrow, Storage, StorageError, fork};

/// A copy that was enqueued.
pub(super) struct Pending {
    pub(super) end: Arc<Event>,
    pub(super) kind: BorrowKind,
    pub(super) addresses: Range<usize>,
    /// Keeps the memory, and others away from it.
    pub(super) held: OwnedBorrow,
}

impl Pending {
    fn meets(&self, addresses: &Range<usize>) -> bool {
        self.addresses.start < addresses.end && addresses.start < self.addresses.end
    }
}

static PENDING: fork::Mutex<Vec<Pending>> = fork::Mutex::new(super::RANK_OF_PENDING, Vec::new());

/// Past so many, copies that have run are looked for whenever one is added.
const MANY: usize = 16;

pub(super) fn add(pending: Pending) {
    let mut all = PENDING.lock();
    all.push(pending);
    let are_many = all.len() > MANY;
    drop(all);
    if are_many {
        release_passed();
    }
}

/// The ends of those of the enqueued copies that `wanted` says. They are asked, and waited for, without
/// the lock: that is the driver's work.
fn ends(wanted: impl Fn(&Pending) -> bool) -> Vec<Arc<Event>> {
    let all = PENDING.lock();
    let wanted = all.iter().filter(|pending| wanted(pending));
    wanted.map(|pending| Arc::clone(&pending.end)).collect()
}

/// Lets go of the memory of copies that have run.
fn release(passed: &[Arc<Event>]) {
    let has_passed =
        |pending: &mut Pending| passed.iter().any(|passed| Arc::ptr_eq(passed, &pending.end));
    let mut all = PENDING.lock();
    let released = all.extract_if(.., has_passed);
    let memory: Vec<Storage> = released.map(|pending| end_of_borrow(pending.held)).collect();
    drop(all);
    // Not under the lock: the end of memory may run foreign code.
    drop(memory);
}

/// Under the lock: who finds no copy any more finds no borrow either.
fn end_of_borrow(held: OwnedBorrow) -> Storage {
    let memory = held.storage().clone();
    drop(held);
    memory
}

/// Lets go of the memory of copies that have run.
pub(super) fn release_passed() {
    let mut passed = ends(|_| true);
    passed.retain(|end| end.has_passed().unwrap_or(false));
    release(&passed);
}

/// Whether no device writes to any of `addresses` now.
pub(super) fn is_written(addresses: &Range<usize>) -> bool {
    let writes = |pending: &Pending| pending.kind != BorrowKind::Read && pending.meets(addresses);
    ends(writes).iter().all(|end| end.has_passed().unwrap_or(false))
}

/// Waits for the copies that a borrow of `kind` of some of `addresses` conflicts with.
pub(crate) fn settle(kind: BorrowKind, addresses: &Range<usize>) -> Result<(), StorageError> {
    // They stay where they are meanwhile, for others who ask.
    let ends = ends(|pending| pending.meets(addresses) && !kind.is_compatible_with(pending.kind));
    // If this fails nobody knows whether the copy still runs: its memory stays as it is.
    ends.iter().try_for_each(|end| end.wait())?;
    release(&ends);
    Ok(())
}

/// Waits until no device reads or writes the page-locked memory of `storage`, which goes out to code that
/// takes no borrow and may give it to devices itself: it is not used again for something else before
/// the driver has waited for them.
pub(super) fn hand_over(storage: &Storage) -> Result<(), StorageError> {
    if let Some(pinned) = storage.owner::<Pinned>() {
        pinned.note_foreign_use();
    }
    storage.wait_until_unused()
}
