//! The memory pool of a device: what it holds, how much it may keep.

use cust::sys::CUmemPoolProps;
use cust::sys::{CUmemAllocationHandleType, CUmemAllocationType, CUmemLocation, CUmemLocationType};

use super::device::Gpu;
use super::driver::{self, Handle};
use super::relaxed::Relaxed;
use super::{captures, late};
use ndbridge_storage::StorageError;

const RELEASE_THRESHOLD: i32 = 4;
const RESERVED_CURRENT: i32 = 5;
const RESERVED_HIGH: i32 = 6;
const USED_CURRENT: i32 = 7;
const USED_HIGH: i32 = 8;

/// Memory of a device, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryStats {
    /// In use by storages.
    pub used_bytes: usize,
    /// Largest `used_bytes` since the start or [`reset_peak_stats`].
    pub used_peak_bytes: usize,
    /// Held by the pool: in use, or kept for later.
    pub reserved_bytes: usize,
    /// Largest `reserved_bytes` since the start or [`reset_peak_stats`].
    pub reserved_peak_bytes: usize,
    /// Free on the device, for every process.
    pub free_bytes: usize,
    /// All that the device has.
    pub total_bytes: usize,
    /// Page-locked host memory that this process keeps for later, for all devices.
    pub pinned_kept_bytes: usize,
}

/// A pool that keeps all that it was given until it is told otherwise.
pub(super) fn create(device: i32) -> Result<Handle, StorageError> {
    let properties = CUmemPoolProps {
        allocType: CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED,
        handleTypes: CUmemAllocationHandleType::CU_MEM_HANDLE_TYPE_NONE,
        location: CUmemLocation {
            type_: CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE,
            id: device,
        },
        win32SecurityAttributes: std::ptr::null_mut(),
        reserved: [0; 64],
    };
    let mut pool: Handle = 0;
    // SAFETY: `pool` is good for writing, the properties are complete.
    unsafe { driver::cuMemPoolCreate(&raw mut pool, &raw const properties) }?;
    set(pool, RELEASE_THRESHOLD, u64::MAX)?;
    Ok(pool)
}

fn set(pool: Handle, attribute: i32, value: u64) -> Result<(), StorageError> {
    let mut value = value;
    // SAFETY: a live pool; all attributes set here are of 64 bits.
    unsafe { driver::cuMemPoolSetAttribute(pool, attribute, &raw mut value) }
}

fn get(pool: Handle, attribute: i32) -> Result<usize, StorageError> {
    let mut value = 0;
    // SAFETY: a live pool; all attributes asked for here are of 64 bits.
    unsafe { driver::cuMemPoolGetAttribute(pool, attribute, &raw mut value) }?;
    Ok(value as usize)
}

/// What a device's memory is used for.
///
/// # Errors
/// [`StorageError::NoDevice`] if there is no such device.
pub fn memory_stats(ordinal: usize) -> Result<MemoryStats, StorageError> {
    stats_of(Gpu::get(ordinal)?)
}

pub(super) fn stats_of(gpu: &'static Gpu) -> Result<MemoryStats, StorageError> {
    let (_entered, _relaxed) = (gpu.enter()?, Relaxed::new());
    let (mut free_bytes, mut total_bytes) = (0, 0);
    // SAFETY: both are good for writing.
    unsafe { driver::cuMemGetInfo_v2(&raw mut free_bytes, &raw mut total_bytes) }?;
    let of_pool = |attribute| gpu.pool.map_or(Ok(0), |pool| get(pool, attribute));
    Ok(MemoryStats {
        used_bytes: of_pool(USED_CURRENT)?,
        used_peak_bytes: of_pool(USED_HIGH)?,
        reserved_bytes: of_pool(RESERVED_CURRENT)?,
        reserved_peak_bytes: of_pool(RESERVED_HIGH)?,
        free_bytes,
        total_bytes,
        pinned_kept_bytes: super::pinned::kept_bytes(),
    })
}

/// Starts the peaks of [`memory_stats`] anew.
///
/// # Errors
/// [`StorageError::NoDevice`] if there is no such device.
pub fn reset_peak_stats(ordinal: usize) -> Result<(), StorageError> {
    let Some(pool) = Gpu::get(ordinal)?.pool else { return Ok(()) };
    set(pool, RESERVED_HIGH, 0)?;
    set(pool, USED_HIGH, 0)
}

/// Sets how many unused bytes the pool keeps when the device is synchronised; all, unless set.
///
/// # Errors
/// [`StorageError::NoDevice`] if there is no such device.
pub fn set_release_threshold(ordinal: usize, bytes: usize) -> Result<(), StorageError> {
    let pool = Gpu::get(ordinal)?.pool;
    pool.map_or(Ok(()), |pool| set(pool, RELEASE_THRESHOLD, bytes as u64))
}

/// Gives back what the pool of a device keeps unused, and all page-locked memory kept for later.
///
/// Waits for the device's work, as [`synchronize`](super::synchronize): memory that was freed in its
/// order is not free before.
///
/// # Errors
/// [`StorageError::NoDevice`] if there is no such device.
pub fn empty_cache(ordinal: usize) -> Result<(), StorageError> {
    let gpu = Gpu::get(ordinal)?;
    super::synchronize(ordinal)?;
    super::pinned::free_kept(captures::wait_asked);
    trim(gpu)
}

/// The same for an allocation that finds no room: waits for nothing while something is captured.
pub(super) fn give_back(gpu: &'static Gpu) -> Result<(), StorageError> {
    let waited = late::end_after(gpu, captures::wait_unasked);
    super::pinned::free_kept(captures::wait_unasked);
    trim(gpu).and(waited)
}

fn trim(gpu: &Gpu) -> Result<(), StorageError> {
    let _relaxed = Relaxed::new();
    let _entered = gpu.enter()?;
    let Some(pool) = gpu.pool else { return Ok(()) };
    // SAFETY: a live pool.
    unsafe { driver::cuMemPoolTrimTo(pool, 0) }
}
