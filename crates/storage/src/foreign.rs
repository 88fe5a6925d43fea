//! Memory that something else allocated.

use std::ptr::NonNull;
use std::sync::Arc;

use crate::alloc::block::dangling;
use crate::driven::Driven;
use crate::owner::Owner;
use crate::storage::Parts;
use crate::{Access, Device, Gate, Mutability, Storage, StorageError};

/// Memory that something else allocated, as [`Storage::from_foreign`] takes it.
pub struct Foreign<O> {
    /// Keeps the bytes alive; dropped once, also if the storage is refused.
    pub owner: O,
    /// What to call the owner in messages, e.g. `"NumPy array"`.
    pub name: &'static str,
    /// First byte. Anything if there are no bytes.
    pub ptr: *mut u8,
    /// Size in bytes.
    pub len_bytes: usize,
    /// Where the bytes are.
    pub device: Device,
    /// Whether they may be written. [`ForeignAccess::Frozen`] makes writable memory read-only.
    pub mutability: Mutability,
    /// Who else reaches them.
    pub access: ForeignAccess,
}

/// [`Access`] of foreign memory; lent memory comes with its gate.
pub enum ForeignAccess {
    /// Nobody else: the producer gave it away.
    Private,
    /// Others may read it; nobody writes it while the owner lives.
    Frozen,
    /// Foreign code may read and write it whenever the gate would be closed to us.
    Lent(Arc<dyn Gate>),
}

impl Storage {
    /// Shares memory that something else allocated.
    ///
    /// # Errors
    /// As [`Device::check_addresses`]; for memory on a device that is driven here, the driver's. The
    /// owner is dropped then.
    ///
    /// # Safety
    /// Until `owner` is dropped, on whatever thread:
    /// - `len_bytes` from `ptr` are one allocation on `device`, at this address, all with values
    ///   (not uninitialised);
    /// - they may be written unless `mutability` says otherwise, and may hold anything then, also
    ///   after [`try_into_owner`](Self::try_into_owner) gave `owner` back;
    /// - memory on a device is ready in the order of the thread's current stream;
    /// - nobody else reads or writes them but as `access` says: also not safe code with a reference
    ///   to `owner`, which [`owner`](Self::owner) gives;
    /// - moving `owner` does not invalidate `ptr` (a `Box` does: it claims to be the only pointer).
    #[inline]
    pub unsafe fn from_foreign<O>(foreign: Foreign<O>) -> Result<Self, StorageError>
    where
        O: Send + Sync + 'static,
    {
        let Foreign { owner, name, ptr, len_bytes, device, mutability, access } = foreign;
        device.check_addresses(ptr.addr(), len_bytes)?;
        let pointer = NonNull::new(ptr).unwrap_or_else(dangling);
        let (access, mutability, gate) = match (access, mutability) {
            (ForeignAccess::Frozen, Mutability::Writable) => {
                (Access::Frozen, Mutability::ReadOnly, None)
            }
            (ForeignAccess::Frozen, mutability) => (Access::Frozen, mutability, None),
            (ForeignAccess::Private, mutability) => (Access::Private, mutability, None),
            (ForeignAccess::Lent(gate), mutability) => (Access::Lent, mutability, Some(gate)),
        };
        let carried = if device == Device::Cpu { None } else { Driven::adopted(device)? };
        let parts =
            Parts { gate, carried, ..Parts::new(pointer, len_bytes, device, access, mutability) };
        // SAFETY: promised by the caller.
        Ok(unsafe { Self::from_parts(Owner::new(owner, name).visible(), parts) })
    }
}

/// Past the last byte that a host pointer can name: addresses have 57 bits, and the upper half of
/// them is the kernel's.
#[cfg(target_arch = "x86_64")]
const HOST_END: usize = 1 << 56;
/// Elsewhere the upper bits of an address may be a tag.
#[cfg(not(target_arch = "x86_64"))]
const HOST_END: usize = usize::MAX;

impl Device {
    /// Whether `len_bytes` from `address` can be memory of this device at all. Nothing is read: of
    /// most addresses nobody knows what is there.
    ///
    /// ```
    /// use ndbridge_storage::Device;
    /// let vec = vec![0_u8; 8];
    /// assert!(Device::Cpu.check_addresses(vec.as_ptr().addr(), 8).is_ok());
    /// assert!(Device::Cpu.check_addresses(usize::MAX - 3, 8).is_err()); // wraps around
    /// assert!(Device::Cpu.check_addresses(0, 8).is_err());
    /// assert!(Device::Cpu.check_addresses(0, 0).is_ok()); // no bytes: anything will do
    /// ```
    ///
    /// # Errors
    /// [`StorageError::NullPointer`], or [`StorageError::PastAddressSpace`] for bytes that wrap
    /// around, are more than `isize::MAX`, or lie where no program has memory.
    #[inline]
    pub fn check_addresses(self, address: usize, len_bytes: usize) -> Result<(), StorageError> {
        if len_bytes == 0 {
            return Ok(());
        }
        if address == 0 {
            return Err(StorageError::NullPointer { len_bytes });
        }
        let limit = if self.is_host() { HOST_END } else { usize::MAX };
        let is_inside = address.checked_add(len_bytes).is_some_and(|end| end <= limit);
        if is_inside && isize::try_from(len_bytes).is_ok() {
            Ok(())
        } else {
            Err(StorageError::PastAddressSpace { address, len_bytes })
        }
    }
}
