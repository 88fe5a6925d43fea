//! Device memory of our own.

use std::ptr::NonNull;
use std::sync::{Arc, PoisonError};

use super::device::Gpu;
use super::driver::{self, OUT_OF_MEMORY, code_of};
use super::stream::{Relaxed, Stream, current_stream};
use super::uses::{Later, Noted, Use, Uses};
use crate::alloc::dangling;
use crate::owner::Owner;
use crate::storage::Parts;
use crate::{Access, Device, Mutability, Storage, StorageError};

/// An allocation on a device; dropping it frees the bytes in the order of its stream, after every
/// noted use.
pub(super) struct Block {
    // INVARIANT: allocated on the device of `stream`, not yet freed; 0 if there are no bytes.
    address: u64,
    stream: Stream,
    uses: Arc<Uses>,
}

impl Storage {
    /// Memory on a CUDA device: `len_bytes`, aligned to 256 bytes, of whatever values. Private and
    /// writable; allocated in the order of the thread's current stream.
    ///
    /// When the device has no room, what the pool holds unused is given back and the allocation
    /// tried once more.
    ///
    /// # Errors
    /// [`StorageError::NoDevice`]; [`StorageError::DeviceMemory`] with the sizes; also
    /// [`StorageError::Capturing`], as memory cannot be made while the current stream is captured.
    pub fn on_cuda(ordinal: usize, len_bytes: usize) -> Result<Self, StorageError> {
        if isize::try_from(len_bytes).is_err() {
            return Err(StorageError::TooLarge { len_bytes });
        }
        let current = current_stream(ordinal)?;
        let block = Block::allocate(&current, len_bytes)?;
        let pointer = NonNull::new(block.address as *mut u8).unwrap_or(dangling());
        let noted = Noted::shared(&block.uses);
        let (device, access) = (Device::Cuda(ordinal), Access::Private);
        let parts = Parts {
            noted: Some(noted),
            ..Parts::new(pointer, len_bytes, device, access, Mutability::Writable)
        };
        // SAFETY: the block owns the bytes, which only the device touches; what they hold before
        // they are written is unspecified there, not undefined.
        Ok(unsafe { Self::from_parts(Owner::new(block, "CUDA allocation"), parts) })
    }
}

impl Block {
    fn allocate(current: &Stream, len_bytes: usize) -> Result<Self, StorageError> {
        let gpu = current.gpu();
        if len_bytes == 0 {
            return Ok(Self { address: 0, stream: current.clone(), uses: Uses::new() });
        }
        current.refuse_capture("allocate")?;
        let _entered = gpu.enter()?;
        // A stream that others may destroy has no order to free in: there it is the device's own.
        let stream = if current.is_own() { current.clone() } else { gpu.home()?.clone() };
        free_late(gpu);
        let address = match raw_allocate(gpu, &stream, len_bytes) {
            Err(error) if code_of(&error) == Some(OUT_OF_MEMORY) => {
                let _ = super::pool::empty(gpu);
                raw_allocate(gpu, &stream, len_bytes)
                    .map_err(|error| explained(gpu, len_bytes, error))
            }
            other => other,
        }?;
        let block = Self { address, stream, uses: Uses::new() };
        // There is no such memory on any stream before it was allocated on this one.
        block.uses.lock().note_write(Use::on(&block.stream, false)?);
        Ok(block)
    }
}

fn raw_allocate(gpu: &Gpu, stream: &Stream, len_bytes: usize) -> Result<u64, StorageError> {
    let mut address = 0;
    let _relaxed = Relaxed::new();
    match gpu.pool {
        // SAFETY: `address` is good for writing; a live pool and a live stream of this device.
        Some(pool) => unsafe {
            driver::cuMemAllocFromPoolAsync(&raw mut address, len_bytes, pool, stream.handle())
        }?,
        // SAFETY: `address` is good for writing.
        None => unsafe { driver::cuMemAlloc_v2(&raw mut address, len_bytes) }?,
    }
    Ok(address)
}

#[cold]
fn explained(gpu: &'static Gpu, asked: usize, error: StorageError) -> StorageError {
    if code_of(&error) != Some(OUT_OF_MEMORY) {
        return error;
    }
    match super::pool::stats_of(gpu) {
        Ok(stats) => StorageError::DeviceMemory {
            device: gpu.device(),
            asked,
            free: stats.free_bytes,
            held: stats.reserved_bytes - stats.used_bytes.min(stats.reserved_bytes),
            total: stats.total_bytes,
        },
        Err(_) => error,
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.address == 0 {
            return;
        }
        let gpu = self.stream.gpu();
        if self.free_in_order().is_ok() || self.free_after_everything().is_ok() {
            return;
        }
        // Neither worked: an error of the device, or of a driver that is going down. Kept, to be
        // freed with a later allocation.
        gpu.unfreed.lock().unwrap_or_else(PoisonError::into_inner).push(self.address);
    }
}

impl Block {
    fn free_in_order(&self) -> Result<(), StorageError> {
        let gpu = self.stream.gpu();
        let notes = self.uses.lock();
        let later = Later::of(&self.stream);
        if gpu.pool.is_none() || notes.has_unnoted_work() || later.is_captured {
            return self.free_when_passed(notes);
        }
        notes.before_write(&later)?;
        let _entered = gpu.enter()?;
        // SAFETY: this block's own address, used by nothing that comes later in the stream.
        unsafe { driver::cuMemFreeAsync(self.address, self.stream.handle()) }
    }

    fn free_when_passed(
        &self,
        mut notes: std::sync::MutexGuard<'_, super::uses::Notes>,
    ) -> Result<(), StorageError> {
        notes.wait_for_all()?;
        if notes.has_unnoted_work() {
            let _relaxed = Relaxed::new();
            super::synchronize(self.stream.ordinal())?;
        }
        self.free_now()
    }

    /// Waits for all work of the device first.
    fn free_after_everything(&self) -> Result<(), StorageError> {
        super::synchronize(self.stream.ordinal())?;
        self.free_now()
    }

    fn free_now(&self) -> Result<(), StorageError> {
        free(self.stream.gpu(), self.address)
    }
}

/// Frees memory that nothing uses any more.
fn free(gpu: &Gpu, address: u64) -> Result<(), StorageError> {
    let _entered = gpu.enter()?;
    let _relaxed = Relaxed::new();
    // SAFETY: an address of this device that came from it and was not freed yet.
    unsafe { driver::cuMemFree_v2(address) }
}

/// Frees what could not be freed when it was its time.
fn free_late(gpu: &'static Gpu) {
    let mut unfreed = gpu.unfreed.lock().unwrap_or_else(PoisonError::into_inner);
    if !unfreed.is_empty() && super::synchronize(gpu.ordinal).is_ok() {
        unfreed.retain(|&address| free(gpu, address).is_err());
    }
}
