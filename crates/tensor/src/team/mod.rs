//! A small team of threads that helps with large copies.
//!
//! rayon parks the caller and wakes sleeping workers, which takes 6 to 10 us and often longer than a
//! copy of some megabytes: there the work has been done before anybody helps. Here the caller works
//! itself, and helpers that have just been busy are still looking for more.
//!
//! ```text
//! caller   publishes the job | takes part 0, 2, 3, 5 .. | none left: takes the job back, waits for
//! helper   looks, then sleeps | wakes, takes part 1, 4 ..|   those who are inside, returns
//! ```
//!
//! Parts are claimed one by one, so a helper that gets no core costs nothing: the caller finishes
//! alone. One job runs at a time; a second caller meanwhile works alone, as does a child process after
//! a fork, which has no helpers.

#[expect(unsafe_code, reason = "lends a closure to threads for the time of a call")]
mod job;
mod setting;

pub use setting::{num_threads, set_num_threads};

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, OnceLock, TryLockError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use job::Board;

/// How long a helper looks for more work before it sleeps.
const LOOKS: Duration = Duration::from_micros(50);

static BOARD: Board = Board::new();
/// Held by the caller whose job is on the board.
static CALLER: Mutex<()> = Mutex::new(());
static HELPERS: Mutex<Vec<&'static Helper>> = Mutex::new(Vec::new());

/// A thread of the team.
struct Helper {
    thread: OnceLock<Thread>,
    sleeps: AtomicBool,
}

/// Calls `work` once with every number below `parts`, on this thread and those that come to help.
///
/// # Panics
/// If `work` panics, on whatever thread; the other parts are done before.
pub(crate) fn run(parts: usize, work: &(dyn Fn(usize) + Sync)) {
    let threads = num_threads().min(parts);
    if threads < 2 {
        return (0..parts).for_each(work);
    }
    if is_done_by_pool(parts, work) {
        return;
    }
    let held = match CALLER.try_lock() {
        Ok(held) => held,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        // The helpers are busy, or this is a part that has parts itself.
        Err(TryLockError::WouldBlock) => return (0..parts).for_each(work),
    };
    let outcome = BOARD.publish(parts, work, || wake(threads - 1));
    drop(held);
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// Lets up to `count` helpers know, after making those that are missing.
fn wake(count: usize) {
    let mut helpers = HELPERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    while helpers.len() < count {
        let Some(helper) = start() else { break };
        helpers.push(helper);
    }
    for helper in helpers.iter().take(count) {
        if helper.sleeps.swap(false, SeqCst)
            && let Some(thread) = helper.thread.get()
        {
            thread.unpark();
        }
    }
}

/// A new helper; `None` if the system has no thread for it.
fn start() -> Option<&'static Helper> {
    let helper: &'static Helper =
        Box::leak(Box::new(Helper { thread: OnceLock::new(), sleeps: AtomicBool::new(false) }));
    let builder = std::thread::Builder::new().name("ndbridge-copy".to_owned());
    let handle = builder.spawn(move || help(helper)).ok()?;
    helper.thread.get_or_init(|| handle.thread().clone());
    Some(helper)
}

fn help(helper: &'static Helper) {
    let mut seen = 0;
    let mut idle_since = Instant::now();
    loop {
        if BOARD.work_on_newer(&mut seen) {
            idle_since = Instant::now();
        } else if idle_since.elapsed() < LOOKS {
            std::hint::spin_loop();
        } else {
            helper.sleeps.store(true, SeqCst);
            // A job may have come in between, whose caller saw this helper awake.
            if !BOARD.has_newer(seen) {
                std::thread::park();
            }
            helper.sleeps.store(false, SeqCst);
            idle_since = Instant::now();
        }
    }
}

/// Inside of a rayon pool the work is that pool's: whoever made it decided about threads.
#[cfg(feature = "rayon")]
fn is_done_by_pool(parts: usize, work: &(dyn Fn(usize) + Sync)) -> bool {
    use rayon::prelude::*;
    if rayon::current_thread_index().is_none() {
        return false;
    }
    (0..parts).into_par_iter().for_each(work);
    true
}

#[cfg(not(feature = "rayon"))]
fn is_done_by_pool(_parts: usize, _work: &(dyn Fn(usize) + Sync)) -> bool {
    false
}

#[cfg(test)]
mod tests;
