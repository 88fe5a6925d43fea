//! A lock for a few nanoseconds of work.

use std::fmt;

use crate::sync::{AtomicBool, Ordering, UnsafeCell, relax};

/// Content that one thread at a time may use.
///
/// Spins, then yields: holders neither block nor call foreign code, so the wait is short. Unlocks
/// also when the holder panics.
pub(super) struct Spin<T> {
    locked: AtomicBool,
    content: UnsafeCell<T>,
}

// SAFETY: the lock gives the content to one thread at a time, so sharing the lock only sends it.
unsafe impl<T: Send> Sync for Spin<T> {}

impl<T> Spin<T> {
    pub(super) fn new(content: T) -> Self {
        Self { locked: AtomicBool::new(false), content: UnsafeCell::new(content) }
    }

    /// Runs `f` on the content, alone. `f` must not use this lock again.
    #[inline]
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let _unlock = self.lock();
        // SAFETY: the flag is ours until `_unlock` drops, and whoever else would look at the
        // content waits for it.
        self.content.with_mut(|content| f(unsafe { &mut *content }))
    }

    #[inline]
    fn lock(&self) -> Unlock<'_> {
        if !self.try_lock() {
            self.wait();
        }
        Unlock(&self.locked)
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn wait(&self) {
        let mut spins = 0;
        while self.locked.load(Ordering::Relaxed) || !self.try_lock() {
            relax(spins);
            spins += 1;
        }
    }
}

struct Unlock<'a>(&'a AtomicBool);

impl Drop for Unlock<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl<T> fmt::Debug for Spin<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spin").finish_non_exhaustive()
    }
}
