//! Large blocks that were dropped, kept for reuse.
//!
//! New memory costs more than filling it: the system hands out pages one fault at a time and zeroes
//! each. A block that was used before costs nothing of that.

use std::collections::VecDeque;
use std::mem;
use std::sync::MutexGuard;

use super::block::Block;
use super::classes::{CLASSES, Class};
use crate::fork;

/// Sets the limit before the first use: a number of bytes.
const VARIABLE: &str = "NDBRIDGE_CACHE_BYTES";

/// The limit if nobody sets one.
const DEFAULT_LIMIT_BYTES: usize = 512 << 20;

/// The rank of this lock among all those that a fork takes.
const RANK: u8 = 210;

static CACHE: fork::Mutex<Cache> = fork::Mutex::new(RANK, Cache::new());

/// What is kept for reuse, and how often that helped; see [`cache_stats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Bytes that are kept and in no use.
    pub kept_bytes: usize,
    /// Number of blocks that are kept.
    pub kept_blocks: usize,
    /// Most bytes that are kept; 0 if the cache is off.
    pub limit_bytes: usize,
    /// Large allocations that reused a kept block.
    pub hits: u64,
    /// Large allocations that took new memory.
    pub misses: u64,
}

/// What is kept for reuse now.
///
/// Blocks of 64 KiB or more are kept when the last handle to them is dropped; the ones that were
/// kept longest are freed beyond the limit. It is 512 MiB, or the number of bytes in the environment
/// variable `NDBRIDGE_CACHE_BYTES`, or what [`set_cache_limit`] says.
///
/// ```
/// use ndbridge_storage::{Storage, cache_stats};
///
/// let block = Storage::uninit(1 << 20)?;
/// let hits = cache_stats().hits;
/// drop(block);
/// drop(Storage::uninit((1 << 20) - 1000)?); // the same block, if the cache is on
/// assert!(cache_stats().hits > hits || cache_stats().limit_bytes == 0);
/// # Ok::<(), ndbridge_storage::StorageError>(())
/// ```
pub fn cache_stats() -> CacheStats {
    let mut cache = lock();
    let limit_bytes = cache.limit_bytes();
    let Cache { kept_bytes, kept_blocks, hits, misses, .. } = *cache;
    CacheStats { kept_bytes, kept_blocks, limit_bytes, hits, misses }
}

/// Frees all that is kept for reuse.
pub fn empty_cache() {
    // In a statement of its own: the blocks are freed after the lock.
    let all = lock().take_all();
    drop(all);
}

/// Sets how many bytes are kept for reuse at the most, and frees what is beyond.
///
/// 0 switches the cache off, and huge pages with it: all memory then comes from the global allocator
/// and goes back to it, so that tools which watch that one see everything.
pub fn set_cache_limit(bytes: usize) {
    lock().limit_bytes = Some(if cfg!(any(miri, loom)) { 0 } else { bytes });
    loop {
        // In a statement of its own: the block is freed after the lock.
        let oldest = lock().take_beyond_limit(0);
        if oldest.is_none() {
            return;
        }
    }
}

/// Where a large block is to come from.
pub(super) enum Found {
    Kept(Block),
    Nothing,
    /// There is no cache.
    Off,
}

/// Takes a kept block. Without `reuse` it is to be replaced, and does not count as used again.
pub(super) fn take(class: Class, reuse: bool) -> Found {
    let mut cache = lock();
    if cache.limit_bytes() == 0 {
        return Found::Off;
    }
    let block = cache.take_newest(class);
    let counter = if reuse && block.is_some() { &mut cache.hits } else { &mut cache.misses };
    *counter += 1;
    block.map_or(Found::Nothing, Found::Kept)
}

/// Keeps a block, if it is one that can be kept, and frees older ones that there is no room for.
pub(super) fn keep(block: Block, class: Class) {
    loop {
        let mut cache = lock();
        if class.bytes() > cache.limit_bytes() {
            drop(cache);
            return drop(block);
        }
        let Some(oldest) = cache.take_beyond_limit(class.bytes()) else {
            let refused = cache.push(block, class);
            drop(cache);
            return drop(refused);
        };
        drop(cache);
        drop(oldest);
    }
}

struct Kept {
    block: Block,
    since: u64,
}

struct Cache {
    // By class; in each the one that was kept longest comes first.
    kept: [VecDeque<Kept>; CLASSES],
    // INVARIANT: size and number of the blocks in `kept`.
    kept_bytes: usize,
    kept_blocks: usize,
    // None until somebody asks.
    limit_bytes: Option<usize>,
    // Number of blocks that were ever kept.
    clock: u64,
    hits: u64,
    misses: u64,
}

fn lock() -> MutexGuard<'static, Cache> {
    // Nothing in here panics half way.
    CACHE.lock()
}

fn limit_from_environment() -> usize {
    if cfg!(any(miri, loom)) {
        return 0;
    }
    let set = std::env::var(VARIABLE).ok();
    set.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(DEFAULT_LIMIT_BYTES)
}

impl Cache {
    const fn new() -> Self {
        Self {
            kept: [const { VecDeque::new() }; CLASSES],
            kept_bytes: 0,
            kept_blocks: 0,
            limit_bytes: None,
            clock: 0,
            hits: 0,
            misses: 0,
        }
    }

    fn limit_bytes(&mut self) -> usize {
        *self.limit_bytes.get_or_insert_with(limit_from_environment)
    }

    /// The block that was kept last: its bytes are the likeliest to be in the processor's caches.
    fn take_newest(&mut self, class: Class) -> Option<Block> {
        let newest = self.kept[class.index()].pop_back()?;
        Some(self.remove(newest))
    }

    /// The block that was kept longest, if there is not room for `more_bytes` without it.
    fn take_beyond_limit(&mut self, more_bytes: usize) -> Option<Block> {
        let limit_bytes = self.limit_bytes();
        if self.kept_bytes.saturating_add(more_bytes) <= limit_bytes {
            return None;
        }
        let age = |blocks: &&mut VecDeque<Kept>| blocks.front().map_or(u64::MAX, |kept| kept.since);
        let oldest = self.kept.iter_mut().min_by_key(age)?.pop_front()?;
        Some(self.remove(oldest))
    }

    fn remove(&mut self, kept: Kept) -> Block {
        self.kept_bytes -= kept.block.bytes();
        self.kept_blocks -= 1;
        kept.block
    }

    /// Gives the block back if there is no memory to remember it.
    fn push(&mut self, block: Block, class: Class) -> Option<Block> {
        debug_assert_eq!(block.bytes(), class.bytes());
        let blocks = &mut self.kept[class.index()];
        if blocks.try_reserve(1).is_err() {
            return Some(block);
        }
        self.kept_bytes += block.bytes();
        self.kept_blocks += 1;
        self.clock += 1;
        blocks.push_back(Kept { block, since: self.clock });
        None
    }

    fn take_all(&mut self) -> [VecDeque<Kept>; CLASSES] {
        (self.kept_bytes, self.kept_blocks) = (0, 0);
        mem::replace(&mut self.kept, [const { VecDeque::new() }; CLASSES])
    }
}
