//! The atomics of the ledger: the standard library's, or loom's when a model checks it.

#[cfg(not(loom))]
mod imp {
    pub use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering};

    /// `std::cell::UnsafeCell` with the interface of loom's.
    pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        #[inline(always)]
        pub fn get_mut(&self) -> MutPtr<T> {
            MutPtr(self.0.get())
        }
    }

    /// Pointer to the content, which loom watches for as long as it lives.
    pub struct MutPtr<T>(*mut T);

    impl<T> MutPtr<T> {
        /// # Safety
        /// The pointer is valid, and nothing else refers to the content meanwhile.
        #[inline(always)]
        #[expect(clippy::mut_from_ref, reason = "the signature of loom's")]
        pub unsafe fn deref(&self) -> &mut T {
            // SAFETY: promised by the caller.
            unsafe { &mut *self.0 }
        }
    }

    /// Waits a little for another thread; gives up the core after a while.
    pub fn relax(spins: u32) {
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
    pub use loom::cell::{MutPtr, UnsafeCell};
    pub use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering};

    pub fn relax(_spins: u32) {
        loom::thread::yield_now();
    }
}

pub use imp::*;

/// A `const fn`; in a model, whose atomics are made at run time, a plain one.
macro_rules! const_fn {
    ($(#[$meta:meta])* $visible:vis const fn $($rest:tt)*) => {
        #[cfg(not(loom))]
        $(#[$meta])*
        $visible const fn $($rest)*
        #[cfg(loom)]
        $(#[$meta])*
        $visible fn $($rest)*
    };
}
pub(crate) use const_fn;
