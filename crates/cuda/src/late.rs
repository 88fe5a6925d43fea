//! Memory whose end is not now: foreign code may still use it on streams that nobody can name, a
//! stream is captured, work that was enqueued here still runs, or the driver refused.
//!
//! Nothing waits at the end of memory: it ends with a later call, or when the device has been waited
//! for. Whoever waits takes what is late first: what comes while he waits is not covered.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use super::block::Memory;
use super::captures;
use super::device::{Gpu, is_left_to_parent};
use super::uses::{Noted, Uses};
use ndbridge_storage::StorageError;

/// What is late on a device.
#[derive(Default)]
pub(super) struct List(Mutex<Vec<Late>>);

pub(super) enum Late {
    /// Our own, to be freed.
    Memory(Memory),
    /// Foreign, and what frees it.
    Owner(Arc<Uses>, Box<dyn Any + Send + Sync>),
}

/// Past so much late memory, an allocation waits for the device.
const MANY: usize = 256;
const MUCH_BYTES: usize = 256 << 20;

impl List {
    fn take(&self) -> Vec<Late> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, late: impl IntoIterator<Item = Late>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(late);
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn is_much(&self) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.len() > MANY || all.iter().map(Late::len_bytes).sum::<usize>() > MUCH_BYTES
    }
}

impl Late {
    fn len_bytes(&self) -> usize {
        match self {
            Self::Memory(memory) => memory.len_bytes,
            Self::Owner(..) => 0,
        }
    }

    /// Ends it if that can be without a wait.
    fn end_now(self, gpu: &Gpu) -> Option<Self> {
        match self {
            Self::Memory(memory) if memory.free_in_order(gpu).is_ok() => None,
            Self::Owner(uses, owner) if is_unused(&uses).unwrap_or(false) => {
                drop(owner);
                None
            }
            late => Some(late),
        }
    }

    /// Ends it after the device has been waited for.
    fn end_waited(self, gpu: &Gpu) -> Option<Self> {
        match self {
            Self::Memory(memory) if memory.free(gpu).is_ok() => None,
            Self::Owner(..) => None,
            late => Some(late),
        }
    }
}

/// Whether neither we nor foreign code that got the memory from us uses it on the device.
fn is_unused(uses: &Uses) -> Result<bool, StorageError> {
    let notes = uses.lock()?;
    Ok(!notes.has_unnoted_work() && notes.have_passed()?)
}

/// Frees our own memory later.
pub(super) fn add(gpu: &Gpu, memory: Memory) {
    gpu.late.put([Late::Memory(memory)]);
}

/// Drops the owner of foreign memory now if nothing uses that, else later.
pub(super) fn end_foreign(noted: &Noted, owner: Box<dyn Any + Send + Sync>) {
    if is_left_to_parent() {
        // Nothing of it is used here.
        return drop(owner);
    }
    let uses = Arc::clone(noted.uses());
    if is_unused(&uses).unwrap_or(false) {
        return drop(owner);
    }
    let gpu = noted.gpu();
    if let Ok(mut notes) = uses.lock() {
        notes.pin_down();
    }
    gpu.late.put([Late::Owner(uses, owner)]);
}

/// What was late when somebody looked. What has not ended when this goes, also by a panic of a foreign
/// owner, is late as before.
struct Taken<'g> {
    gpu: &'g Gpu,
    untried: Vec<Late>,
    still: Vec<Late>,
}

impl<'g> Taken<'g> {
    fn from(gpu: &'g Gpu) -> Self {
        Self { gpu, untried: gpu.late.take(), still: Vec::new() }
    }

    /// Not under the lock: the end of an owner may run foreign code.
    fn end(&mut self, end: fn(Late, &Gpu) -> Option<Late>) {
        while let Some(late) = self.untried.pop() {
            self.still.extend(end(late, self.gpu));
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !(self.untried.is_empty() && self.still.is_empty()) {
            self.gpu.late.put(self.untried.drain(..).chain(self.still.drain(..)));
        }
    }
}

/// Ends what can end without a wait.
pub(super) fn end_passed(gpu: &Gpu) {
    if !gpu.late.is_empty() {
        Taken::from(gpu).end(Late::end_now);
    }
}

/// Waits for the device, as `wait` does it, and ends what was late before.
pub(super) fn end_after(
    gpu: &'static Gpu,
    wait: fn(&'static Gpu) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let mut taken = Taken::from(gpu);
    wait(gpu)?;
    taken.end(Late::end_waited);
    Ok(())
}

/// As [`end_after`], also what comes only by the end of foreign owners, which may hold memory of ours that
/// was handed on: no wait before covers that.
pub(super) fn end_all_after(
    gpu: &'static Gpu,
    wait: fn(&'static Gpu) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    const LONGEST_CHAIN: usize = 4;
    for _ in 0..LONGEST_CHAIN {
        end_after(gpu, wait)?;
        if gpu.late.is_empty() {
            break;
        }
    }
    Ok(())
}

/// Ends what can end, and waits for that if there is much, unless something is captured.
pub(super) fn relieve(gpu: &'static Gpu) {
    end_passed(gpu);
    if gpu.late.is_much() {
        // Whoever captures has more to lose.
        let _ = end_after(gpu, captures::wait_unasked);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use ndbridge_cuda_emulator::Session;
    use ndbridge_storage::{BorrowKind, Device, Storage};

    use super::*;

    thread_local! {
        static COMES_LATER: RefCell<Option<Storage>> = const { RefCell::new(None) };
    }

    /// As another thread lets go of memory after the wait has begun.
    fn wait_while_more_comes(gpu: &'static Gpu) -> Result<(), StorageError> {
        gpu.wait_for_all()?;
        drop(COMES_LATER.take());
        Ok(())
    }

    fn handed_over() -> Storage {
        let storage = Storage::on_device(Device::Cuda(0), 64).unwrap();
        super::super::hand_over(&storage, None, BorrowKind::Read).unwrap();
        storage
    }

    #[test]
    fn dev_3_what_comes_during_a_wait_is_not_covered_by_it() {
        let session = Session::start();
        let gpu = Gpu::get(0).unwrap();
        drop(handed_over());
        COMES_LATER.set(Some(handed_over()));
        end_after(gpu, wait_while_more_comes).unwrap();
        assert!(!gpu.late.is_empty());
        end_after(gpu, Gpu::wait_for_all).unwrap();
        assert!(gpu.late.is_empty());
        super::super::empty_cache(0).unwrap();
        session.assert_no_leak(0);
    }
}
