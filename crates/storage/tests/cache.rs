//! Large blocks that are dropped are used again, within a limit.
#![cfg(not(any(miri, loom)))]
#![expect(unsafe_code, reason = "looks at memory that nothing borrows")]
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::sync::{Mutex, MutexGuard, PoisonError};

use ndbridge_storage::{
    ALIGN_BYTES, CacheStats, Storage, UninitStorage, cache_stats, empty_cache, set_cache_limit,
};

const KB: usize = 1 << 10;
const MB: usize = 1 << 20;

/// One test at a time, with an empty cache of `limit_bytes`.
fn alone(limit_bytes: usize) -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    empty_cache();
    set_cache_limit(limit_bytes);
    guard
}

fn kept(stats: CacheStats) -> (usize, usize) {
    (stats.kept_blocks, stats.kept_bytes)
}

fn filled(len_bytes: usize, value: u8) -> UninitStorage {
    let mut block = Storage::uninit(len_bytes).unwrap();
    block.as_uninit_mut().fill(std::mem::MaybeUninit::new(value));
    block
}

fn address(mut block: UninitStorage) -> usize {
    block.as_mut_ptr().addr()
}

#[test]
fn a_dropped_block_is_used_for_any_size_of_its_class() {
    let _alone = alone(64 * MB);
    // Not a byte more than a class, a little less than it, in classes of the heap and of maps.
    for class_bytes in [72 * KB, 80 * KB, MB, 9 * MB / 8, 2 * MB, 9 * MB / 4, 16 * MB] {
        let before = cache_stats();
        let first = address(Storage::uninit(class_bytes).unwrap());
        assert_eq!(cache_stats().kept_bytes, before.kept_bytes + class_bytes);
        let again = address(Storage::uninit(class_bytes - class_bytes / 20).unwrap());
        assert_eq!(again, first, "{class_bytes}");
        let larger = Storage::uninit(class_bytes + 1).unwrap();
        assert_ne!(address(larger), first, "{class_bytes}");
        let after = cache_stats();
        assert_eq!((after.hits, after.misses), (before.hits + 1, before.misses + 2));
        empty_cache();
    }
}

#[test]
fn small_blocks_are_not_kept() {
    let _alone = alone(64 * MB);
    for len_bytes in [1, 4096, 64 * KB - 64] {
        drop(Storage::zeroed(len_bytes).unwrap());
        drop(Storage::uninit(len_bytes).unwrap());
    }
    assert_eq!(kept(cache_stats()), (0, 0));
    // Its cache lines are 64 KiB.
    (0..3).for_each(|_| drop(Storage::uninit(64 * KB - 1).unwrap()));
    assert_eq!(kept(cache_stats()), (1, 64 * KB));
}

#[test]
fn the_block_that_was_kept_longest_leaves_first() {
    let _alone = alone(4 * MB);
    let [a, b, c] = [3, 1, 2].map(|megabytes| Storage::uninit(megabytes * MB).unwrap());
    drop(b);
    drop(c);
    assert_eq!(kept(cache_stats()), (2, 3 * MB));
    drop(a);
    assert_eq!(
        kept(cache_stats()),
        (1, 3 * MB),
        "both left, for 3 MB and 1 MB or 2 MB are too many"
    );
    drop(Storage::uninit(MB).unwrap());
    assert_eq!(kept(cache_stats()), (2, 4 * MB));
    drop(Storage::uninit(5 * MB).unwrap());
    assert_eq!(kept(cache_stats()), (2, 4 * MB), "larger than the limit: freed at once");
    set_cache_limit(2 * MB);
    assert_eq!(kept(cache_stats()), (1, MB), "the older of them left");
    set_cache_limit(0);
    assert_eq!(kept(cache_stats()), (0, 0));
    let before = cache_stats();
    drop(Storage::uninit(MB).unwrap());
    assert_eq!(cache_stats(), before, "switched off");
}

#[test]
fn zeros_are_zeros_in_memory_that_was_used() {
    let _alone = alone(64 * MB);
    for len_bytes in [64 * KB, 100_000, MB, 2 * MB, 5 * MB, 17 * MB + 1] {
        for round in 0..3 {
            drop(filled(len_bytes, 0xA5));
            let zeros = Storage::zeroed(len_bytes).unwrap();
            // SAFETY: these bytes are in the storage, and nothing borrows them.
            let bytes = unsafe { std::slice::from_raw_parts(zeros.as_ptr(), len_bytes) };
            assert!(bytes.iter().all(|&byte| byte == 0), "{len_bytes}, round {round}");
            drop(zeros);
            let blocks = cache_stats().kept_blocks;
            assert!(blocks <= 1, "{blocks} blocks after round {round} of {len_bytes}");
        }
        empty_cache();
    }
}

#[test]
fn every_block_is_aligned_and_as_large_as_asked() {
    let _alone = alone(256 * MB);
    for log in 16..25 {
        for len_bytes in [(1 << log) - 1, 1 << log, (1 << log) + 1, 5 << (log - 2)] {
            for _ in 0..2 {
                let block = filled(len_bytes, 1);
                assert_eq!(block.len_bytes(), len_bytes);
                // SAFETY: all bytes were written.
                let storage = unsafe { block.assume_init() };
                assert_eq!(storage.as_ptr().addr() % ALIGN_BYTES, 0, "{storage:?}");
            }
        }
    }
}

/// Blocks go from thread to thread and carry what was written, and nothing is counted twice.
#[test]
fn threads_share_the_cache() {
    const THREADS: u8 = 4;
    let _alone = alone(8 * MB);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for round in 0..200_usize {
                    let len_bytes = [64 * KB, 100 * KB, MB, 3 * MB][(round + thread as usize) % 4];
                    let mut block = Storage::uninit(len_bytes).unwrap();
                    let ends = [0, len_bytes / 2, len_bytes - 1];
                    ends.iter().for_each(|&at| _ = block.as_uninit_mut()[at].write(thread));
                    std::thread::yield_now();
                    // SAFETY: these bytes were written above.
                    let found = ends.map(|at| unsafe { block.as_uninit_mut()[at].assume_init() });
                    assert_eq!(found, [thread; 3], "nobody else has this block");
                }
            });
        }
    });
    let stats = cache_stats();
    assert!(stats.kept_bytes <= stats.limit_bytes, "{stats:?}");
    empty_cache();
    assert_eq!(kept(cache_stats()), (0, 0));
}

/// Memory of the process, in bytes.
#[cfg(target_os = "linux")]
fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_within_the_limit_and_goes_back() {
    const LEN_BYTES: usize = 24 * MB;
    let _alone = alone(64 * MB);
    let before = resident_bytes();
    for size in 0..24 {
        drop(filled(LEN_BYTES + size * MB / 2, 1));
        let taken = resident_bytes().saturating_sub(before);
        assert!(taken < 64 * MB + 8 * MB, "{taken} bytes after {size} sizes");
    }
    empty_cache();
    assert!(resident_bytes().saturating_sub(before) < 8 * MB, "all went back");
    let zeros = Storage::zeroed(1 << 33).unwrap();
    assert!(resident_bytes().saturating_sub(before) < 8 * MB, "zeros are not touched");
    drop(zeros);
}
