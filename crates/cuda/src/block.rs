//! Device memory of our own.

use std::sync::{Arc, PoisonError};

use super::backend::CUDA;
use super::device::{Gpu, is_left_to_parent};
use super::driver::{self, OUT_OF_MEMORY, code_of};
use super::stream::{Relaxed, Stream, current_stream};
use super::uses::{Later, Noted, Use, Uses};
use ndbridge_storage::{Allocated, Device, Storage, StorageError};

/// An allocation on a device; dropping it frees the bytes in the order of its stream, after every
/// noted use, or later.
pub(super) struct Block {
    // INVARIANT: allocated on the device of `stream`, not yet freed; 0 if there are no bytes.
    address: u64,
    len_bytes: usize,
    stream: Stream,
    uses: Arc<Uses>,
}

/// Memory on a CUDA device, aligned to 256 bytes; allocated in the order of the thread's current stream.
///
/// When the device has no room, what the pool holds unused is given back and the allocation tried
/// once more.
///
/// # Errors
/// [`StorageError::NoDevice`]; [`StorageError::DeviceMemory`] with the sizes; also
/// [`StorageError::Capturing`], as memory cannot be made while the current stream is captured.
pub(super) fn allocate(ordinal: usize, len_bytes: usize) -> Result<Storage, StorageError> {
    if isize::try_from(len_bytes).is_err() {
        return Err(StorageError::TooLarge { len_bytes });
    }
    let current = current_stream(ordinal)?;
    let block = Block::allocate(&current, len_bytes)?;
    let (ptr, notes) = (block.address as *mut u8, Box::new(Noted::shared(&block.uses)));
    let (device, name) = (Device::Cuda(ordinal), "CUDA allocation");
    let allocated = Allocated { owner: block, name, ptr, len_bytes, device, notes };
    // SAFETY: the block owns the bytes, which only the device touches.
    Ok(unsafe { Storage::of_backend(allocated, &CUDA) })
}

impl Block {
    fn allocate(current: &Stream, len_bytes: usize) -> Result<Self, StorageError> {
        let gpu = current.gpu();
        if len_bytes == 0 {
            return Ok(Self { address: 0, len_bytes, stream: current.clone(), uses: Uses::new() });
        }
        current.refuse_capture("allocate")?;
        let _entered = gpu.enter()?;
        // A stream that others may destroy has no order to free in: there it is the device's own.
        let stream = if current.is_own() { current.clone() } else { gpu.home()?.clone() };
        free_much_late(gpu);
        let address = match raw_allocate(gpu, &stream, len_bytes) {
            Err(error) if code_of(&error) == Some(OUT_OF_MEMORY) => {
                let _ = super::pool::empty(gpu);
                raw_allocate(gpu, &stream, len_bytes)
                    .map_err(|error| explained(gpu, len_bytes, error))
            }
            other => other,
        }?;
        let block = Self { address, len_bytes, stream, uses: Uses::new() };
        // There is no such memory on any stream before it was allocated on this one.
        block.uses.lock()?.note_write(Use::on(&block.stream, false)?);
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
        if self.address != 0 && self.free_in_order().is_err() && !is_left_to_parent() {
            let late = Late { address: self.address, len_bytes: self.len_bytes };
            self.stream.gpu().unfreed.lock().unwrap_or_else(PoisonError::into_inner).push(late);
        }
    }
}

/// Memory that cannot be freed in the order of its stream: foreign code may still use it on streams
/// that nobody can name, its stream is captured, or the driver refused. It is freed when the device has
/// been waited for, never by waiting here: the end of a tensor must not end somebody's capture.
#[derive(Clone, Copy)]
pub(super) struct Late {
    address: u64,
    len_bytes: usize,
}

/// Past so much late memory, an allocation waits for the device to free it.
const MANY_LATE: usize = 256;
const MUCH_LATE_BYTES: usize = 256 << 20;

impl Block {
    /// An error if that cannot be.
    fn free_in_order(&self) -> Result<(), StorageError> {
        let gpu = self.stream.gpu();
        let notes = self.uses.lock()?;
        let later = Later::of(&self.stream);
        if gpu.pool.is_none() || notes.has_unnoted_work() || later.is_captured {
            return Err(StorageError::Capturing { call: "free" });
        }
        notes.before_write(&later)?;
        let _entered = gpu.enter()?;
        let _relaxed = Relaxed::new();
        // SAFETY: this block's own address, used by nothing that comes later in the stream.
        unsafe { driver::cuMemFreeAsync(self.address, self.stream.handle()) }
    }
}

/// Frees memory that nothing uses any more.
fn free(gpu: &Gpu, address: u64) -> Result<(), StorageError> {
    let _entered = gpu.enter()?;
    let _relaxed = Relaxed::new();
    // SAFETY: an address of this device that came from it and was not freed yet.
    unsafe { driver::cuMemFree_v2(address) }
}

/// Frees what is late, once the device has been waited for.
pub(super) fn free_late(gpu: &Gpu) {
    let late = std::mem::take(&mut *gpu.unfreed.lock().unwrap_or_else(PoisonError::into_inner));
    let still: Vec<Late> =
        late.into_iter().filter(|late| free(gpu, late.address).is_err()).collect();
    gpu.unfreed.lock().unwrap_or_else(PoisonError::into_inner).extend(still);
}

/// The same, and waits for that, if there is much.
fn free_much_late(gpu: &Gpu) {
    let unfreed = gpu.unfreed.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes: usize = unfreed.iter().map(|late| late.len_bytes).sum();
    let is_much = unfreed.len() > MANY_LATE || bytes > MUCH_LATE_BYTES || gpu.pool.is_none();
    drop(unfreed);
    if is_much && gpu.wait_for_all().is_ok() {
        free_late(gpu);
    }
}
