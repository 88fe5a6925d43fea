//! One test at a time on one driver.

use std::env;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::{control, lookup};

const VARIABLE: &str = "NDBRIDGE_GPU";

/// The driver of a test: the emulated one, or with `NDBRIDGE_GPU=real` the machine's own. Tests of a
/// process wait for each other. At its end a test that left violations fails.
pub struct Session {
    is_emulated: bool,
    _alone: MutexGuard<'static, ()>,
}

impl Session {
    /// Waits for the former test, binds the driver if this is the first, and forgets what the
    /// former left in the books of the emulator; what it allocated stays.
    ///
    /// # Panics
    /// If the machine's driver is asked for and there is none, if the variable has another value,
    /// or if another driver was bound before.
    pub fn start() -> Session {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        static IS_EMULATED: OnceLock<bool> = OnceLock::new();
        let is_emulated = *IS_EMULATED.get_or_init(bind);
        if is_emulated {
            control::reset();
        }
        Session { is_emulated, _alone: alone }
    }

    /// Whether violations, counts and faults mean anything.
    pub fn is_emulated(&self) -> bool {
        self.is_emulated
    }

    /// Checks that so many allocations are live on the emulator's devices.
    ///
    /// # Panics
    /// If there are more or fewer. Never on a real driver, which cannot be asked.
    pub fn assert_no_leak(&self, expected_live: usize) {
        if self.is_emulated {
            assert_eq!(control::live(), expected_live, "live allocations");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.is_emulated && !std::thread::panicking() {
            control::drain();
            let violations = control::violations();
            assert!(violations.is_empty(), "{violations:#?}");
        }
    }
}

fn bind() -> bool {
    match env::var(VARIABLE).as_deref() {
        Err(_) => {
            let find = |name: &std::ffi::CStr| lookup(name);
            // SAFETY: each function of the emulator has the signature of the driver's of its name.
            let is_first = unsafe { ndbridge_cuda_lazy::bind(find) };
            assert!(is_first, "another driver was bound before the emulator");
            true
        }
        Ok("real") => {
            if let Err(absent) = ndbridge_cuda_lazy::load() {
                panic!("{VARIABLE}=real, but {absent}");
            }
            false
        }
        Ok(other) => panic!("{VARIABLE} is {other:?}, expected \"real\" or nothing"),
    }
}
