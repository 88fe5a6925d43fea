//! Children that were forked after `cuInit`: there every call answers 3.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::violation::Violation;

/// The process that `cuInit` was called in; 0: none yet.
static OWNER: AtomicU32 = AtomicU32::new(0);
/// Calls in this child. Its parent never locks them, so none of its threads can hold the lock.
static CALLS: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

pub fn note_owner() {
    OWNER.store(process::id(), Ordering::Relaxed);
}

pub fn is_child() -> bool {
    ![0, process::id()].contains(&OWNER.load(Ordering::Relaxed))
}

fn calls() -> MutexGuard<'static, Vec<&'static str>> {
    CALLS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn note(call: &'static str) {
    calls().push(call);
}

pub fn take_violations() -> Vec<Violation> {
    std::mem::take(&mut *calls()).into_iter().map(|call| Violation::Forked { call }).collect()
}
