//! A lock for a few nanoseconds of work.

use std::fmt;

use crate::sync::{AtomicBool, MutPtr, Ordering, UnsafeCell, relax};

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

    /// Waits for the content; gives it back when the result is dropped.
    #[inline(always)]
    pub(super) fn lock(&self) -> Locked<'_, T> {
        if !self.try_lock() {
            self.wait();
        }
        Locked { content: self.content.get_mut(), _unlock: Unlock(&self.locked) }
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

/// The content, for one thread.
pub(super) struct Locked<'a, T> {
    // Dropped in this order: nobody looks at the content after it is unlocked.
    content: MutPtr<T>,
    _unlock: Unlock<'a>,
}

impl<T> Locked<'_, T> {
    #[inline(always)]
    pub(super) fn content(&mut self) -> &mut T {
        // SAFETY: the flag is ours until `_unlock` drops, and whoever else would look at the
        // content waits for it; `&mut self` makes this the only reference of ours.
        unsafe { self.content.deref() }
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
