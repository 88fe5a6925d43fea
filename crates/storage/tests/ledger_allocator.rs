//! An allocator that keeps books: every block is freed once, with the layout it was made with.
//!
//! A table tells the layout of each live block. A wrong layout, a pointer that is no block and a
//! second free of a block end the process. (Miri keeps such books itself, and would take minutes
//! over these: there the test only counts.)
#![expect(unsafe_code, reason = "is an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

use ndbridge_storage::{Storage, StorageError, set_cache_limit};

/// Blocks of these sizes are made by this test alone.
const COUNTED: std::ops::Range<usize> = 73_000..74_000;
/// No block is larger than this.
const MEMORY: usize = 1 << 32;

static LIVE: AtomicIsize = AtomicIsize::new(0);

/// More than the test and its harness have blocks, also while a panic prints where it was.
const ROWS: usize = 65_536;

static TABLE: [Row; ROWS] = [const { Row::empty() }; ROWS];

fn enter(block: *mut u8, layout: Layout) {
    count(layout, 1);
    let entered = || rows_of(block.addr()).any(|row| row.take_for(block.addr(), layout));
    end_unless(cfg!(miri) || entered());
}

fn strike_out(block: *mut u8, layout: Layout) {
    count(layout, -1);
    let row = || rows_of(block.addr()).find(|row| row.is_of(block.addr()));
    end_unless(cfg!(miri) || row().is_some_and(|row| row.clear(layout)));
}

/// Address, size and alignment of a block; address 0 if there is none.
struct Row([AtomicUsize; 3]);

impl Row {
    const fn empty() -> Self {
        Self([const { AtomicUsize::new(0) }; 3])
    }

    fn take_for(&self, address: usize, layout: Layout) -> bool {
        let free = self.0[0].compare_exchange(0, address, Ordering::SeqCst, Ordering::SeqCst);
        if free.is_ok() {
            self.0[1].store(layout.size(), Ordering::SeqCst);
            self.0[2].store(layout.align(), Ordering::SeqCst);
        }
        free.is_ok()
    }

    fn is_of(&self, address: usize) -> bool {
        self.0[0].load(Ordering::SeqCst) == address
    }

    /// Whether the layout was right.
    fn clear(&self, layout: Layout) -> bool {
        let right = self.0[1].load(Ordering::SeqCst) == layout.size()
            && self.0[2].load(Ordering::SeqCst) == layout.align();
        self.0[0].store(0, Ordering::SeqCst);
        right
    }
}

/// Rows in the order in which a block looks for its own.
fn rows_of(address: usize) -> impl Iterator<Item = &'static Row> {
    let first = (address / 16) % TABLE.len();
    TABLE[first..].iter().chain(&TABLE[..first])
}

/// A panic would allocate.
fn end_unless(sound: bool) {
    if !sound {
        std::process::abort();
    }
}

fn count(layout: Layout, change: isize) {
    if COUNTED.contains(&layout.size()) {
        LIVE.fetch_add(change, Ordering::SeqCst);
    }
}

struct Books;

// SAFETY: passes blocks of the system allocator on.
unsafe impl GlobalAlloc for Books {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > MEMORY {
            return std::ptr::null_mut();
        }
        // SAFETY: promised by the caller.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            enter(block, layout);
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        strike_out(block, layout);
        // SAFETY: the table says that it is live, and was made with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static BOOKS: Books = Books;

const LEN_BYTES: usize = 73_123;

fn live() -> isize {
    LIVE.load(Ordering::SeqCst)
}

/// One test, so that nothing else allocates blocks of the counted sizes.
#[test]
fn own_2_every_block_is_freed_once_with_its_layout() {
    set_cache_limit(0); // all memory comes from the allocator
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
    kept_blocks_go_back_to_the_allocator();
}

fn kept_blocks_go_back_to_the_allocator() {
    let live_and_kept = || (live(), ndbridge_storage::cache_stats().kept_blocks);
    set_cache_limit(4 * COUNTED.end);
    let blocks = [(); 3].map(|()| Storage::uninit(LEN_BYTES).expect("memory for a test"));
    assert_eq!(live_and_kept(), (3, 0));
    drop(blocks);
    assert_eq!(live_and_kept(), if cfg!(miri) { (0, 0) } else { (3, 3) });
    set_cache_limit(0);
    assert_eq!(live_and_kept(), (0, 0));
}
