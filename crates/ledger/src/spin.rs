//! The lock of a ledger.

use std::fmt;

use crate::mark;
use crate::sync::{AtomicU64, MutPtr, Ordering, UnsafeCell, const_fn, relax};

/// Content that one thread at a time may use.
///
/// Spins, then yields: holders neither block nor call foreign code. They look at the slots, which takes
/// nanoseconds; walk the index, which takes some for each record that reaches near the bytes wanted;
/// and make two short searches for an overlap at the most, of less than 1 us. Longer searches run
/// without the lock. Unlocks also when the holder panics.
///
/// A thread that a child does not have may have held it at the fork: its lock is taken over there.
/// So what must not be seen half done is done while forks are
/// [held off](crate::fork::held_off).
pub(crate) struct Spin<T> {
    /// Mark of the thread that uses the content; 0 if none does.
    holder: AtomicU64,
    content: UnsafeCell<T>,
}

// SAFETY: the lock gives the content to one thread at a time, so sharing the lock only sends it.
unsafe impl<T: Send> Sync for Spin<T> {}

impl<T> Spin<T> {
    const_fn! {
        pub(crate) const fn new(content: T) -> Self {
            Self { holder: AtomicU64::new(0), content: UnsafeCell::new(content) }
        }
    }

    /// Waits for the content; gives it back when the result is dropped. `mark` is this thread's.
    #[inline(always)]
    pub(crate) fn lock(&self, mark: u64) -> Locked<'_, T> {
        if !self.replace(0, mark) {
            self.wait(mark);
        }
        Locked { content: self.content.get_mut(), _unlock: Unlock(&self.holder) }
    }

    #[inline]
    fn replace(&self, holder: u64, mark: u64) -> bool {
        self.holder.compare_exchange(holder, mark, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn wait(&self, mark: u64) {
        let mut spins = 0;
        loop {
            let holder = self.holder.load(Ordering::Relaxed);
            if (holder == 0 || !mark::is_here(holder)) && self.replace(holder, mark) {
                return;
            }
            relax(spins);
            spins += 1;
        }
    }
}

/// The content, for one thread.
pub(crate) struct Locked<'a, T> {
    // Dropped in this order: nobody looks at the content after it is unlocked.
    content: MutPtr<T>,
    _unlock: Unlock<'a>,
}

impl<T> Locked<'_, T> {
    #[inline(always)]
    pub(crate) fn content(&mut self) -> &mut T {
        // SAFETY: the lock is ours until `_unlock` drops, and whoever else would look at the content
        // waits for it, or is not in this process; `&mut self` makes this the only reference of
        // ours.
        unsafe { self.content.deref() }
    }
}

struct Unlock<'a>(&'a AtomicU64);

impl Drop for Unlock<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

impl<T> fmt::Debug for Spin<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spin").finish_non_exhaustive()
    }
}
