//! Children of a process whose other threads were in the middle of something.
#![cfg(all(unix, not(any(miri, loom))))]
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use ndbridge_storage::{BorrowKind, OwnedBorrow, Region, Storage, fork, gate};

#[path = "../../ledger/tests/children/mod.rs"]
mod children;

use BorrowKind::{Read, Write};
use children::ask_child;

const ROW_BYTES: usize = 8;

/// The ledger of the process, and its forks, for one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn private(rows: usize) -> Storage {
    Storage::from_vec(vec![0_u8; rows * ROW_BYTES])
}

/// Its borrows go to the ledger of the process.
fn lent(rows: usize) -> Storage {
    let storage = private(rows);
    storage.lend(Arc::new(gate::Always)).unwrap();
    storage
}

fn row(storage: &Storage, kind: BorrowKind, row: usize) -> Option<OwnedBorrow> {
    rows(storage, kind, row, 1)
}

fn rows(storage: &Storage, kind: BorrowKind, first: usize, rows: usize) -> Option<OwnedBorrow> {
    let start = storage.as_ptr() as usize + first * ROW_BYTES;
    let region = Region { start, item_bytes: 1, shape: &[rows * ROW_BYTES], strides: &[1] };
    storage.borrow_owned(kind, &region).ok()
}

/// Runs `work` on a thread that is still there, and holds what it gave, while `meanwhile` runs.
fn beside<T: Send>(work: impl FnOnce() -> T + Send, meanwhile: impl FnOnce()) {
    let ((ready, is_ready), (end, is_end)) = (mpsc::channel(), mpsc::channel::<()>());
    thread::scope(|scope| {
        scope.spawn(move || {
            let held = work();
            ready.send(()).unwrap();
            let _ = is_end.recv();
            drop(held);
        });
        is_ready.recv().unwrap();
        meanwhile();
        drop(end);
    });
}

#[test]
fn mut_1_a_child_counts_no_borrow_of_a_thread_that_it_lacks() {
    let _alone = alone();
    for storage in [private(100), lent(100)] {
        // The slots and the index.
        let hold = || (0..7).map(|k| row(&storage, Write, k).unwrap()).collect::<Vec<_>>();
        beside(hold, || {
            assert!(rows(&storage, Write, 0, 7).is_none());
            let answer = ask_child(|| u8::from(rows(&storage, Write, 0, 7).is_some()));
            assert_eq!(answer, 1, "{storage:?}");
            assert!(rows(&storage, Write, 0, 7).is_none(), "the parent's stay");
        });
    }
}

/// Runs `round` on threads again and again while `fork` is called some times.
fn while_threads(threads: usize, round: impl Fn() + Sync, fork: impl Fn()) {
    let forks = std::env::var("NDBRIDGE_FORKS").map_or(200, |forks| forks.parse().unwrap());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !is_over.load(Relaxed) {
                    round()
                }
            });
        }
        let forked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (0..forks).for_each(|_| fork());
        }));
        is_over.store(true, Relaxed);
        forked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// One that the threads have just made, and may be lending or borrowing for the first time.
static NEWEST: fork::Mutex<Option<Storage>> = fork::Mutex::new(3, None);

#[test]
fn a_child_borrows_what_others_borrow_first_this_moment() {
    let _alone = alone();
    let round = || {
        let newest = private(1);
        *NEWEST.lock() = Some(newest.clone());
        drop(black_box(row(&newest, Read, 0)));
        let newest = private(1);
        *NEWEST.lock() = Some(newest.clone());
        drop(black_box(newest.lend(Arc::new(gate::Always))));
    };
    while_threads(3, round, || {
        let answer = ask_child(|| {
            let newest = NEWEST.lock().clone();
            let is_free = newest.iter().all(|storage| {
                storage.lend(Arc::new(gate::Always)).is_ok() && row(storage, Write, 0).is_some()
            });
            u8::from(is_free)
        });
        assert_eq!(answer, 1);
    });
}

#[test]
fn own_2_a_child_takes_blocks_while_others_take_and_keep_them() {
    let _alone = alone();
    const BLOCK_BYTES: usize = 1 << 16;
    let round = || drop(black_box(Storage::uninit(BLOCK_BYTES)));
    while_threads(3, round, || {
        let is_taken = || Storage::uninit(BLOCK_BYTES).is_ok();
        assert_eq!(ask_child(|| u8::from(is_taken() && is_taken())), 1);
    });
}
