//! Values that a child does not take over.

use std::sync::atomic::{AtomicPtr, Ordering};

use super::list::generation;

/// A value that each process makes for itself: what a parent's threads work on is nothing to its
/// child, which gets a new one. The parent's copy is never looked at there, nor freed.
///
/// ```
/// use std::sync::Mutex;
/// use ndbridge_ledger::fork::PerProcess;
///
/// static HELPERS: PerProcess<Mutex<Vec<u32>>> = PerProcess::new(|| Mutex::new(Vec::new()));
/// HELPERS.get().lock().unwrap().push(7);
/// assert_eq!(*HELPERS.get().lock().unwrap(), [7]);
/// ```
#[derive(Debug)]
pub struct PerProcess<T> {
    // INVARIANT: null, or from `Box::leak`: never freed, never changed.
    current: AtomicPtr<Made<T>>,
    make: fn() -> T,
}

#[derive(Debug)]
struct Made<T> {
    generation: u64,
    value: T,
}

impl<T: Send + Sync + 'static> PerProcess<T> {
    /// A value that `make` makes at its first use in each process. Two threads may both do so; one
    /// of the values is dropped then.
    pub const fn new(make: fn() -> T) -> Self {
        Self { current: AtomicPtr::new(std::ptr::null_mut()), make }
    }

    /// The value of this process.
    #[inline]
    pub fn get(&'static self) -> &'static T {
        let current = self.current.load(Ordering::Acquire);
        match Self::of_this_process(current) {
            Some(value) => value,
            None => self.replace(current),
        }
    }

    #[inline]
    fn of_this_process(made: *mut Made<T>) -> Option<&'static T> {
        // SAFETY: by the invariant.
        let made: &'static Made<T> = unsafe { made.as_ref()? };
        (made.generation == generation()).then_some(&made.value)
    }

    #[cold]
    fn replace(&'static self, old: *mut Made<T>) -> &'static T {
        let made = Box::into_raw(Box::new(Made { generation: generation(), value: (self.make)() }));
        match self.current.compare_exchange(old, made, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                // SAFETY: made above, and leaked.
                let made: &'static Made<T> = unsafe { &*made };
                &made.value
            }
            Err(_) => {
                // SAFETY: made above, by `Box`, and seen by nobody else.
                drop(unsafe { Box::from_raw(made) });
                self.get()
            }
        }
    }
}
