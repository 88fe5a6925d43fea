//! An allocator that keeps books: every block is freed once, with the layout it was made with.
//!
//! Each block has a header in front that tells its layout. Freeing checks and spoils the header, so
//! a wrong layout, a pointer that is no block, and a second free of a block are all noticed.
#![expect(unsafe_code, reason = "is an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

use ndbridge_storage::{Storage, StorageError};

const MAGIC: usize = 0x600d_b10c;
const HEADER_BYTES: usize = 64;
/// Blocks of these sizes are made by this test alone.
const COUNTED: std::ops::Range<usize> = 70_000..71_000;
/// No block is larger than this.
const MEMORY: usize = 1 << 32;

static LIVE: AtomicIsize = AtomicIsize::new(0);

struct Books;

/// Layout of a block with its header in front, and how far in the block begins.
fn with_header(layout: Layout) -> (Layout, usize) {
    let front = HEADER_BYTES.max(layout.align());
    (Layout::from_size_align(front + layout.size(), front).expect("below MEMORY"), front)
}

fn count(layout: Layout, change: isize) {
    if COUNTED.contains(&layout.size()) {
        LIVE.fetch_add(change, Ordering::SeqCst);
    }
}

// SAFETY: passes blocks of the system allocator on, less a header of which the caller knows nothing.
unsafe impl GlobalAlloc for Books {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > MEMORY {
            return std::ptr::null_mut();
        }
        count(layout, 1);
        let (whole, front) = with_header(layout);
        // SAFETY: not empty, it has a header.
        let base = unsafe { System.alloc(whole) };
        assert!(!base.is_null());
        // SAFETY: the header is at the front of the block, and aligned.
        unsafe { base.cast::<[usize; 3]>().write([MAGIC, layout.size(), layout.align()]) };
        // SAFETY: `front` bytes are in the block.
        unsafe { base.add(front) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout, -1);
        let (whole, front) = with_header(layout);
        // SAFETY: the header is in front, or the assertion below says that it is not.
        let base = unsafe { pointer.sub(front) };
        // SAFETY: as above.
        let header = unsafe { base.cast::<[usize; 3]>().replace([0; 3]) };
        if header != [MAGIC, layout.size(), layout.align()] {
            // A panic would allocate.
            std::process::abort();
        }
        // SAFETY: allocated with this layout.
        unsafe { System.dealloc(base, whole) }
    }
}

#[global_allocator]
static BOOKS: Books = Books;

const LEN_BYTES: usize = 70_123;

fn live() -> isize {
    LIVE.load(Ordering::SeqCst)
}

/// One test, so that nothing else allocates blocks of the counted sizes.
#[test]
fn own_2_every_block_is_freed_once_with_its_layout() {
    let zeroed = Storage::zeroed(LEN_BYTES).unwrap();
    let vec = Storage::from_vec(vec![1u8; LEN_BYTES]);
    let mut spare = Vec::with_capacity(LEN_BYTES);
    spare.push(1u8);
    let spare = Storage::from_vec(spare);
    let copied = Storage::copied_from(&[5; LEN_BYTES]).unwrap();
    let uninit = Storage::uninit(LEN_BYTES).unwrap();
    let frozen = Storage::frozen(vec![0u8; LEN_BYTES]);
    assert_eq!(live(), 6);

    drop(uninit);
    assert_eq!(live(), 5, "memory that was never filled is freed");
    drop((zeroed.clone(), copied));
    assert_eq!(live(), 4);
    std::thread::spawn(move || drop(zeroed)).join().unwrap();
    assert_eq!(live(), 3);
    let mut vec = vec.try_into_owner::<Vec<u8>>().unwrap();
    vec.push(2);
    assert_eq!(live(), 2, "the vector grew out of the counted sizes");
    let spare = spare.try_into_owner::<Vec<u16>>().unwrap_err();
    assert_eq!(live(), 2);
    drop((spare, frozen, vec));
    assert_eq!(live(), 0);

    for len_bytes in [MEMORY, MEMORY + 1, 1 << 46] {
        let refused = [Storage::zeroed(len_bytes).err(), Storage::uninit(len_bytes).err()];
        for error in refused {
            assert!(
                matches!(error, Some(StorageError::OutOfMemory { len_bytes: n }) if n == len_bytes)
            );
        }
    }
    assert_eq!(live(), 0);
}
