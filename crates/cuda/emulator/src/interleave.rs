//! Threads that take turns between driver calls.
//!
//! One thread runs at a time. Before and behind each driver call it may have to stop, and the seed
//! chooses which one goes on. A thread that sleeps in a lock of the program gives its turn away:
//! then another one runs until the lock is free, and for a moment both may run.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{process, thread};

use crate::waits::is_asleep;

/// A thread of an interleaving.
pub type Thread<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Runs threads in turns that the seed chooses, until all have ended; who made which call of the
/// driver, in order. The same seed gives the same turns wherever no thread waits for a lock of the
/// program that another one holds.
///
/// ```
/// use ndbridge_cuda_emulator::{Session, interleave};
///
/// let session = Session::start();
/// cust::init(cust::CudaFlags::empty())?;
/// let ask = || drop(cust::device::Device::num_devices().unwrap());
/// let calls = interleave(7, vec![Box::new(ask), Box::new(ask)]);
/// assert_eq!(calls.len(), 2);
/// assert_eq!(calls, interleave(7, vec![Box::new(ask), Box::new(ask)]));
/// # Ok::<(), cust::error::CudaError>(())
/// ```
///
/// # Panics
/// If a thread panics, with its panic, after all have ended; the seed goes to standard error. Where
/// the threads wait for each other for ever the process ends: a test that hangs tells nothing.
pub fn interleave(seed: u64, threads: Vec<Thread<'_>>) -> Vec<(usize, &'static str)> {
    let turns = Arc::new(Turns::new(seed, threads.len()));
    let outcomes: Vec<_> = thread::scope(|scope| {
        let start = |(number, thread)| {
            let turns = turns.clone();
            scope.spawn(move || turns.run(number, thread))
        };
        let threads: Vec<_> = threads.into_iter().enumerate().map(start).collect();
        turns.watch(seed);
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    if let Some(panic) = outcomes.into_iter().find_map(Result::err) {
        eprintln!("a thread panicked in the interleaving of seed {seed}");
        resume_unwind(panic);
    }
    std::mem::take(&mut turns.lock().calls)
}

/// A point between two steps of an interleaved thread, where another one may go on. Driver calls
/// are such points already; elsewhere it does nothing.
pub fn switch() {
    if let Some((turns, number)) = of_this_thread() {
        turns.pass(number);
    }
}

/// Enters a call in the list of the interleaving that this thread takes part in.
pub fn note(call: &'static str) {
    if let Some((turns, number)) = of_this_thread() {
        turns.lock().calls.push((number, call));
    }
}

/// None, too, where a thread that ends calls the driver for what it had.
fn of_this_thread() -> Option<(Arc<Turns>, usize)> {
    TURNS.try_with(|turns| turns.borrow().clone()).ok().flatten()
}

thread_local! {
    static TURNS: RefCell<Option<(Arc<Turns>, usize)>> = const { RefCell::new(None) };
}

struct Turns {
    state: Mutex<State>,
    one_ended: Condvar,
    threads: Vec<Member>,
}

#[derive(Default)]
struct Member {
    /// It may go on.
    go: Condvar,
    /// It waits for nothing but `state`.
    is_passing: AtomicBool,
}

struct State {
    random: u64,
    /// Threads that have not begun.
    missing: usize,
    /// Threads that have not ended.
    left: usize,
    /// Whose turn it is.
    running: Option<usize>,
    /// How often that thread was found asleep in this turn.
    found_asleep: u32,
    /// The threads that wait for a turn.
    ready: BTreeSet<usize>,
    /// What the system calls each thread, from its begin to its end.
    names: Vec<String>,
    calls: Vec<(usize, &'static str)>,
}

impl Turns {
    fn new(seed: u64, count: usize) -> Turns {
        // An odd factor: neighbouring seeds start far apart.
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let (ready, names, calls) = (BTreeSet::new(), vec![String::new(); count], Vec::new());
        let (missing, left, running, found_asleep) = (count, count, None, 0);
        let state = State { random, missing, left, running, found_asleep, ready, names, calls };
        let threads = (0..count).map(|_| Member::default()).collect();
        Turns { state: Mutex::new(state), one_ended: Condvar::new(), threads }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(self: Arc<Turns>, number: usize, thread: Thread<'_>) {
        TURNS.set(Some((self.clone(), number)));
        let name = fs::read_link("/proc/thread-self").unwrap_or_default();
        let mut state = self.lock();
        state.names[number] = name.to_string_lossy().into_owned();
        state.missing -= 1;
        self.wait(state, number);
        let outcome = catch_unwind(AssertUnwindSafe(thread));
        TURNS.set(None);
        self.threads[number].is_passing.store(true, Relaxed);
        let mut state = self.lock();
        state.end_turn(number);
        state.left -= 1;
        state.names[number].clear();
        self.next(&mut state);
        drop(state);
        self.one_ended.notify_one();
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
    }

    /// Waits until all have ended. Of threads that wait for locks of each other none has a turn to
    /// wait for, so only this one can see it.
    fn watch(&self, seed: u64) {
        const LOOK: Duration = Duration::from_millis(20);
        const LOOKS: u32 = 100;
        let (mut state, mut looks) = (self.lock(), 0);
        while state.left > 0 {
            let waited = self.one_ended.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            let all = 0..self.threads.len();
            let is_stuck = state.missing == 0 && all.into_iter().all(|n| self.sleeps(&state, n));
            looks = if is_stuck { looks + 1 } else { 0 };
            if looks == LOOKS {
                eprintln!("deadlock in the interleaving of seed {seed}");
                process::abort();
            }
        }
    }

    /// Whether a thread waits for something that another one has to do, or has ended.
    fn sleeps(&self, state: &State, number: usize) -> bool {
        let name = &state.names[number];
        let stat = || fs::read_to_string(format!("/proc/{name}/stat"));
        let is_passing = self.threads[number].is_passing.load(Relaxed);
        name.is_empty() || !is_passing && stat().is_ok_and(|stat| is_asleep(&stat))
    }

    /// Ends a thread's turn, and waits for its next.
    fn pass(&self, number: usize) {
        self.threads[number].is_passing.store(true, Relaxed);
        let mut state = self.lock();
        state.end_turn(number);
        self.wait(state, number);
    }

    fn wait(&self, mut state: MutexGuard<'_, State>, number: usize) {
        const LOOK: Duration = Duration::from_micros(400);
        state.ready.insert(number);
        self.next(&mut state);
        while state.ready.contains(&number) {
            let waited = self.threads[number].go.wait_timeout(state, LOOK);
            let (now, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = now;
            if timeout.timed_out() && self.runner_sleeps(&mut state) {
                state.running = None;
                self.next(&mut state);
            }
        }
        self.threads[number].is_passing.store(false, Relaxed);
    }

    /// Gives the turn to some thread that waits for one, once all have begun.
    fn next(&self, state: &mut State) {
        if state.running.is_some() || state.missing > 0 || state.ready.is_empty() {
            return;
        }
        let at = state.random_below(state.ready.len());
        let Some(number) = state.ready.iter().copied().nth(at) else { return };
        state.ready.remove(&number);
        (state.running, state.found_asleep) = (Some(number), 0);
        self.threads[number].go.notify_one();
    }

    /// Whether the thread whose turn it is waits for something that another one has to do. Found
    /// asleep once it may have waited for the allocator, or for what the system does for it.
    fn runner_sleeps(&self, state: &mut State) -> bool {
        let Some(running) = state.running else { return false };
        state.found_asleep = if self.sleeps(state, running) { state.found_asleep + 1 } else { 0 };
        state.found_asleep == 3
    }
}

impl State {
    /// A thread that slept may have lost its turn, and run beside another one.
    fn end_turn(&mut self, number: usize) {
        self.running.take_if(|running| *running == number);
    }

    fn random_below(&mut self, end: usize) -> usize {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % end
    }
}
