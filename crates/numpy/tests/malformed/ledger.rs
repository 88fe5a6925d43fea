//! How much memory a thread has in use.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    // Signed: what one thread allocated another may free.
    static IN_USE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn add(bytes: usize) {
    let in_use = IN_USE.get() + bytes as isize;
    IN_USE.set(in_use);
    PEAK.set(PEAK.get().max(in_use));
}

// SAFETY: all calls go to the system's allocator, only counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: promised by the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.set(IN_USE.get() - layout.size() as isize);
        // SAFETY: promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Most bytes that this thread had in use during `run`, beyond those before it.
pub fn peak_during(run: impl FnOnce()) -> usize {
    // Without the cache of large blocks, all memory comes from this allocator.
    ndbridge_storage::set_cache_limit(0);
    let before = IN_USE.get();
    PEAK.set(before);
    run();
    (PEAK.get() - before) as usize
}

#[test]
fn the_ledger_counts() {
    let peak_bytes = peak_during(|| drop(std::hint::black_box(vec![1_u8; 50_000_000])));
    assert!((50_000_000..50_001_000).contains(&peak_bytes), "{peak_bytes}");
}
