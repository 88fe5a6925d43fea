//! Memory of our own, from the cache or from the allocator.

use std::ptr::NonNull;

use super::block::{self, ALIGN_BYTES, Block, Content, HUGE_BYTES, dangling};
use super::cache::{self, Found, empty_cache};
use super::classes::{Class, KEPT_FROM_BYTES};
use crate::error::StorageError;

/// Memory of our own, 64-byte aligned, padded to whole cache lines.
pub(crate) struct Aligned {
    // INVARIANT: at least `len_bytes` large; None if these are 0.
    block: Option<Block>,
    pub(super) len_bytes: usize,
}

impl Aligned {
    #[inline]
    pub(super) fn allocate(len_bytes: usize, content: Content) -> Result<Self, StorageError> {
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
    pub(super) fn pointer(&self) -> NonNull<u8> {
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
