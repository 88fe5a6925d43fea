//! New memory, and storages of it.

use std::mem::MaybeUninit;

use super::aligned::Aligned;
use super::block::Content;
use crate::owner::Owner;
use crate::{Device, Storage, StorageError};

/// Memory without values yet; becomes a [`Storage`] when all of it is written.
///
/// ```
/// use ndbridge_storage::Storage;
///
/// let mut uninit = Storage::uninit(4)?;
/// for (byte, value) in uninit.as_uninit_mut().iter_mut().zip(1..) {
///     byte.write(value);
/// }
/// // SAFETY: every byte was written above.
/// let storage = unsafe { uninit.assume_init() };
/// assert_eq!(storage.len_bytes(), 4);
/// # Ok::<(), ndbridge_storage::StorageError>(())
/// ```
pub struct UninitStorage(Memory);

/// Who keeps the memory.
enum Memory {
    Aligned(Aligned),
    // Page-locked memory, which is made with values of its own.
    OfBackend(Storage),
}

impl UninitStorage {
    #[inline]
    pub(crate) fn new(len_bytes: usize) -> Result<Self, StorageError> {
        Aligned::allocate(len_bytes, Content::Anything)
            .map(|aligned| Self(Memory::Aligned(aligned)))
    }

    /// First of the bytes, 64-byte aligned.
    #[inline]
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        match &self.0 {
            Memory::Aligned(aligned) => aligned.pointer().as_ptr(),
            Memory::OfBackend(storage) => storage.as_ptr(),
        }
    }

    /// Size in bytes.
    pub fn len_bytes(&self) -> usize {
        match &self.0 {
            Memory::Aligned(aligned) => aligned.len_bytes,
            Memory::OfBackend(storage) => storage.len_bytes(),
        }
    }

    /// The bytes, to be written.
    pub fn as_uninit_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        let (pointer, len_bytes) = (self.as_mut_ptr().cast(), self.len_bytes());
        // SAFETY: `len_bytes` from the pointer are ours alone, and need no value.
        unsafe { std::slice::from_raw_parts_mut(pointer, len_bytes) }
    }

    /// The storage of these bytes.
    ///
    /// # Safety
    /// Every byte has been written.
    #[inline]
    pub unsafe fn assume_init(self) -> Storage {
        match self.0 {
            Memory::Aligned(aligned) => Storage::from_aligned(aligned),
            Memory::OfBackend(storage) => storage,
        }
    }
}

const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<UninitStorage>();
};

impl std::fmt::Debug for UninitStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UninitStorage").field("len_bytes", &self.len_bytes()).finish()
    }
}

impl Storage {
    /// Zeros: `len_bytes` of private memory, 64-byte aligned.
    ///
    /// From 2 MiB on they are new to this process, and take no memory until they are touched.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] or [`StorageError::OutOfMemory`]; never aborts.
    pub fn zeroed(len_bytes: usize) -> Result<Self, StorageError> {
        Aligned::allocate(len_bytes, Content::Zeros).map(Self::from_aligned)
    }

    /// Memory to be filled: `len_bytes`, 64-byte aligned.
    ///
    /// Large blocks that were dropped are used again; see [`cache_stats`](crate::cache_stats).
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] or [`StorageError::OutOfMemory`]; never aborts.
    #[inline]
    pub fn uninit(len_bytes: usize) -> Result<UninitStorage, StorageError> {
        UninitStorage::new(len_bytes)
    }

    /// Page-locked memory to be filled: `len_bytes`, aligned to a page, that devices copy from and
    /// to while the host goes on.
    ///
    /// # Errors
    /// [`StorageError::NoDevice`] without a driver or the feature `cuda`; what the driver says.
    pub fn uninit_pinned(len_bytes: usize) -> Result<UninitStorage, StorageError> {
        let storage = Self::on_device(Device::CudaHost, len_bytes)?;
        Ok(UninitStorage(Memory::OfBackend(storage)))
    }

    /// A copy of `bytes` in private memory, 64-byte aligned.
    ///
    /// # Errors
    /// [`StorageError::OutOfMemory`]; never aborts.
    pub fn copied_from(bytes: &[u8]) -> Result<Self, StorageError> {
        let mut uninit = UninitStorage::new(bytes.len())?;
        uninit.as_uninit_mut().write_copy_of_slice(bytes);
        // SAFETY: the line above wrote every byte.
        Ok(unsafe { uninit.assume_init() })
    }

    #[inline]
    fn from_aligned(aligned: Aligned) -> Self {
        let (pointer, len_bytes) = (aligned.pointer(), aligned.len_bytes);
        // SAFETY: the bytes have values (promised to `assume_init`, or zeros), belong to the block
        // that moves in as the owner, and nothing else knows them.
        unsafe { Self::from_private(Owner::aligned(aligned), pointer, len_bytes) }
    }
}
