//! Children of a process whose other threads were in the middle of something.
#![cfg(all(unix, not(any(miri, loom))))]
#![expect(unsafe_code, reason = "drops in a child what a thread of its parent has")]
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;

use ndbridge_storage::fork::{self, PerProcess};
use ndbridge_storage::{BorrowKind, OwnedBorrow, Region, Storage, gate};

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

#[test]
fn mut_1_borrows_of_the_thread_that_forks_stay() {
    let _alone = alone();
    for storage in [private(100), lent(100)] {
        let beside_it = || (10..13).map(|k| row(&storage, Write, k).unwrap()).collect::<Vec<_>>();
        beside(beside_it, || {
            let mut held: Vec<_> = (0..7).map(|k| row(&storage, Write, k)).collect();
            assert!(held.iter().all(Option::is_some));
            let answer = ask_child(|| {
                let refused = (0..7).filter(|&k| row(&storage, Read, k).is_none()).count();
                // A thread of the child has none of them, a grandchild all.
                let is_alone = thread::scope(|scope| {
                    scope.spawn(|| row(&storage, Read, 3).is_none()).join().unwrap()
                });
                let grandchild = ask_child(|| u8::from(row(&storage, Read, 3).is_none()));
                held.clear();
                let is_free = rows(&storage, Write, 0, 100).is_some();
                u8::from(refused == 7 && is_alone && grandchild == 1 && is_free)
            });
            assert_eq!(answer, 1, "{storage:?}");
        });
    }
}

/// A guard that another thread took, and dropped here: its slot may be another borrow's.
#[test]
fn mut_1_a_borrow_of_a_thread_that_is_gone_releases_nobody_elses() {
    let _alone = alone();
    for storage in [private(100), lent(100)] {
        let moved = OnceLock::new();
        let hold = || moved.set((0..7).map(|k| row(&storage, Write, k)).collect::<Vec<_>>());
        beside(hold, || {
            let answer = ask_child(|| {
                let new: Vec<_> = (0..7).map(|k| row(&storage, Write, k)).collect();
                let stale = moved.get().unwrap();
                // SAFETY: this thread is the only one here, and nobody uses the others.
                drop(unsafe { std::ptr::read(stale) });
                let is_held = (0..7).all(|k| row(&storage, Read, k).is_none());
                let was_free = new.iter().all(Option::is_some);
                drop(new);
                u8::from(was_free && is_held && rows(&storage, Write, 0, 100).is_some())
            });
            assert_eq!(answer, 1, "{storage:?}");
        });
    }
}

static LEFT: fork::Mutex<[u64; 2]> = fork::Mutex::new(1, [0; 2]);
static RIGHT: fork::Mutex<[u64; 2]> = fork::Mutex::new(2, [0; 2]);
static HELD_OFF: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
static CHILDREN: AtomicU64 = AtomicU64::new(0);
static MADE: PerProcess<AtomicU64> = PerProcess::new(AtomicU64::default);

#[test]
fn a_child_finds_what_is_under_locks_whole() {
    let _alone = alone();
    fork::in_child(|| _ = CHILDREN.fetch_add(1, Relaxed));
    MADE.get().store(7, Relaxed);
    let depth = fork::generation();
    let round = || {
        for pair in [&LEFT, &RIGHT] {
            let mut pair = pair.lock();
            pair[0] += 1;
            thread::yield_now();
            pair[1] += 1;
        }
        fork::held_off(|| {
            HELD_OFF[0].fetch_add(1, Relaxed);
            thread::yield_now();
            HELD_OFF[1].fetch_add(1, Relaxed);
        });
    };
    while_threads(1, round, || {
        let answer = ask_child(|| {
            let is_whole = [*LEFT.lock(), *RIGHT.lock()].iter().all(|pair| pair[0] == pair[1]);
            let [first, second] = [0, 1].map(|k| HELD_OFF[k].load(Relaxed));
            let is_new = MADE.get().load(Relaxed) == 0;
            let is_told = CHILDREN.load(Relaxed) == 1 && fork::generation() == depth + 1;
            u8::from(is_whole && first == second && is_new && is_told)
        });
        assert_eq!(answer, 1);
    });
    assert_eq!((CHILDREN.load(Relaxed), MADE.get().load(Relaxed)), (0, 7), "only in children");
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
fn a_child_borrows_what_others_borrow_this_moment() {
    let _alone = alone();
    const ROWS: usize = 200;
    let (private, lent) = (private(ROWS), lent(ROWS));
    let both = [&private, &lent];
    // Most of them in the index, of threads that use little else.
    let round = || {
        for storage in both {
            drop(black_box((0..ROWS).map(|k| row(storage, Read, k)).collect::<Vec<_>>()));
        }
    };
    while_threads(3, round, || {
        let is_free = || {
            both.iter().all(|storage| {
                let each: Vec<_> = (0..ROWS).map(|k| row(storage, Write, k)).collect();
                let are_free = each.iter().all(Option::is_some);
                drop(each);
                are_free && rows(storage, Write, 0, ROWS).is_some()
            })
        };
        assert_eq!(ask_child(|| u8::from(is_free())), 1);
    });
}

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
