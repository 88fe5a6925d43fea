//! Locks, and what they protect, across `fork`.
//!
//! A child process has one thread, the one that forked, and a copy of all memory: of locks that other
//! threads held, too, which nobody gives back there, and of what those threads were changing. So all
//! locks of the process stand in one list, and whoever forks takes them first, in one order:
//!
//! ```text
//! another thread   lock, change, unlock ─┐
//! forking thread   fork() ──────────────►│ take all locks │ fork │ let go of them
//! child                                                  └───────► let go of them, run the hooks
//! ```
//!
//! | what threads share | what a child finds |
//! |---|---|
//! | the content of a [`Mutex`] of this module | whole, unlocked |
//! | what is changed inside of [`held_off`], once-cells filled by [`get_or_init`] | whole |
//! | a [`PerProcess`] value | a new one |
//! | a ledger | borrows of the thread that forked; those of threads that are not there do not count |
//!
//! # What may happen under a lock of the list
//! The forking thread waits for whoever holds it, and may hold the Python interpreter meanwhile. So
//! nothing under such a lock waits for the interpreter or runs code of others: owners are dropped,
//! borrows are released, drivers and Python are called when it is given back. Each extension module of a
//! process has a list of its own, and a borrow may be entered in another module's ledger: that is
//! code of others as well.
//!
//! # Limitations
//! Only `fork` of the C library is noticed, on Unix: `vfork`, `posix_spawn` and a bare system call run no
//! handlers, and their child is to do nothing but `exec`.

#[expect(unsafe_code, reason = "gives the C library functions to be called at a fork")]
mod list;
#[expect(unsafe_code, reason = "refers to values that are never freed")]
mod per_process;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{MutexGuard, OnceLock, PoisonError, RwLockReadGuard};

pub use list::generation;
pub use per_process::PerProcess;

/// A static lock that stands in the list: [`std::sync::Mutex`] otherwise, without poisoning.
///
/// What is under it must be whole after a panic. The rank is its place in the order: if a lock is
/// ever taken while another one is held, its rank is the higher one. The ranks of ndbridge's
/// memory are 200 and more; what is above has lower ones.
///
/// ```
/// use ndbridge_ledger::fork::Mutex;
///
/// static NAMES: Mutex<Vec<String>> = Mutex::new(10, Vec::new());
/// NAMES.lock().push("a".to_owned());
/// assert_eq!(NAMES.lock().len(), 1);
/// ```
#[derive(Debug)]
pub struct Mutex<T> {
    rank: u8,
    is_listed: AtomicBool,
    content: std::sync::Mutex<T>,
}

impl<T: Send + 'static> Mutex<T> {
    /// A lock, to be a static.
    pub const fn new(rank: u8, content: T) -> Self {
        let content = std::sync::Mutex::new(content);
        Self { rank, is_listed: AtomicBool::new(false), content }
    }

    /// Waits for the content; gives it back when the result is dropped.
    #[inline]
    pub fn lock(&'static self) -> MutexGuard<'static, T> {
        if !self.is_listed.load(Ordering::Acquire) {
            list::add(self);
        }
        self.content()
    }

    fn content(&'static self) -> MutexGuard<'static, T> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> list::Listed for Mutex<T> {
    fn rank(&self) -> u8 {
        self.rank
    }

    fn is_listed(&self) -> &AtomicBool {
        &self.is_listed
    }

    fn hold(&'static self) -> list::Held {
        Box::new(self.content())
    }
}

/// Runs `work` while nobody forks: a child finds what it changes as it was before or after.
///
/// Any number of threads may do so at once. For changes of a few microseconds that take none of the
/// [locks of the list](Mutex).
pub fn held_off<R>(work: impl FnOnce() -> R) -> R {
    let _held_off = HeldOff::new();
    work()
}

/// As [`held_off`], but never waits; `None` if somebody is about to fork.
pub(crate) fn try_held_off<R>(work: impl FnOnce() -> R) -> Option<R> {
    let _held_off = HeldOff::try_new()?;
    Some(work())
}

struct HeldOff {
    // Of the outermost only: to wait for a second one could be to wait for a fork that waits for the
    // first.
    _calm: Option<RwLockReadGuard<'static, ()>>,
}

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

impl HeldOff {
    fn new() -> Self {
        let calm = (DEPTH.get() == 0).then(list::calm);
        DEPTH.set(DEPTH.get() + 1);
        Self { _calm: calm }
    }

    fn try_new() -> Option<Self> {
        let calm = if DEPTH.get() == 0 { Some(list::try_calm()?) } else { None };
        DEPTH.set(DEPTH.get() + 1);
        Some(Self { _calm: calm })
    }
}

impl Drop for HeldOff {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// As [`OnceLock::get_or_init`], with forks [held off](held_off) while `make` runs: a child does not
/// wait for a thread that it does not have.
#[inline]
pub fn get_or_init<T>(cell: &OnceLock<T>, make: impl FnOnce() -> T) -> &T {
    match cell.get() {
        Some(value) => value,
        None => held_off(|| cell.get_or_init(make)),
    }
}

/// Has `hook` called in every later child, once, by its only thread, after the locks are given back.
///
/// For what is to be mended there. The hook may take locks, and must not need the interpreter: it
/// runs before Python has mended itself.
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use ndbridge_ledger::fork;
///
/// static IS_CHILD: AtomicBool = AtomicBool::new(false);
/// fork::in_child(|| IS_CHILD.store(true, Ordering::Relaxed));
/// assert!(!IS_CHILD.load(Ordering::Relaxed));
/// ```
pub fn in_child(hook: fn()) {
    list::add_hook(hook);
}
