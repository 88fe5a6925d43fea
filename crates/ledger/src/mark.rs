//! Numbers of threads, by which a child knows what was left behind by threads that it does not have.
//!
//! ```text
//! parent   threads 1, 2, 3; thread 2 forks
//! child    here are 2, and 4 and above: the threads that the child starts
//! ```

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::fork;

/// Of the next thread that wants one. Never given twice: not to a thread of a child, either, if a
/// thread of its parent had it.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// All threads with this mark or a higher one were started in this process.
static FIRST_OF_PROCESS: AtomicU64 = AtomicU64::new(0);
/// The thread that this process was forked by; 0 if there is none, or it had no mark.
static FORKED_BY: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static MARK: Cell<u64> = const { Cell::new(0) };
}

/// The mark of the calling thread: not 0, below 2^61, and no other thread's.
#[inline(always)]
pub(crate) fn of_thread() -> u64 {
    match MARK.get() {
        0 => new_mark(),
        mark => mark,
    }
}

#[cold]
fn new_mark() -> u64 {
    fork::in_child(only_this_thread_is_left);
    // Or a child could be forked that has a record with this mark and gives it to somebody else.
    let mark = fork::held_off(|| NEXT.fetch_add(1, Relaxed));
    MARK.set(mark);
    mark
}

/// Whether this process has, or had, the thread with this mark.
#[inline]
pub(crate) fn is_here(mark: u64) -> bool {
    mark >= FIRST_OF_PROCESS.load(Relaxed) || mark == FORKED_BY.load(Relaxed)
}

fn only_this_thread_is_left() {
    FIRST_OF_PROCESS.store(NEXT.load(Relaxed), Relaxed);
    FORKED_BY.store(MARK.get(), Relaxed);
}
