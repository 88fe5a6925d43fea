//! Children of a process whose other threads map files.
#![cfg(all(unix, not(any(miri, loom))))]
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use ndbridge_storage::{BorrowKind, MapMode, OwnedBorrow, Region, Storage};

#[path = "../../ledger/tests/children/mod.rs"]
mod children;

use BorrowKind::{Read, Write};
use MapMode::{CopyOnWrite, Read as ReadOnly, ReadWrite};
use children::ask_child;

const LEN_BYTES: usize = 100;

fn file() -> File {
    let file = tempfile::tempfile().unwrap();
    file.set_len(LEN_BYTES as u64).unwrap();
    file
}

fn map(file: &File, mode: MapMode) -> Storage {
    Storage::map_file(file, 0, LEN_BYTES, mode).unwrap()
}

fn take(map: &Storage, kind: BorrowKind, first: usize, len: usize) -> Option<OwnedBorrow> {
    let start = map.as_ptr() as usize + first;
    map.borrow_owned(kind, &Region { start, item_bytes: 1, shape: &[len], strides: &[1] }).ok()
}

/// One test at a time: each has threads of its own.
static ONE: Mutex<()> = Mutex::new(());

#[test]
fn mut_8_a_child_counts_no_borrow_of_a_thread_that_it_lacks() {
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let file = file();
    for mode in [ReadWrite, CopyOnWrite] {
        let [map, other] = [map(&file, mode), map(&file, ReadWrite)];
        let map = &map;
        thread::scope(|scope| {
            let ((ready, is_ready), (end, is_end)) = (mpsc::channel(), mpsc::channel::<()>());
            scope.spawn(move || {
                // The slots and the index.
                let held: Vec<_> = (0..9).map(|k| take(map, Write, k, 1).unwrap()).collect();
                ready.send(()).unwrap();
                let _ = is_end.recv();
                drop(held);
            });
            is_ready.recv().unwrap();
            let own = take(map, Write, 50, 1).unwrap();
            assert!(take(&other, Write, 8, 1).is_none());
            let answer = ask_child(|| {
                let of_others = [map, &other].map(|map| take(map, Write, 0, 9).is_some());
                let of_own = take(&other, Write, 50, 1).is_some();
                drop(own);
                let released = take(&other, Write, 50, 1).is_some();
                u8::from((of_others, of_own, released) == ([true; 2], false, true))
            });
            assert_eq!(answer, 1, "{mode:?}");
            assert!(take(&other, Write, 8, 1).is_none(), "the parent's stay");
            drop(end);
        });
    }
}

#[test]
fn mut_8_a_child_maps_what_others_map_this_moment() {
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let file = file();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for k in 0..3 {
            let (file, is_over) = (&file, &is_over);
            scope.spawn(move || {
                while !is_over.load(Relaxed) {
                    let maps = [ReadOnly, CopyOnWrite, ReadWrite].map(|mode| map(file, mode));
                    let held = maps.each_ref().map(|map| take(map, Read, 10 * k, 10));
                    drop((take(&maps[1], Write, 0, 50), held));
                }
            });
        }
        let answers: Vec<u8> = (0..150)
            .map(|_| {
                ask_child(|| {
                    let maps = [CopyOnWrite, ReadWrite].map(|mode| map(&file, mode));
                    let write = take(&maps[1], Write, 0, LEN_BYTES);
                    let refused = take(&maps[0], Read, 0, 1).is_none();
                    u8::from(write.is_some() && refused)
                })
            })
            .collect();
        is_over.store(true, Relaxed);
        assert!(answers.iter().all(|&answer| answer == 1), "{answers:?}");
    });
}
