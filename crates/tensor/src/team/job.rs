//! The board on which a job is published.

use std::any::Any;
use std::mem::transmute;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};

type Work<'w> = dyn Fn(usize) + Sync + 'w;
type Panic = Box<dyn Any + Send>;

/// Work in parts, on the stack of the thread that published it.
struct Job {
    work: &'static Work<'static>,
    parts: usize,
    next: AtomicUsize,
    panic: Mutex<Option<Panic>>,
}

impl Job {
    /// Takes parts until none is left.
    fn work(&self) {
        loop {
            let part = self.next.fetch_add(1, Relaxed);
            if part >= self.parts {
                return;
            }
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.work)(part))) {
                let mut first = self.panic.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                first.get_or_insert(panic);
            }
        }
    }
}

/// Where helpers find the job, one at a time.
pub(super) struct Board {
    // INVARIANT: null, or a job that stays until it is null again and `inside` is 0.
    job: AtomicPtr<Job>,
    /// Helpers that may hold `job`.
    inside: AtomicUsize,
    /// Counts the jobs.
    number: AtomicU64,
}

impl Board {
    pub(super) fn new() -> Self {
        Self {
            job: AtomicPtr::new(ptr::null_mut()),
            inside: AtomicUsize::new(0),
            number: AtomicU64::new(0),
        }
    }

    /// Publishes a job, lets the helpers know, takes part, and waits for those who do; by one thread
    /// at a time.
    ///
    /// # Errors
    /// The first panic of a part.
    pub(super) fn publish(
        &self,
        parts: usize,
        work: &Work<'_>,
        wake: impl FnOnce(),
    ) -> Result<(), Panic> {
        // SAFETY: only the lifetime changes; nobody holds the job when this call returns.
        let work = unsafe { transmute::<&Work<'_>, &'static Work<'static>>(work) };
        let job = Job { work, parts, next: AtomicUsize::new(0), panic: Mutex::new(None) };
        self.job.store((&raw const job).cast_mut(), SeqCst);
        self.number.fetch_add(1, SeqCst);
        // A panic here would leave the job on the board.
        let woken = catch_unwind(AssertUnwindSafe(wake));
        job.work();
        self.job.store(ptr::null_mut(), SeqCst);
        let mut rounds = 0_u32;
        while self.inside.load(SeqCst) > 0 {
            std::hint::spin_loop();
            rounds += 1;
            // A helper without a core: let it have this one.
            if rounds.is_multiple_of(128) {
                std::thread::yield_now();
            }
        }
        let panic = job.panic.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        woken.and(panic.map_or(Ok(()), Err))
    }

    /// Whether there has been a job after number `seen`.
    pub(super) fn has_newer(&self, seen: u64) -> bool {
        self.number.load(SeqCst) != seen
    }

    /// Takes part in a job after number `seen`, if there is one; whether there was.
    pub(super) fn work_on_newer(&self, seen: &mut u64) -> bool {
        if !self.has_newer(*seen) {
            return false;
        }
        // In this order: the publisher takes the job from the board before it looks who is inside,
        // so whoever finds it here is waited for.
        self.inside.fetch_add(1, SeqCst);
        *seen = self.number.load(SeqCst);
        // SAFETY: null, or a job that stays until this helper is not inside any more.
        if let Some(job) = unsafe { self.job.load(SeqCst).as_ref() } {
            job.work();
        }
        self.inside.fetch_sub(1, SeqCst);
        true
    }
}
