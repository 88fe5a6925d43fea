//! An allocator whose blocks are never aligned more than asked: nothing may count on luck.
//!
//! Miri, which has such addresses anyway, runs the test with its own allocator.
#![expect(unsafe_code, reason = "is an allocator")]

use ndbridge_storage::{ALIGN_BYTES, BorrowKind, Region, Storage};

#[cfg(not(miri))]
mod odd {
    use std::alloc::{GlobalAlloc, Layout, System};

    struct Odd;

    /// Twice the alignment, and room to step away from it.
    fn wider(layout: Layout) -> Layout {
        Layout::from_size_align(layout.size() + layout.align(), 2 * layout.align()).expect("small")
    }

    // SAFETY: each block is in one of the system allocator's, `align` bytes in, so aligned to that.
    unsafe impl GlobalAlloc for Odd {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: not empty.
            let base = unsafe { System.alloc(wider(layout)) };
            if base.is_null() {
                return base;
            }
            // SAFETY: the block has `align` bytes more than asked.
            unsafe { base.add(layout.align()) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: that far in front the block begins.
            let base = unsafe { pointer.sub(layout.align()) };
            // SAFETY: allocated above.
            unsafe { System.dealloc(base, wider(layout)) }
        }
    }

    #[global_allocator]
    static ODD: Odd = Odd;
}

#[test]
fn own_1_nothing_counts_on_more_alignment_than_asked() {
    let bytes = Storage::from_vec(vec![1u8; 100]);
    let odd = bytes.as_ptr() as usize % 2 == 1;
    assert!(odd || cfg!(miri), "the allocator is odd");
    for len_bytes in [1, 2, 63, 64, 65, 4097] {
        for storage in [
            Storage::zeroed(len_bytes).unwrap(),
            Storage::copied_from(&vec![0; len_bytes]).unwrap(),
        ] {
            assert_eq!(storage.as_ptr() as usize % ALIGN_BYTES, 0, "{storage:?}");
            // SAFETY: these bytes are in the storage, and nothing borrows them.
            let slice = unsafe { std::slice::from_raw_parts_mut(storage.as_ptr(), len_bytes) };
            assert!(slice.iter().all(|&byte| byte == 0));
            slice.fill(9);
        }
    }
    let words = Storage::from_vec(vec![1u64; 100]);
    assert!(words.as_ptr() as usize % 16 == 8 || cfg!(miri));
    let start = words.as_ptr() as usize;
    let region = Region { start, item_bytes: 8, shape: &[100], strides: &[8] };
    drop(words.borrow(BorrowKind::Write, &region).unwrap());
    assert_eq!(words.try_into_owner::<Vec<u64>>().unwrap(), [1; 100]);
}
