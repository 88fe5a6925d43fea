//! Device memory of our own.

use std::sync::Arc;

use super::backend::CUDA;
use super::codes::OUT_OF_MEMORY;
use super::device::{Gpu, is_left_to_parent};
use super::driver::{self, code_of};
use super::late;
use super::relaxed::Relaxed;
use super::stream::{Stream, current_stream};
use super::uses::{Later, Noted, Use, Uses};
use ndbridge_storage::{Allocated, Device, Storage, StorageError};

/// An allocation on a device; dropping it frees the bytes in the order of its stream, after every
/// noted use, or later.
pub(super) struct Block(Memory);

/// Bytes of a block, and who uses them; does not free them by itself.
#[derive(Clone)]
pub(super) struct Memory {
    // INVARIANT: allocated on the device of `stream`, freed once; 0 if there are no bytes.
    address: u64,
    pub(super) len_bytes: usize,
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
    let (ptr, notes) =
        (block.0.address as *mut u8, Box::new(Noted::shared(&block.0.uses, current.gpu())));
    let (device, name) = (Device::Cuda(ordinal), "CUDA allocation");
    let allocated = Allocated { owner: block, name, ptr, len_bytes, device, notes };
    // SAFETY: the block owns the bytes, which only the device touches.
    Ok(unsafe { Storage::of_backend(allocated, &CUDA) })
}

impl Block {
    fn allocate(current: &Stream, len_bytes: usize) -> Result<Self, StorageError> {
        let gpu = current.gpu();
        if len_bytes == 0 {
            let (stream, uses) = (current.clone(), Uses::new());
            return Ok(Self(Memory { address: 0, len_bytes, stream, uses }));
        }
        current.refuse_capture("allocate")?;
        let _entered = gpu.enter()?;
        // A stream that others may destroy has no order to free in: there it is the device's own.
        let stream = if current.is_own() { current.clone() } else { gpu.home()?.clone() };
        stream.refuse_capture("allocate")?;
        late::relieve(gpu);
        let address = match raw_allocate(gpu, &stream, len_bytes) {
            Err(error) if code_of(&error) == Some(OUT_OF_MEMORY) => {
                let _ = super::pool::give_back(gpu);
                raw_allocate(gpu, &stream, len_bytes)
                    .map_err(|error| explained(gpu, len_bytes, error))
            }
            other => other,
        }?;
        let block = Self(Memory { address, len_bytes, stream, uses: Uses::new() });
        let Memory { stream, uses, .. } = &block.0;
        // There is no such memory on any stream before it was allocated on this one.
        uses.lock()?.note_write(Use::on(stream, false)?);
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
        let Memory { address, stream, .. } = &self.0;
        let gpu = stream.gpu();
        if *address != 0 && !is_left_to_parent() && self.0.free_in_order(gpu).is_err() {
            late::add(gpu, self.0.clone());
        }
    }
}

impl Memory {
    /// An error if that cannot be.
    pub(super) fn free_in_order(&self, gpu: &Gpu) -> Result<(), StorageError> {
        const NOT_NOW: StorageError = StorageError::Capturing { call: "free" };
        let notes = self.uses.lock()?;
        if notes.has_unnoted_work() {
            return Err(NOT_NOW);
        }
        if gpu.pool.is_none() {
            return if notes.have_passed()? { self.free(gpu) } else { Err(NOT_NOW) };
        }
        let later = Later::of(&self.stream)?;
        if later.is_captured {
            return Err(NOT_NOW);
        }
        notes.before_write(&later)?;
        let _entered = gpu.enter()?;
        let _relaxed = Relaxed::new();
        // SAFETY: its own address, not yet freed, used by nothing that comes later in the stream.
        unsafe { driver::cuMemFreeAsync(self.address, self.stream.handle()) }
    }

    /// Frees memory that nothing uses any more.
    pub(super) fn free(&self, gpu: &Gpu) -> Result<(), StorageError> {
        let _entered = gpu.enter()?;
        let _relaxed = Relaxed::new();
        // SAFETY: an address of this device that came from it and was not freed yet.
        unsafe { driver::cuMemFree_v2(self.address) }
    }
}
