//! Which driver the slots lead to.
//!
//! Nothing here waits for another thread: a child of a process in which one was looking for the driver
//! would wait for ever. Two threads may look at the same time; the first choice stays, and whoever
//! comes to it fills the slots, with the same functions as everybody else.

use std::ffi::{CStr, c_void};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::hooks;
use super::library::Library;
use super::trampolines::{SYMBOLS, slots};
use crate::Absent;

enum Driver {
    Library(Library),
    Program(Box<dyn Fn(&CStr) -> *mut c_void + Send + Sync>),
}

impl Driver {
    fn symbol(&self, name: &CStr) -> *mut c_void {
        match self {
            Driver::Library(library) => library.symbol(name),
            Driver::Program(find) => find(name),
        }
    }
}

type Choice = Result<Driver, Absent>;

/// Null, or the choice, which is never freed or changed.
static CHOICE: AtomicPtr<Choice> = AtomicPtr::new(null_mut());

/// Whether the slots are filled.
static IS_BOUND: AtomicBool = AtomicBool::new(false);

/// Finds the driver and binds it, once in a process; `cuInit` does the same on its first call.
///
/// # Errors
/// [`Absent`], with the loader's text, if there is no driver. It stays so until the program ends.
pub fn load() -> Result<(), Absent> {
    if is_bound() {
        return Ok(());
    }
    let choice = choice().unwrap_or_else(|| choose(Library::find().map(Driver::Library)).0);
    match choice {
        // SAFETY: the functions of a driver have the signatures of its header; whoever bound another
        // one has promised the same.
        Ok(driver) => unsafe { fill_slots(driver) },
        Err(absent) => return Err(absent.clone()),
    }
    Ok(())
}

/// Binds a driver that is part of the program; false if the choice was made before, by this
/// function, by [`load`] or by `cuInit`.
///
/// # Safety
/// `find` answers each name with null or a function of that driver function's C signature.
pub unsafe fn bind(find: impl Fn(&CStr) -> *mut c_void + Send + Sync + 'static) -> bool {
    let (_, is_first) = choose(Ok(Driver::Program(Box::new(find))));
    load().is_ok() && is_first
}

/// Whether a driver is bound.
pub fn is_bound() -> bool {
    IS_BOUND.load(Ordering::Acquire)
}

/// The bound driver's function of this name, whether or not [`SYMBOLS`] has it; `None` if the
/// driver lacks it or none is bound.
pub fn symbol(name: &CStr) -> Option<NonNull<c_void>> {
    NonNull::new(choice()?.as_ref().ok()?.symbol(name))
}

fn choice() -> Option<&'static Choice> {
    // SAFETY: null, or what `choose` stored: leaked, and never changed.
    unsafe { CHOICE.load(Ordering::Acquire).as_ref() }
}

/// The choice, and whether it is the one given here.
fn choose(wanted: Choice) -> (&'static Choice, bool) {
    let wanted = Box::leak(Box::new(wanted));
    match CHOICE.compare_exchange(null_mut(), wanted, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => (wanted, true),
        // SAFETY: not null, so it is as in `choice`.
        Err(first) => (unsafe { &*first }, false),
    }
}

/// # Safety
/// What the driver answers to a name has that driver function's signature.
unsafe fn fill_slots(driver: &Driver) {
    for (index, (slot, name)) in slots().iter().zip(SYMBOLS).enumerate() {
        let function = driver.symbol(name);
        // SAFETY: the caller's promise, for this name.
        let function = unsafe { hooks::instead_of(index, function) };
        slot.store(function, Ordering::Release);
    }
    IS_BOUND.store(true, Ordering::Release);
}
