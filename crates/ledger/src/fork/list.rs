//! The list, and what is called before and after a fork.

use std::any::Any;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, TryLockError};

/// A lock, held until this is dropped.
pub(super) type Held = Box<dyn Any>;

/// A lock of the list.
pub(super) trait Listed: Sync {
    fn rank(&self) -> u8;
    /// Set once it stands in the list.
    fn is_listed(&self) -> &AtomicBool;
    fn hold(&'static self) -> Held;
}

struct List {
    // INVARIANT: by rank.
    locks: Vec<&'static dyn Listed>,
    hooks: Vec<fn()>,
}

/// Taken first at a fork, and only after the handlers are in place: no child finds it locked.
static LIST: Mutex<List> = Mutex::new(List { locks: Vec::new(), hooks: Vec::new() });

/// Read by those who hold forks off, written by forks; the last lock of all.
static CALM: RwLock<()> = RwLock::new(());

static GENERATION: AtomicU64 = AtomicU64::new(0);

/// How many forks lie between this process and the one that loaded this module: 0 in that one.
#[inline]
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

fn list() -> MutexGuard<'static, List> {
    have_handlers();
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cold]
pub(super) fn add(lock: &'static dyn Listed) {
    let mut list = list();
    if !lock.is_listed().load(Ordering::Relaxed) {
        let place = list.locks.partition_point(|other| other.rank() <= lock.rank());
        list.locks.insert(place, lock);
        lock.is_listed().store(true, Ordering::Release);
    }
}

pub(super) fn add_hook(hook: fn()) {
    let mut list = list();
    if !list.hooks.iter().any(|&known| std::ptr::fn_addr_eq(known, hook)) {
        list.hooks.push(hook);
    }
}

/// Waits while somebody forks; nobody forks until the result is dropped.
pub(super) fn calm() -> RwLockReadGuard<'static, ()> {
    have_handlers();
    CALM.read().unwrap_or_else(PoisonError::into_inner)
}

/// As [`calm`], but `None` where that would wait.
pub(super) fn try_calm() -> Option<RwLockReadGuard<'static, ()>> {
    have_handlers();
    match CALM.try_read() {
        Ok(calm) => Some(calm),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

static HAS_HANDLERS: AtomicBool = AtomicBool::new(false);

#[inline]
fn have_handlers() {
    if !HAS_HANDLERS.load(Ordering::Acquire) {
        give_handlers();
    }
}

/// Nobody waits for anybody here, so that a child is never left waiting. Two threads may both come: the
/// handlers then run twice at each fork, and the inner ones of a pair do nothing.
#[cold]
fn give_handlers() {
    // Checkers run no handlers.
    #[cfg(all(unix, not(miri)))]
    // SAFETY: functions of this module, which stays as long as the process, and which do not unwind.
    // It fails for lack of memory: then forks are as they were without.
    let _ = unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    HAS_HANDLERS.store(true, Ordering::Release);
}

/// What a thread holds that forks.
#[derive(Default)]
struct Forking {
    /// Handlers that ran before the fork and have not run after it.
    depth: usize,
    locks: Vec<Held>,
}

thread_local! {
    // Locks are given back by the thread that took them: in the child, too, it is this one.
    static FORKING: RefCell<Forking> = RefCell::default();
}

#[cfg_attr(not(all(unix, not(miri))), expect(dead_code, reason = "nobody forks"))]
extern "C" fn before() {
    // A thread that has ended but for this keeps nothing.
    let _ = FORKING.try_with(|forking| {
        let mut forking = forking.borrow_mut();
        forking.depth += 1;
        if forking.depth == 1 {
            forking.locks = hold_all();
        }
    });
}

fn hold_all() -> Vec<Held> {
    let list = list();
    let mut held: Vec<Held> = list.locks.iter().map(|lock| lock.hold()).collect();
    held.push(Box::new(CALM.write().unwrap_or_else(PoisonError::into_inner)));
    held.push(Box::new(list));
    held
}

/// Lets go of the locks; whether this was the last handler of this fork.
fn let_go() -> bool {
    let let_go = FORKING.try_with(|forking| {
        let mut forking = forking.borrow_mut();
        forking.depth = forking.depth.saturating_sub(1);
        if forking.depth == 0 {
            forking.locks.clear();
        }
        forking.depth == 0
    });
    let_go.unwrap_or(true)
}

#[cfg_attr(not(all(unix, not(miri))), expect(dead_code, reason = "nobody forks"))]
extern "C" fn in_parent() {
    let_go();
}

#[cfg_attr(not(all(unix, not(miri))), expect(dead_code, reason = "nobody forks"))]
extern "C" fn in_child() {
    if let_go() {
        GENERATION.fetch_add(1, Ordering::Relaxed);
        let hooks = list().hooks.clone();
        hooks.into_iter().for_each(|hook| hook());
    }
}
