//! What the driver knows of an address.

use std::ops::Range;

use super::codes::{INVALID_CONTEXT, INVALID_VALUE};
use super::device::Gpu;
use super::driver::{self, code_of};
use super::relaxed::Relaxed;
use ndbridge_storage::{Device, StorageError};

const MEMORY_TYPE: i32 = 2;
const IS_MANAGED: i32 = 8;
const DEVICE_ORDINAL: i32 = 9;
const RANGE_START: i32 = 11;
const RANGE_SIZE: i32 = 12;
const MAPPED: i32 = 13;

/// What kind of memory an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointerKind {
    /// Main memory that CUDA knows nothing of, or no memory at all.
    Unregistered,
    /// Page-locked main memory.
    Pinned,
    /// Memory of a device.
    Device,
    /// Memory that moves between the host and the devices.
    Managed,
}

/// What the driver knows of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointerFacts {
    /// The kind of memory.
    pub kind: PointerKind,
    /// The ordinal of its device, for memory that CUDA knows.
    pub ordinal: usize,
    /// First to past-the-last address that is reserved around it, for memory that CUDA knows: at
    /// least its allocation.
    pub allocation: Range<usize>,
}

/// Asks the driver about an address.
///
/// # Errors
/// [`StorageError::NoDevice`] if there is no driver.
pub fn pointer_facts(address: usize) -> Result<PointerFacts, StorageError> {
    super::device_count()?; // initialises the driver
    let unregistered =
        PointerFacts { kind: PointerKind::Unregistered, ordinal: 0, allocation: 0..0 };
    let _relaxed = Relaxed::new();
    // Of any context: one is entered only if the driver asks for it.
    let mut memory_type = ask::<u32>(address, MEMORY_TYPE);
    let _entered = match &memory_type {
        Err(error) if code_of(error) == Some(INVALID_CONTEXT) => {
            let entered = Gpu::any()?.enter()?;
            memory_type = ask(address, MEMORY_TYPE);
            Some(entered)
        }
        _ => None,
    };
    let memory_type = match memory_type {
        Ok(kind) => kind,
        Err(error) if code_of(&error) == Some(INVALID_VALUE) => return Ok(unregistered),
        Err(error) => return Err(error),
    };
    let is_managed: u32 = ask(address, IS_MANAGED)?;
    let kind = match (memory_type, is_managed) {
        (_, 1..) => PointerKind::Managed,
        (2, _) => PointerKind::Device,
        (1, _) => PointerKind::Pinned,
        _ => return Ok(unregistered),
    };
    let ordinal: i32 = ask(address, DEVICE_ORDINAL)?;
    let start: Result<u64, _> = ask(address, RANGE_START);
    let len_bytes: Result<u64, _> = ask(address, RANGE_SIZE);
    let allocation = match (start, len_bytes) {
        (Ok(start), Ok(len_bytes)) => start as usize..start.saturating_add(len_bytes) as usize,
        // Registered host memory need not have a range.
        _ if kind == PointerKind::Pinned => address..usize::MAX,
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    Ok(PointerFacts { kind, ordinal: usize::try_from(ordinal).unwrap_or(0), allocation })
}

/// An attribute; `T` is the type that the driver writes.
fn ask<T: Default + bytemuck::Pod>(address: usize, attribute: i32) -> Result<T, StorageError> {
    let mut value = T::default();
    // SAFETY: good for writing a `T`, which the attribute is at every use above.
    unsafe { driver::cuPointerGetAttribute((&raw mut value).cast(), attribute, address as u64) }?;
    Ok(value)
}

/// Whether there is memory behind an address of a device: a range may be reserved for more.
fn is_mapped(address: usize) -> Result<bool, StorageError> {
    let (_entered, _relaxed) = (Gpu::any()?.enter()?, Relaxed::new());
    match ask::<u32>(address, MAPPED) {
        Ok(is_mapped) => Ok(is_mapped != 0),
        Err(error) if code_of(&error) == Some(INVALID_VALUE) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Checks that memory is where its producer says: `len_bytes` at `address` on `device`, inside of
/// one allocation, with memory behind the first byte and the last.
///
/// # Errors
/// [`StorageError::WrongPointer`] with what the driver says.
pub fn check_pointer(device: Device, address: usize, len_bytes: usize) -> Result<(), StorageError> {
    if len_bytes == 0 || device == Device::Cpu {
        return Ok(());
    }
    let facts = pointer_facts(address)?;
    let end = address.checked_add(len_bytes);
    let is_inside = end.is_some_and(|end| end <= facts.allocation.end);
    let is_right = match (device, facts.kind) {
        (Device::Cuda(ordinal), PointerKind::Device) => ordinal == facts.ordinal,
        (Device::Cuda(_), PointerKind::Managed) => true,
        (Device::CudaHost, PointerKind::Pinned | PointerKind::Managed) => true,
        _ => false,
    };
    if is_right && is_inside {
        // A driver that does not say so of the first byte cannot be asked.
        let is_whole = facts.kind != PointerKind::Device
            || !is_mapped(address)?
            || is_mapped(address + len_bytes - 1)?;
        if is_whole {
            return Ok(());
        }
    }
    Err(StorageError::WrongPointer { device, address, len_bytes, facts: facts.to_string() })
}

impl std::fmt::Display for PointerFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Range { start, end } = self.allocation;
        let len_bytes = end - start;
        match self.kind {
            PointerKind::Unregistered => f.write_str("no memory that CUDA knows"),
            PointerKind::Pinned => write!(f, "{len_bytes} B of pinned host memory at {start:#x}"),
            PointerKind::Device => {
                write!(f, "{len_bytes} B on cuda:{} at {start:#x}", self.ordinal)
            }
            PointerKind::Managed => write!(f, "{len_bytes} B of managed memory at {start:#x}"),
        }
    }
}
