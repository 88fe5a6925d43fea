//! Which driver the slots lead to.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::hooks;
use super::library::Library;
use super::trampolines::{SYMBOLS, slots};
use crate::Absent;

enum Driver {
    Library(Library),
    Program(Box<dyn FnMut(&CStr) -> *mut c_void + Send>),
}

impl Driver {
    fn symbol(&mut self, name: &CStr) -> *mut c_void {
        match self {
            Driver::Library(library) => library.symbol(name),
            Driver::Program(find) => find(name),
        }
    }
}

static OUTCOME: OnceLock<Result<(), Absent>> = OnceLock::new();
static DRIVER: Mutex<Option<Driver>> = Mutex::new(None);

/// Finds the driver and binds it, once in a process; `cuInit` does the same on its first call.
///
/// # Errors
/// [`Absent`], with the loader's text, if there is no driver. It stays so until the program ends.
pub fn load() -> Result<(), Absent> {
    // SAFETY: the functions of a driver have the signatures of its header.
    let load = || Library::find().map(|library| unsafe { install(Driver::Library(library)) });
    OUTCOME.get_or_init(load).clone()
}

/// Binds a driver that is part of the program; false if the choice was made before, by this
/// function, by [`load`] or by `cuInit`.
///
/// # Safety
/// `find` answers each name with null or a function of that driver function's C signature.
pub unsafe fn bind(find: impl FnMut(&CStr) -> *mut c_void + Send + 'static) -> bool {
    let mut is_first = false;
    OUTCOME.get_or_init(|| {
        is_first = true;
        // SAFETY: the caller's promise.
        unsafe { install(Driver::Program(Box::new(find))) };
        Ok(())
    });
    is_first
}

/// Whether a driver is bound.
pub fn is_bound() -> bool {
    matches!(OUTCOME.get(), Some(Ok(())))
}

/// The bound driver's function of this name, whether or not [`SYMBOLS`] has it; `None` if the
/// driver lacks it or none is bound.
pub fn symbol(name: &CStr) -> Option<NonNull<c_void>> {
    NonNull::new(driver().as_mut()?.symbol(name))
}

fn driver() -> MutexGuard<'static, Option<Driver>> {
    DRIVER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// # Safety
/// What the driver answers to a name has that driver function's signature.
unsafe fn install(mut driver: Driver) {
    for (index, (slot, name)) in slots().iter().zip(SYMBOLS).enumerate() {
        let function = driver.symbol(name);
        // SAFETY: the caller's promise, for this name.
        let function = unsafe { hooks::instead_of(index, function) };
        slot.store(function, std::sync::atomic::Ordering::Release);
    }
    *self::driver() = Some(driver);
}
