//! Storages off the plain host, and the back end that they carry.

use std::any::Any;
use std::ptr::NonNull;

use crate::alloc::block::dangling;
use crate::backend::{Backend, Consumer, Notes, backend_of};
use crate::owner::Owner;
use crate::storage::{Carried, Carry, Parts};
use crate::{Access, BorrowKind, Device, Mutability, Storage, StorageError};

/// What a storage off the plain host carries.
pub(crate) struct Driven {
    pub(crate) backend: &'static dyn Backend,
    pub(crate) notes: Notes,
    /// Memory of foreign code, whose owner the back end drops.
    pub(crate) is_adopted: bool,
}

impl Driven {
    /// That of foreign memory; `None` if nobody here drives its device.
    pub(crate) fn adopted(device: Device) -> Result<Option<Carried>, StorageError> {
        let Some(backend) = backend_of(device) else { return Ok(None) };
        let notes = backend.adopt(device)?;
        Ok(Some(Box::new(Self { backend, notes, is_adopted: true })))
    }
}

impl Carry for Driven {
    fn gives_back(&self) -> bool {
        !self.is_adopted
    }

    fn end(self: Box<Self>, owner: Owner) {
        if self.is_adopted {
            return self.backend.end(self.notes, Box::new(owner));
        }
        // The notes first.
        drop(self);
        drop(owner);
    }
}

/// New memory of a back end, as [`Storage::of_backend`] takes it.
pub struct Allocated<O> {
    /// Keeps the bytes; dropped once.
    pub owner: O,
    /// What to call the owner in messages, e.g. `"CUDA allocation"`.
    pub name: &'static str,
    /// First byte. Anything if there are no bytes.
    pub ptr: *mut u8,
    /// Size in bytes.
    pub len_bytes: usize,
    /// Where the bytes are.
    pub device: Device,
    /// What the back end keeps with the storage.
    pub notes: Notes,
}

impl Storage {
    /// Memory on a device: `len_bytes`, of whatever values. Private and writable.
    ///
    /// # Errors
    /// [`StorageError::NoDevice`] without that device, a driver, or its back end; what the driver
    /// says.
    pub fn on_device(device: Device, len_bytes: usize) -> Result<Self, StorageError> {
        crate::backend::find_backend(device)?.allocate(device, len_bytes)
    }

    /// Memory that a back end has allocated. Private and writable.
    ///
    /// # Safety
    /// Until `owner` is dropped, `len_bytes` from `ptr` are on `device`, and nobody else reaches them, also
    /// not safe code with a reference to `owner`. Host memory has values.
    pub unsafe fn of_backend<O: Any + Send + Sync>(
        allocated: Allocated<O>,
        backend: &'static dyn Backend,
    ) -> Self {
        let Allocated { owner, name, ptr, len_bytes, device, notes } = allocated;
        let pointer = NonNull::new(ptr).unwrap_or(dangling());
        let parts = Parts {
            carried: Some(Box::new(Driven { backend, notes, is_adopted: false })),
            ..Parts::new(pointer, len_bytes, device, Access::Private, Mutability::Writable)
        };
        // SAFETY: promised by the caller; what device memory holds before it is written is
        // unspecified, not undefined.
        unsafe { Self::from_parts(Owner::new(owner, name).visible(), parts) }
    }

    #[inline]
    fn driven(&self) -> Option<&Driven> {
        self.carried()?.downcast_ref()
    }

    /// What drives the memory; `None` for plain host memory, and for memory of devices that nobody
    /// drives here.
    #[inline]
    #[must_use]
    pub fn backend(&self) -> Option<&'static dyn Backend> {
        self.driven().map(|driven| driven.backend)
    }

    /// The notes of the back end, if they are an `N`.
    #[must_use]
    pub fn notes<N: Any>(&self) -> Option<&N> {
        self.driven().and_then(|driven| driven.notes.downcast_ref())
    }

    /// Whether the last noted work that writes this storage on a device has run. True for memory
    /// that no device writes.
    ///
    /// # Errors
    /// The driver's.
    pub fn is_ready(&self) -> Result<bool, StorageError> {
        self.backend().map_or(Ok(true), |backend| backend.is_ready(self))
    }

    /// Waits for the last noted work that writes this storage on a device.
    ///
    /// # Errors
    /// The driver's.
    pub fn wait_until_ready(&self) -> Result<(), StorageError> {
        self.backend().map_or(Ok(()), |backend| backend.wait_until_ready(self))
    }

    /// Waits for the noted work on devices that a borrow of `kind` conflicts with, wherever the memory is. For
    /// those who are to hold something while they borrow that such work may need.
    ///
    /// # Errors
    /// The driver's; [`StorageError::NotRun`].
    pub fn wait_for_devices(&self, kind: BorrowKind) -> Result<(), StorageError> {
        match self.backend() {
            Some(backend) if self.device().is_host() => backend.settle(kind, &self.addresses()),
            Some(backend) => backend.wait_for_uses(self, kind),
            None => Ok(()),
        }
    }

    /// Waits until no device reads or writes this page-locked memory. Nothing happens for other memory.
    ///
    /// # Errors
    /// The driver's.
    pub fn wait_until_unused(&self) -> Result<(), StorageError> {
        match self.backend() {
            Some(backend) if self.device().is_host() => {
                backend.settle(BorrowKind::Write, &self.addresses())
            }
            _ => Ok(()),
        }
    }

    /// Notes that foreign code, which may have written this device memory, has made the thread's
    /// current queue wait for that.
    ///
    /// # Errors
    /// The driver's.
    pub fn note_ready(&self) -> Result<(), StorageError> {
        self.backend().map_or(Ok(()), |backend| backend.note_ready(self))
    }

    /// Makes the queue of foreign code that gets this memory wait for what is noted, as
    /// [`Backend::hand_over`]. Nothing happens for plain host memory, and for memory that nobody
    /// drives here: no work of ours is enqueued on that.
    ///
    /// # Errors
    /// As [`Backend::hand_over`].
    ///
    /// # Safety
    /// As [`Backend::hand_over`].
    #[inline]
    pub unsafe fn hand_over(&self, to: Consumer, kind: BorrowKind) -> Result<(), StorageError> {
        match self.backend() {
            // SAFETY: promised by the caller.
            Some(backend) => unsafe { backend.hand_over(self, to, kind) },
            None => Ok(()),
        }
    }
}
