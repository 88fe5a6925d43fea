//! How many threads may help.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const VARIABLE: &str = "NDBRIDGE_NUM_THREADS";

/// 0: not asked yet.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Threads that a large copy uses at most, the caller's own counted.
///
/// As many as the process may use cores, unless `NDBRIDGE_NUM_THREADS` or [`set_num_threads`] says
/// otherwise.
///
/// ```
/// use ndbridge_tensor::{num_threads, set_num_threads};
/// set_num_threads(1);
/// assert_eq!(num_threads(), 1);
/// ```
#[must_use]
pub fn num_threads() -> usize {
    match THREADS.load(Relaxed) {
        0 => first_asked(),
        threads => threads,
    }
}

/// Sets [`num_threads`] for all threads of the process; 1 for none but the caller's own.
///
/// Helpers beyond that end; if a copy is using them, with the next large copy.
///
/// # Panics
/// If `threads` is 0.
pub fn set_num_threads(threads: usize) {
    assert!(threads > 0, "a copy needs a thread: set 1 for the caller's own alone");
    THREADS.store(threads, Relaxed);
    drop(super::Team::take());
}

#[cold]
fn first_asked() -> usize {
    let said = std::env::var(VARIABLE).ok().and_then(|text| text.trim().parse().ok());
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = said.filter(|&threads| threads > 0).unwrap_or_else(cores);
    // Somebody may have set it meanwhile.
    match THREADS.compare_exchange(0, threads, Relaxed, Relaxed) {
        Ok(_) => threads,
        Err(set) => set,
    }
}
