//! Captures for graphs: whether one goes on, as far as anybody can tell.
//!
//! While any stream of a device is captured, waiting for the whole device is forbidden, and ends the
//! capture. The driver cannot be asked for captures, only streams can, while they exist. So the
//! streams that exist are listed here, and other libraries are asked for those they work on; a capture on
//! any other stream is not seen.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;

use super::codes::is_of_capture;
use super::device::Gpu;
use super::driver::{Handle, code_of};
use super::stream::{self, Stream};
use ndbridge_storage::{StorageError, Surroundings, fork};

/// The streams of a device that exist, by number: ours, and those of others for as long as they gave
/// their word.
#[derive(Default)]
pub(super) struct Streams(Mutex<HashMap<u64, Handle>>);

impl Streams {
    pub(super) fn add(&self, number: u64, handle: Handle) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number, handle);
    }

    /// The stream may be destroyed when this returns.
    pub(super) fn remove(&self, number: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }

    /// Whether a stream is captured; false for one that may not exist any more. Under the lock:
    /// nobody destroys it meanwhile.
    fn is_captured(&self, gpu: &Gpu, number: u64) -> Result<bool, StorageError> {
        let streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streams.get(&number).map_or(Ok(false), |handle| gpu.is_captured(*handle))
    }

    fn is_any_captured(&self, gpu: &Gpu) -> Result<bool, StorageError> {
        let streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for handle in streams.values() {
            if gpu.is_captured(*handle)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A stream whose captured work writes something.
#[derive(Clone)]
pub(super) struct Captured {
    gpu: &'static Gpu,
    handle: Handle,
    number: u64,
    /// Of the stream that means another one on each thread: the thread that it was.
    thread: Option<ThreadId>,
}

impl PartialEq for Captured {
    fn eq(&self, other: &Self) -> bool {
        let is_device = std::ptr::eq(self.gpu, other.gpu);
        is_device
            && (self.handle, self.number, self.thread) == (other.handle, other.number, other.thread)
    }
}

impl Captured {
    pub(super) fn on(stream: &Stream) -> Self {
        let thread = stream.is_per_thread().then(|| std::thread::current().id());
        let (gpu, handle, number) = (stream.gpu(), stream.handle(), stream.number());
        Self { gpu, handle, number, thread }
    }

    /// Whether the stream is still captured. Of another thread's own stream nobody can tell: true,
    /// until that thread asks. Of one of others that nobody names any more: if they work on it now.
    fn goes_on(&self) -> Result<bool, StorageError> {
        let Self { gpu, handle, .. } = *self;
        match self.thread {
            Some(thread) if thread != std::thread::current().id() => return Ok(true),
            Some(_) => return gpu.is_captured(handle),
            None if gpu.streams.is_captured(gpu, self.number)? => return Ok(true),
            None => {}
        }
        let is_theirs = |all: &Surroundings| (all.queue_of)(gpu.device()) == Some(handle);
        Ok(surroundings().iter().any(is_theirs) && gpu.is_captured(handle)?)
    }

    /// An error while the stream is captured: what its work writes is not there.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        if self.goes_on()? {
            return Err(not_run(self.gpu, self.handle));
        }
        Ok(())
    }
}

/// Memory is not written, as the work that does is recorded on a stream.
#[cold]
pub(super) fn not_run(gpu: &Gpu, stream: Handle) -> StorageError {
    StorageError::NotRun { device: gpu.device(), stream }
}

/// A capture that nothing here could see was in the way once: nobody waits unasked any more.
static WAS_HIDDEN: AtomicBool = AtomicBool::new(false);

/// Waits for all work on a device for a call that did not ask for it, unless something is captured
/// there.
///
/// # Errors
/// [`StorageError::Capturing`] then; the driver's.
pub(super) fn wait_unasked(gpu: &'static Gpu) -> Result<(), StorageError> {
    if WAS_HIDDEN.load(Ordering::Relaxed) || is_any_seen(gpu)? {
        return Err(StorageError::Capturing { call: "wait for the device" });
    }
    let waited = letting_go_of_all(gpu);
    if waited.as_ref().err().and_then(code_of).is_some_and(is_of_capture) {
        WAS_HIDDEN.store(true, Ordering::Relaxed);
    }
    waited
}

/// Waits for all work on a device, for a call that asks for that.
///
/// # Errors
/// [`StorageError::Capturing`] while a stream is captured, as far as that can be seen; the driver's.
pub(super) fn wait_asked(gpu: &'static Gpu) -> Result<(), StorageError> {
    if is_any_seen(gpu)? {
        return Err(StorageError::Capturing { call: "wait for the device" });
    }
    gpu.wait_for_all()
}

static SURROUNDINGS: fork::Mutex<Vec<Surroundings>> =
    fork::Mutex::new(super::RANK_OF_SURROUNDINGS, Vec::new());

pub(super) fn within(surroundings: Surroundings) {
    let is_same = |other: &Surroundings| {
        std::ptr::fn_addr_eq(other.queue_of, surroundings.queue_of)
            && std::ptr::fn_addr_eq(other.letting_go, surroundings.letting_go)
    };
    let mut all = SURROUNDINGS.lock();
    if !all.iter().any(is_same) {
        all.push(surroundings);
    }
}

/// Not under the lock: they may need what others hold who come here.
fn surroundings() -> Vec<Surroundings> {
    SURROUNDINGS.lock().clone()
}

fn letting_go_of_all(gpu: &'static Gpu) -> Result<(), StorageError> {
    fn run(all: &[Surroundings], work: &mut (dyn FnMut() + Send)) {
        match all.split_first() {
            Some((first, others)) => (first.letting_go)(&mut || run(others, work)),
            None => work(),
        }
    }
    let mut waited = Ok(());
    run(&surroundings(), &mut || waited = gpu.wait_for_all());
    waited
}

fn is_any_seen(gpu: &'static Gpu) -> Result<bool, StorageError> {
    if gpu.is_legacy_blocked()? || gpu.streams.is_any_captured(gpu)? {
        return Ok(true);
    }
    for handle in surroundings().iter().filter_map(|all| (all.queue_of)(gpu.device())) {
        // 0 is the legacy default stream where streams are pointers.
        if handle > stream::LEGACY && gpu.is_captured(handle)? {
            return Ok(true);
        }
    }
    Ok(false)
}
