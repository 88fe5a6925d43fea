//! Memory of our own, aligned for every consumer.

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use crate::owner::Owner;
use crate::{Device, Storage, StorageError};

#[expect(unsafe_code, reason = "calls the global allocator and frees what it gave")]
mod block;
mod cache;
mod classes;
#[expect(unsafe_code, reason = "declares memory filled when it is")]
mod filling;

use block::{Block, Content, HUGE_BYTES};
use cache::Found;
pub use cache::{CacheStats, cache_stats, empty_cache, set_cache_limit};
use classes::{Class, KEPT_FROM_BYTES};
pub use filling::Filling;

/// Alignment of the memory that this crate allocates: a cache line, which is also what JAX and the
/// vector units ask for before they share instead of copying.
pub const ALIGN_BYTES: usize = 64;

/// Memory of our own, 64-byte aligned, padded to whole cache lines.
pub(crate) struct Aligned {
    // INVARIANT: at least `len_bytes` large; None if these are 0.
    block: Option<Block>,
    len_bytes: usize,
}

impl Aligned {
    #[inline]
    fn allocate(len_bytes: usize, content: Content) -> Result<Self, StorageError> {
        if (1..=KEPT_FROM_BYTES - ALIGN_BYTES).contains(&len_bytes)
            && let Some(block) = Block::from_heap(len_bytes, content)
        {
            return Ok(Self { block: Some(block), len_bytes });
        }
        Self::allocate_large(len_bytes, content)
    }

    /// As `allocate`, also for no bytes and when memory is short.
    #[cold]
    fn allocate_large(len_bytes: usize, content: Content) -> Result<Self, StorageError> {
        if len_bytes == 0 {
            return Ok(Self { block: None, len_bytes });
        }
        if !block::is_possible(len_bytes) {
            return Err(StorageError::TooLarge { len_bytes });
        }
        let block = find_block(len_bytes, content).or_else(|| {
            empty_cache();
            find_block(len_bytes, content)
        });
        let block = block.ok_or(StorageError::OutOfMemory { len_bytes })?;
        debug_assert!(block.bytes() >= len_bytes);
        Ok(Self { block: Some(block), len_bytes })
    }

    #[inline]
    fn pointer(&self) -> NonNull<u8> {
        self.block.as_ref().map_or_else(dangling, Block::pointer)
    }
}

/// A kept block, or a new one. Large zeros are new zeros of the system, which take no memory until
/// they are touched; smaller ones are cleared when they are reused, as `calloc` does.
fn find_block(len_bytes: usize, content: Content) -> Option<Block> {
    let Some(class) = Class::of(len_bytes) else { return Block::from_heap(len_bytes, content) };
    let is_huge = class.bytes() >= HUGE_BYTES;
    let needs_new = is_huge && content == Content::Zeros;
    match cache::take(class, !needs_new) {
        Found::Off => return Block::from_heap(len_bytes, content),
        // Or every round of zeros would keep one more.
        Found::Kept(block) if needs_new => drop(block),
        Found::Kept(mut block) => {
            if content == Content::Zeros {
                block.clear();
            }
            return Some(block);
        }
        Found::Nothing => {}
    }
    let mapped = if is_huge { Block::map(class.bytes()) } else { None };
    mapped.or_else(|| Block::from_heap(class.bytes(), content))
}

impl Drop for Aligned {
    #[inline]
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            match block.bytes() {
                ..KEPT_FROM_BYTES => drop(block),
                KEPT_FROM_BYTES.. => keep_or_free(block),
            }
        }
    }
}

#[cold]
fn keep_or_free(block: Block) {
    match Class::exactly(block.bytes()) {
        Some(class) => cache::keep(block, class),
        None => drop(block),
    }
}

/// An aligned address of no bytes.
pub(crate) fn dangling() -> NonNull<u8> {
    #[repr(align(64))]
    struct Line;
    const { assert!(align_of::<Line>() == ALIGN_BYTES) };
    NonNull::<Line>::dangling().cast()
}

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
    /// Large blocks that were dropped are used again; see [`cache_stats`].
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
