//! One piece of memory and who gave it.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use memmap2::{MmapOptions, MmapRaw};

/// Alignment of the memory that this crate allocates: a cache line, which is also what JAX and the
/// vector units ask for before they share instead of copying.
pub const ALIGN_BYTES: usize = 64;

/// What the allocator is asked for: up to this much, `calloc` is used directly and large zeroed
/// blocks cost nothing until touched.
const HEAP_ALIGN_BYTES: usize = 16;

/// What a block from the allocator has beyond its bytes, to begin at a cache line.
const HEAP_SPARE_BYTES: usize = ALIGN_BYTES - HEAP_ALIGN_BYTES;

/// A huge page, and the size from which blocks are mapped on such pages: filling 2 MiB for the first
/// time takes a third of the time that its 512 small pages take.
pub(super) const HUGE_BYTES: usize = 2 << 20;

/// Elsewhere huge pages are not to be had by advice, and checkers watch the allocator.
const MAPS_BLOCKS: bool = cfg!(all(target_os = "linux", not(any(miri, loom))));

/// What new memory holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Anything,
    Zeros,
}

/// An aligned address of no bytes.
pub(crate) fn dangling() -> NonNull<u8> {
    #[repr(align(64))]
    struct Line;
    const { assert!(align_of::<Line>() == ALIGN_BYTES) };
    NonNull::<Line>::dangling().cast()
}

/// Whole cache lines, 64-byte aligned: vector code may read past the last element.
pub(super) struct Block {
    // INVARIANT: `bytes` from here belong to `source`, and to no one else.
    pointer: NonNull<u8>,
    bytes: usize,
    source: Source,
}

enum Source {
    /// ```text
    /// start                pointer
    ///   |<- 0 to 48 bytes ->|<-   bytes   ->|<- the rest of 48 ->|
    /// ```
    // INVARIANT: allocated with `heap_layout(bytes)` and not yet freed.
    Heap { start: NonNull<u8> },
    /// Unmapped when dropped. In a box: most blocks are small, and moved.
    Mapped { _map: Box<MmapRaw> },
}

// SAFETY: the memory is plain, owned by this value alone.
unsafe impl Send for Block {}
// SAFETY: nothing of the memory is reachable through `&Block` but its address.
unsafe impl Sync for Block {}

impl Block {
    /// A block of the global allocator, with room for `len_bytes`, which are not 0; `None` if that
    /// has none, or can have none.
    #[inline]
    pub(super) fn from_heap(len_bytes: usize, content: Content) -> Option<Self> {
        let layout = heap_layout(len_bytes)?;
        let start = match content {
            // SAFETY: the layout has at least 48 bytes.
            Content::Anything => unsafe { alloc(layout) },
            // SAFETY: as above.
            Content::Zeros => unsafe { alloc_zeroed(layout) },
        };
        let start = NonNull::new(start)?;
        let skip_bytes = start.addr().get().wrapping_neg() % ALIGN_BYTES;
        debug_assert!(skip_bytes <= HEAP_SPARE_BYTES);
        // SAFETY: the block's address is a multiple of 16, so `skip_bytes` is at most 48, which the
        // layout has beyond the bytes.
        let pointer = unsafe { start.add(skip_bytes) };
        let bytes = layout.size() - HEAP_SPARE_BYTES;
        Some(Self { pointer, bytes, source: Source::Heap { start } })
    }

    /// New zeros of exactly `bytes`, on huge pages as far as they fill such pages; `None` if the
    /// system has no more mappings or no more memory.
    pub(super) fn map(bytes: usize) -> Option<Self> {
        if !MAPS_BLOCKS {
            return None;
        }
        // Room to begin at a huge page. What is never touched takes no memory.
        let map_bytes = bytes.checked_add(HUGE_BYTES)?;
        let map = MmapRaw::from(MmapOptions::new().len(map_bytes).map_anon().ok()?);
        let skip_bytes = map.as_ptr().addr().wrapping_neg() % HUGE_BYTES;
        // Not the rest behind the last whole huge page: it would take one as well. A system without
        // huge pages says so, and small ones do.
        #[cfg(target_os = "linux")]
        let _ = map.advise_range(memmap2::Advice::HugePage, skip_bytes, bytes - bytes % HUGE_BYTES);
        let pointer = NonNull::new(map.as_mut_ptr())?;
        // SAFETY: `skip_bytes` is less than what the map has beyond `bytes`.
        let pointer = unsafe { pointer.add(skip_bytes) };
        Some(Self { pointer, bytes, source: Source::Mapped { _map: Box::new(map) } })
    }

    #[inline]
    pub(super) fn pointer(&self) -> NonNull<u8> {
        self.pointer
    }

    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sets all bytes to 0.
    pub(super) fn clear(&mut self) {
        // SAFETY: the bytes are ours alone.
        unsafe { self.pointer.write_bytes(0, self.bytes) }
    }
}

impl Drop for Block {
    #[inline]
    fn drop(&mut self) {
        match self.source {
            Source::Heap { start } => {
                let size = self.bytes + HEAP_SPARE_BYTES;
                // SAFETY: the size and alignment of a layout, which the block was allocated with.
                let layout = unsafe { Layout::from_size_align_unchecked(size, HEAP_ALIGN_BYTES) };
                // SAFETY: allocated with this layout, and freed nowhere else.
                unsafe { dealloc(start.as_ptr(), layout) }
            }
            Source::Mapped { .. } => {}
        }
    }
}

/// Whether the allocator can be asked for so much.
pub(super) fn is_possible(len_bytes: usize) -> bool {
    heap_layout(len_bytes).is_some()
}

#[inline]
fn heap_layout(len_bytes: usize) -> Option<Layout> {
    let whole_lines = len_bytes.checked_next_multiple_of(ALIGN_BYTES)?;
    let padded = whole_lines.checked_add(HEAP_SPARE_BYTES)?;
    Layout::from_size_align(padded, HEAP_ALIGN_BYTES).ok()
}
