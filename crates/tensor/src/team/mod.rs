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
//! alone. One job runs at a time; a second caller meanwhile works alone. A child process has none of its
//! parent's threads and makes a team of its own, also if it was forked in the middle of a copy.

#[expect(unsafe_code, reason = "lends a closure to threads for the time of a call")]
mod job;
mod setting;

pub use setting::{num_threads, set_num_threads};

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use job::Board;
use ndbridge_storage::fork::PerProcess;

/// How long a helper looks for more work before it sleeps.
const LOOKS: Duration = Duration::from_micros(50);

static BOARD: PerProcess<Board> = PerProcess::new(Board::new);
/// Held by the caller whose job is on the board.
static TEAM: PerProcess<Mutex<Team>> = PerProcess::new(Mutex::default);

#[derive(Default)]
struct Team {
    helpers: Vec<Helper>,
}

struct Helper {
    thread: JoinHandle<()>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    sleeps: AtomicBool,
    is_dismissed: AtomicBool,
}

/// Calls `work` once with every number below `parts`, on this thread and those that come to help.
///
/// # Panics
/// If `work` panics, on whatever thread; other parts may be done or not.
pub(crate) fn run(parts: usize, work: &(dyn Fn(usize) + Sync)) {
    let threads = num_threads().min(parts);
    if threads < 2 {
        return (0..parts).for_each(work);
    }
    if is_done_by_pool(parts, work) {
        return;
    }
    let Some(mut team) = Team::take() else {
        // The helpers are busy, or this is a part that has parts itself.
        return (0..parts).for_each(work);
    };
    let outcome = BOARD.get().publish(parts, work, || team.wake(threads - 1));
    drop(team);
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

impl Team {
    /// The team, no larger than the setting, unless it is busy.
    fn take() -> Option<MutexGuard<'static, Self>> {
        let mut team = match TEAM.get().try_lock() {
            Ok(team) => team,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => return None,
        };
        team.keep(num_threads() - 1);
        Some(team)
    }

    /// Lets up to `count` helpers know, after making those that are missing.
    fn wake(&mut self, count: usize) {
        while self.helpers.len() < count {
            let Some(helper) = Helper::start() else { break };
            self.helpers.push(helper);
        }
        self.helpers.iter().take(count).for_each(Helper::wake);
    }

    /// Ends all helpers but the first `count`.
    fn keep(&mut self, count: usize) {
        while self.helpers.len() > count {
            self.helpers.pop().into_iter().for_each(Helper::dismiss);
        }
    }
}

impl Helper {
    /// `None` if the system has no thread for it.
    fn start() -> Option<Self> {
        let state = Arc::new(State::default());
        let own = Arc::clone(&state);
        let builder = std::thread::Builder::new().name("ndbridge-copy".to_owned());
        let thread = builder.spawn(move || own.help()).ok()?;
        Some(Self { thread, state })
    }

    fn wake(&self) {
        if self.state.sleeps.swap(false, SeqCst) {
            self.thread.thread().unpark();
        }
    }

    fn dismiss(self) {
        self.state.is_dismissed.store(true, SeqCst);
        self.thread.thread().unpark();
        // A helper does not panic: parts that do are caught.
        drop(self.thread.join());
    }
}

impl State {
    fn help(&self) {
        let board = BOARD.get();
        let mut seen = 0;
        let mut idle_since = Instant::now();
        while !self.is_dismissed.load(SeqCst) {
            if board.work_on_newer(&mut seen) {
                idle_since = Instant::now();
            } else if idle_since.elapsed() < LOOKS {
                std::hint::spin_loop();
            } else {
                self.sleeps.store(true, SeqCst);
                // A job may have come in between, whose caller saw this helper awake.
                if !board.has_newer(seen) {
                    std::thread::park();
                }
                self.sleeps.store(false, SeqCst);
                idle_since = Instant::now();
            }
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
