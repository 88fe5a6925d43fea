//! The atomics of the ledger: the standard library's, or loom's when a model checks it.

#[cfg(not(loom))]
mod imp {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

    /// `std::cell::UnsafeCell` with the interface of loom's.
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }

    /// Waits a little for another thread; gives up the core after a while.
    pub(crate) fn relax(spins: u32) {
        const SPINS_BEFORE_YIELD: u32 = 64;
        if spins < SPINS_BEFORE_YIELD {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}

#[cfg(loom)]
mod imp {
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, Ordering};

    pub(crate) fn relax(_spins: u32) {
        loom::thread::yield_now();
    }
}

pub(crate) use imp::*;
