//! Memory of our own, aligned for every consumer.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use crate::owner::Owner;
#[cfg(feature = "cuda")]
use crate::storage::Parts;
use crate::{Storage, StorageError};

/// Alignment of the memory that this crate allocates: a cache line, which is also what JAX and the
/// vector units ask for before they share instead of copying.
pub const ALIGN_BYTES: usize = 64;

/// What the allocator is asked for: up to this much, `calloc` is used directly and large zeroed
/// blocks cost nothing until touched.
const BLOCK_ALIGN_BYTES: usize = 16;

/// A block from the global allocator with a 64-byte aligned piece of it in use, padded to whole
/// cache lines: vector code may read past the last element.
///
/// ```text
/// block                pointer                                block + layout.size()
///   |<- 0 to 48 bytes ->|<-   len_bytes   ->|<- 0 to 63 bytes ->|
/// ```
pub(crate) struct Aligned {
    // INVARIANT: `len_bytes` from here are inside the block, or `len_bytes` is 0.
    pointer: NonNull<u8>,
    len_bytes: usize,
    // INVARIANT: allocated with this layout and not yet freed; None if there are no bytes.
    block: Option<(NonNull<u8>, Layout)>,
}

// SAFETY: the block is plain memory, owned by this value alone.
unsafe impl Send for Aligned {}
// SAFETY: nothing of the block is reachable through `&Aligned` but its address.
unsafe impl Sync for Aligned {}

impl Aligned {
    fn zeroed(len_bytes: usize) -> Result<Self, StorageError> {
        // SAFETY: only called with a layout that is not empty.
        Self::allocate(len_bytes, |layout| unsafe { alloc_zeroed(layout) })
    }

    fn uninit(len_bytes: usize) -> Result<Self, StorageError> {
        // SAFETY: only called with a layout that is not empty.
        Self::allocate(len_bytes, |layout| unsafe { alloc(layout) })
    }

    fn allocate(
        len_bytes: usize,
        from: impl FnOnce(Layout) -> *mut u8,
    ) -> Result<Self, StorageError> {
        if len_bytes == 0 {
            return Ok(Self { pointer: dangling(), len_bytes, block: None });
        }
        let layout = block_layout(len_bytes).ok_or(StorageError::TooLarge { len_bytes })?;
        let block = NonNull::new(from(layout)).ok_or(StorageError::OutOfMemory { len_bytes })?;
        let skip_bytes = block.addr().get().wrapping_neg() % ALIGN_BYTES;
        debug_assert!(skip_bytes + len_bytes <= layout.size());
        // SAFETY: the block's address is a multiple of 16, so `skip_bytes` is at most 48, which the
        // layout has beyond `len_bytes`.
        let pointer = unsafe { block.add(skip_bytes) };
        Ok(Self { pointer, len_bytes, block: Some((block, layout)) })
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        if let Some((block, layout)) = self.block.take() {
            // SAFETY: allocated with this layout, and taken out, so freed once.
            unsafe { dealloc(block.as_ptr(), layout) }
        }
    }
}

fn block_layout(len_bytes: usize) -> Option<Layout> {
    let whole_lines = len_bytes.checked_next_multiple_of(ALIGN_BYTES)?;
    let padded = whole_lines.checked_add(ALIGN_BYTES - BLOCK_ALIGN_BYTES)?;
    Layout::from_size_align(padded, BLOCK_ALIGN_BYTES).ok()
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
    #[cfg(feature = "cuda")]
    Pinned(crate::cuda::Pinned, usize),
}

impl UninitStorage {
    pub(crate) fn new(len_bytes: usize) -> Result<Self, StorageError> {
        Aligned::uninit(len_bytes).map(|aligned| Self(Memory::Aligned(aligned)))
    }

    /// First of the bytes, 64-byte aligned.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.pointer().as_ptr()
    }

    fn pointer(&self) -> NonNull<u8> {
        match &self.0 {
            Memory::Aligned(aligned) => aligned.pointer,
            #[cfg(feature = "cuda")]
            Memory::Pinned(pinned, _) => pinned.address(),
        }
    }

    /// Size in bytes.
    pub fn len_bytes(&self) -> usize {
        match &self.0 {
            Memory::Aligned(aligned) => aligned.len_bytes,
            #[cfg(feature = "cuda")]
            Memory::Pinned(_, len_bytes) => *len_bytes,
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
    pub unsafe fn assume_init(self) -> Storage {
        match self.0 {
            Memory::Aligned(aligned) => Storage::from_aligned(aligned),
            #[cfg(feature = "cuda")]
            Memory::Pinned(pinned, len_bytes) => Storage::from_pinned(pinned, len_bytes),
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
    /// # Errors
    /// [`StorageError::TooLarge`] or [`StorageError::OutOfMemory`]; never aborts.
    pub fn zeroed(len_bytes: usize) -> Result<Self, StorageError> {
        Aligned::zeroed(len_bytes).map(Self::from_aligned)
    }

    /// Memory to be filled: `len_bytes`, 64-byte aligned.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] or [`StorageError::OutOfMemory`]; never aborts.
    pub fn uninit(len_bytes: usize) -> Result<UninitStorage, StorageError> {
        UninitStorage::new(len_bytes)
    }

    /// Page-locked memory to be filled: `len_bytes`, aligned to a page, that devices copy from and
    /// to while the host goes on.
    ///
    /// # Errors
    /// [`StorageError::NoDevice`] without a driver or the feature `cuda`; what the driver says.
    #[cfg_attr(not(feature = "cuda"), expect(unused_variables, reason = "needs no size to refuse"))]
    pub fn uninit_pinned(len_bytes: usize) -> Result<UninitStorage, StorageError> {
        #[cfg(feature = "cuda")]
        {
            let pinned = crate::cuda::Pinned::allocate(len_bytes)?;
            Ok(UninitStorage(Memory::Pinned(pinned, len_bytes)))
        }
        #[cfg(not(feature = "cuda"))]
        Err(StorageError::without_cuda(crate::Device::CudaHost))
    }

    #[cfg(feature = "cuda")]
    fn from_pinned(pinned: crate::cuda::Pinned, len_bytes: usize) -> Self {
        use crate::{Access, Device, Mutability};
        let (pointer, owner) = (pinned.address(), Owner::new(pinned, "pinned allocation"));
        let (device, access) = (Device::CudaHost, Access::Private);
        let parts = Parts::new(pointer, len_bytes, device, access, Mutability::Writable);
        // SAFETY: the bytes have values (promised to `assume_init`), belong to the block that moves
        // in as the owner, and nothing else knows them.
        unsafe { Self::from_parts(owner, parts) }
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

    fn from_aligned(aligned: Aligned) -> Self {
        let (pointer, len_bytes) = (aligned.pointer, aligned.len_bytes);
        // SAFETY: the bytes have values (promised to `assume_init`, or zeros), belong to the block
        // that moves in as the owner, and nothing else knows them.
        unsafe { Self::from_private(Owner::aligned(aligned), pointer, len_bytes) }
    }
}
