//! Events: points in the work of a stream. Made once, used again.

use std::sync::{Mutex, PoisonError};

use super::codes::NOT_READY;
use super::device::{Gpu, is_left_to_parent};
use super::driver::{self, Handle, code_of};
use ndbridge_storage::StorageError;

const DISABLE_TIMING: u32 = 2;

/// Events of one device that nobody uses now.
#[derive(Default)]
pub(super) struct Events(Mutex<Vec<Handle>>);

/// A point in the work of a stream.
pub(super) struct Event {
    gpu: &'static Gpu,
    handle: Handle,
}

impl Event {
    /// The point after all that was enqueued on `stream` so far.
    pub(super) fn after(gpu: &'static Gpu, stream: Handle) -> Result<Self, StorageError> {
        let _entered = gpu.enter()?;
        let event = Self::unrecorded(gpu)?;
        // SAFETY: a live event, and a stream that the caller says is live.
        unsafe { driver::cuEventRecord(event.handle, stream) }?;
        Ok(event)
    }

    fn unrecorded(gpu: &'static Gpu) -> Result<Self, StorageError> {
        let free = gpu.events.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(handle) = free {
            return Ok(Self { gpu, handle });
        }
        let _relaxed = super::relaxed::Relaxed::new();
        let mut handle: Handle = 0;
        // SAFETY: `handle` is good for writing; the context is entered.
        unsafe { driver::cuEventCreate(&raw mut handle, DISABLE_TIMING) }?;
        Ok(Self { gpu, handle })
    }

    /// Makes `stream`, of whatever device, wait for this point.
    pub(super) fn hold_back(&self, on: &'static Gpu, stream: Handle) -> Result<(), StorageError> {
        let _entered = on.enter()?;
        // SAFETY: a recorded event, and a stream that the caller says is live.
        unsafe { driver::cuStreamWaitEvent(stream, self.handle, 0) }
    }

    /// Whether everything before this point has run.
    pub(super) fn has_passed(&self) -> Result<bool, StorageError> {
        let _entered = self.gpu.enter()?;
        let _relaxed = super::relaxed::Relaxed::new();
        // SAFETY: a recorded event.
        match unsafe { driver::cuEventQuery(self.handle) } {
            Ok(()) => Ok(true),
            Err(error) if code_of(&error) == Some(NOT_READY) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits until everything before this point has run.
    pub(super) fn wait(&self) -> Result<(), StorageError> {
        let _entered = self.gpu.enter()?;
        let _relaxed = super::relaxed::Relaxed::new();
        // SAFETY: a recorded event.
        unsafe { driver::cuEventSynchronize(self.handle) }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if is_left_to_parent() {
            return;
        }
        // Waits that were enqueued for it keep the point that they were enqueued for.
        self.gpu.events.0.lock().unwrap_or_else(PoisonError::into_inner).push(self.handle);
    }
}
