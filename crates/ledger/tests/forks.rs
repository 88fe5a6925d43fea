//! Children of a process whose other threads were in the middle of something.
#![cfg(all(unix, not(any(miri, loom))))]
#![expect(unsafe_code, reason = "drops in a child what a thread of its parent has")]
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;

use ndbridge_layout::{Footprint, Region};
use ndbridge_ledger::fork::{self, PerProcess};
use ndbridge_ledger::{BorrowKind, CallSite, Ledger, SharedLedger, Token, of_process};

mod children;

use BorrowKind::{Read, Write};
use children::ask_child;

const ROW_BYTES: usize = 8;

/// One test at a time: each has threads of its own.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of the two kinds of ledgers.
#[derive(Debug)]
enum Books {
    Own(Box<Ledger>),
    OfProcess(&'static SharedLedger),
}

fn both() -> [Books; 2] {
    [Books::Own(Box::default()), Books::OfProcess(of_process())]
}

/// A borrow that is released when it goes.
struct Guard<'b>(&'b Books, Token);

impl Books {
    fn row(&self, kind: BorrowKind, row: usize) -> Option<Guard<'_>> {
        self.rows(kind, row, 1)
    }

    fn rows(&self, kind: BorrowKind, first: usize, rows: usize) -> Option<Guard<'_>> {
        let start = 0x1000 + first * ROW_BYTES;
        let region = Region { start, item_bytes: 1, shape: &[rows * ROW_BYTES], strides: &[1] };
        let (bytes, at) = (Footprint::of(&region).unwrap(), CallSite::named(c"here"));
        let entered = match self {
            Self::Own(ledger) => ledger.acquire(kind, &bytes, at),
            Self::OfProcess(ledger) => ledger.acquire(kind, &bytes, at),
        };
        entered.ok().map(|token| Guard(self, token))
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let token = std::mem::replace(&mut self.1, Token::NOTHING);
        match self.0 {
            Books::Own(ledger) => ledger.release(token),
            Books::OfProcess(ledger) => ledger.release(token),
        }
    }
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
    for books in both() {
        // The slots and the index.
        let hold = || (0..7).map(|k| books.row(Write, k).unwrap()).collect::<Vec<_>>();
        beside(hold, || {
            assert!(books.rows(Write, 0, 7).is_none());
            let answer = ask_child(|| u8::from(books.rows(Write, 0, 7).is_some()));
            assert_eq!(answer, 1, "{books:?}");
            assert!(books.rows(Write, 0, 7).is_none(), "the parent's stay");
        });
    }
}

#[test]
fn mut_1_borrows_of_the_thread_that_forks_stay() {
    let _alone = alone();
    for books in both() {
        let beside_it = || (10..13).map(|k| books.row(Write, k).unwrap()).collect::<Vec<_>>();
        beside(beside_it, || {
            let mut held: Vec<_> = (0..7).map(|k| books.row(Write, k)).collect();
            assert!(held.iter().all(Option::is_some));
            let answer = ask_child(|| {
                let refused = (0..7).filter(|&k| books.row(Read, k).is_none()).count();
                // A thread of the child has none of them, a grandchild all.
                let is_alone = thread::scope(|scope| {
                    scope.spawn(|| books.row(Read, 3).is_none()).join().unwrap()
                });
                let grandchild = ask_child(|| u8::from(books.row(Read, 3).is_none()));
                held.clear();
                let is_free = books.rows(Write, 0, 100).is_some();
                u8::from(refused == 7 && is_alone && grandchild == 1 && is_free)
            });
            assert_eq!(answer, 1, "{books:?}");
        });
    }
}

/// A guard that another thread took, and dropped here: its slot may be another borrow's.
#[test]
fn mut_1_a_borrow_of_a_thread_that_is_gone_releases_nobody_elses() {
    let _alone = alone();
    for books in both() {
        let moved = OnceLock::new();
        let hold = || moved.set((0..7).map(|k| books.row(Write, k)).collect::<Vec<_>>());
        beside(hold, || {
            let answer = ask_child(|| {
                let new: Vec<_> = (0..7).map(|k| books.row(Write, k)).collect();
                let stale = moved.get().unwrap();
                // SAFETY: this thread is the only one here, and nobody uses the others.
                drop(unsafe { std::ptr::read(stale) });
                let is_held = (0..7).all(|k| books.row(Read, k).is_none());
                let was_free = new.iter().all(Option::is_some);
                drop(new);
                u8::from(was_free && is_held && books.rows(Write, 0, 100).is_some())
            });
            assert_eq!(answer, 1, "{books:?}");
        });
    }
}

/// What the threads that are gone held is free for others, slots too.
#[test]
fn mut_1_a_child_makes_room() {
    let _alone = alone();
    let books = Books::Own(Box::default());
    let has_free_slots = || format!("{books:?}").contains("live: [0, 0, 0, 0]");
    assert!(has_free_slots());
    beside(
        || (0..7).map(|k| books.row(Write, k).unwrap()).collect::<Vec<_>>(),
        || {
            let answer = ask_child(|| {
                drop(books.row(Read, 3));
                u8::from(has_free_slots())
            });
            assert_eq!(answer, 1);
            assert!(!has_free_slots(), "the parent's stay");
        },
    );
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

#[test]
fn a_child_borrows_what_others_borrow_this_moment() {
    let _alone = alone();
    const ROWS: usize = 200;
    let both = both();
    // Most of them in the index, of threads that use little else.
    let round = || {
        for books in &both {
            drop(black_box((0..ROWS).map(|k| books.row(Read, k)).collect::<Vec<_>>()));
        }
    };
    while_threads(3, round, || {
        let is_free = || {
            both.iter().all(|books| {
                let each: Vec<_> = (0..ROWS).map(|k| books.row(Write, k)).collect();
                let are_free = each.iter().all(Option::is_some);
                drop(each);
                are_free && books.rows(Write, 0, ROWS).is_some()
            })
        };
        assert_eq!(ask_child(|| u8::from(is_free())), 1);
    });
}
