//! Page-locked host memory, kept for later when it is dropped: locking pages takes milliseconds.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

use super::backend::CUDA;
use super::captures;
use super::codes::OUT_OF_MEMORY;
use super::device::{Gpu, check_process};
use super::driver::{self, code_of};
use super::relaxed::Relaxed;
use ndbridge_storage::{Allocated, Device, Storage, StorageError, fork};

const PORTABLE: u32 = 1;
const SMALLEST_BYTES: usize = 4096;
/// What is kept at most; beyond it, memory is freed when it is dropped.
const KEPT_BYTES: usize = 1 << 30;

/// A page-locked block. Any device reads and writes it, the host too.
pub(crate) struct Pinned {
    address: NonNull<u8>,
    // INVARIANT: as many bytes from the address are this value's alone.
    len_bytes: usize,
    /// Foreign code may use it on devices, without a note.
    is_known_outside: AtomicBool,
}

// SAFETY: plain memory, owned by this value alone.
unsafe impl Send for Pinned {}
// SAFETY: nothing of it is reachable through `&Pinned` but its address.
unsafe impl Sync for Pinned {}

struct Kept {
    blocks: Vec<(NonNull<u8>, usize)>,
    bytes: usize,
}

impl Kept {
    const NOTHING: Self = Self { blocks: Vec::new(), bytes: 0 };

    fn push(&mut self, address: NonNull<u8>, len_bytes: usize) {
        self.bytes += len_bytes;
        self.blocks.push((address, len_bytes));
    }

    fn take_all(&mut self) -> Self {
        std::mem::replace(self, Self::NOTHING)
    }
}

// SAFETY: memory that nobody uses.
unsafe impl Send for Kept {}

/// Memory that foreign code had, and may have given to devices.
static LATE: fork::Mutex<Kept> = fork::Mutex::new(super::RANK_OF_LATE, Kept::NOTHING);
/// Past so much late memory, an allocation waits for the devices, unless something is captured.
const MANY_LATE: usize = 64;
const MUCH_LATE_BYTES: usize = 256 << 20;

static KEPT: fork::Mutex<Kept> = fork::Mutex::new(super::RANK_OF_KEPT, Kept::NOTHING);

/// Page-locked memory, of whatever values.
pub(super) fn allocate(len_bytes: usize) -> Result<Storage, StorageError> {
    check_process(Device::CudaHost)?;
    if is_much_late() {
        // Not for a part of a larger copy: its thread is none of the caller's, and holds up who holds locks.
        take_back_late(captures::wait_unasked);
    }
    let owner = Pinned::allocate(len_bytes)?;
    let (ptr, device, name) = (owner.address().as_ptr(), Device::CudaHost, "pinned allocation");
    let allocated = Allocated { owner, name, ptr, len_bytes, device, notes: Box::new(()) };
    // SAFETY: the block has as many bytes, which nothing else knows; the driver gave them, with values
    // of its own.
    Ok(unsafe { Storage::of_backend(allocated, &CUDA) })
}

impl Pinned {
    /// At least `len_bytes`, and at least one.
    pub(crate) fn allocate(len_bytes: usize) -> Result<Self, StorageError> {
        check_process(Device::CudaHost)?;
        let asked = len_bytes;
        let len_bytes = size_class(asked).ok_or(StorageError::TooLarge { len_bytes })?;
        let is_known_outside = AtomicBool::new(false);
        if let Some(address) = take_kept(len_bytes) {
            return Ok(Self { address, len_bytes, is_known_outside });
        }
        let gpu = Gpu::any().map_err(for_host)?;
        let _entered = gpu.enter()?;
        let _relaxed = Relaxed::new();
        let locked = match lock_pages(len_bytes) {
            Err(error) if code_of(&error) == Some(OUT_OF_MEMORY) => {
                free_kept(captures::wait_unasked);
                lock_pages(len_bytes)
            }
            other => other,
        };
        match locked {
            Ok(address) => Ok(Self { address, len_bytes, is_known_outside }),
            Err(error) if code_of(&error) == Some(OUT_OF_MEMORY) => {
                Err(StorageError::OutOfMemory { len_bytes: asked })
            }
            Err(error) => Err(error),
        }
    }

    /// From now on, foreign code may use the memory on devices.
    pub(super) fn note_foreign_use(&self) {
        self.is_known_outside.store(true, Ordering::Relaxed);
    }

    /// Not used again before the devices have been waited for, unless no copy uses it any more.
    pub(super) fn end_late_unless(&self, is_unused: bool) {
        if !is_unused {
            self.note_foreign_use();
        }
    }

    pub(crate) fn address(&self) -> NonNull<u8> {
        self.address
    }
}

fn is_much_late() -> bool {
    let late = LATE.lock();
    late.blocks.len() > MANY_LATE || late.bytes > MUCH_LATE_BYTES
}

/// What is allocated for so many bytes: at most an eighth more, so that blocks can be used again.
fn size_class(len_bytes: usize) -> Option<usize> {
    let len_bytes = len_bytes.max(SMALLEST_BYTES);
    let step = (len_bytes.checked_next_power_of_two()? / 16).max(SMALLEST_BYTES);
    len_bytes.checked_next_multiple_of(step)
}

fn lock_pages(len_bytes: usize) -> Result<NonNull<u8>, StorageError> {
    let mut address = std::ptr::null_mut();
    // SAFETY: `address` is good for writing.
    unsafe { driver::cuMemHostAlloc(&raw mut address, len_bytes, PORTABLE) }?;
    NonNull::new(address).ok_or(StorageError::OutOfMemory { len_bytes })
}

/// The same error, about page-locked memory.
fn for_host(error: StorageError) -> StorageError {
    match error {
        StorageError::NoDevice { reason, .. } => {
            StorageError::NoDevice { device: Device::CudaHost, reason }
        }
        other => other,
    }
}

fn take_kept(len_bytes: usize) -> Option<NonNull<u8>> {
    let mut kept = KEPT.lock();
    let at = kept.blocks.iter().position(|&(_, bytes)| bytes == len_bytes)?;
    kept.bytes -= len_bytes;
    Some(kept.blocks.swap_remove(at).0)
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.is_known_outside.load(Ordering::Relaxed) {
            // Devices may still copy it, on streams that nobody can name.
            return LATE.lock().push(self.address, self.len_bytes);
        }
        let mut kept = KEPT.lock();
        if kept.bytes + self.len_bytes <= KEPT_BYTES {
            return kept.push(self.address, self.len_bytes);
        }
        drop(kept);
        if free(self.address).is_err() {
            KEPT.lock().push(self.address, self.len_bytes);
        }
    }
}

fn free(address: NonNull<u8>) -> Result<(), StorageError> {
    let _entered = Gpu::any()?.enter()?;
    let _relaxed = Relaxed::new();
    // SAFETY: allocated by `allocate`, and nobody uses it: copies hold what they read and write.
    unsafe { driver::cuMemFreeHost(address.as_ptr()) }
}

/// Takes back for later use what foreign code had, once all devices have been waited for, each as `wait`
/// does it.
fn take_back_late(wait: fn(&'static Gpu) -> Result<(), StorageError>) {
    // First, as what comes while somebody waits is not covered. Not under the lock: waiting is the driver's work, and takes as long as the devices do.
    let late = LATE.lock().take_all();
    if late.blocks.is_empty() {
        return;
    }
    let is_over = Gpu::wait_for_devices(wait).is_ok();
    for (address, len_bytes) in late.blocks {
        // Kept, or freed if there is enough of it; late as before where nobody could wait.
        drop(Pinned { address, len_bytes, is_known_outside: AtomicBool::new(!is_over) });
    }
}

/// Bytes that are kept for later.
pub(super) fn kept_bytes() -> usize {
    KEPT.lock().bytes
}

/// Frees what is kept.
pub(super) fn free_kept(wait: fn(&'static Gpu) -> Result<(), StorageError>) {
    take_back_late(wait);
    let kept = KEPT.lock().take_all();
    for (address, len_bytes) in kept.blocks {
        if free(address).is_err() {
            KEPT.lock().push(address, len_bytes);
        }
    }
}
