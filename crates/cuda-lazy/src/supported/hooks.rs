//! What stands in a slot instead of the driver's function.
//!
//! `cuInit` and `cuDriverGetVersion` bind the driver and give way to it. The two functions that
//! describe an error stay: cust panics when it prints an error that the driver cannot describe.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::binding::load;
use super::trampolines::slots;

const NOT_INITIALIZED: c_int = 3;
const NO_DEVICE: c_int = 100;
const SYMBOL_NOT_FOUND: c_int = 302;

// The slots of the hooked functions: the first of the list in `trampolines`.
const INIT: usize = 0;
const VERSION: usize = 1;
const DESCRIBERS: [usize; 2] = [2, 3];

type Init = unsafe extern "C" fn(c_uint) -> c_int;
type Version = unsafe extern "C" fn(*mut c_int) -> c_int;
type Describe = unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int;

/// The bound driver's own descriptions of errors: text and name.
static DESCRIBE: [AtomicPtr<c_void>; 2] = [const { AtomicPtr::new(null_mut()) }; 2];

/// What the slot at `index` gets where the driver has `function`, which may be null.
///
/// # Safety
/// `function` is null or has the signature of the slot's symbol.
pub unsafe fn instead_of(index: usize, function: *mut c_void) -> *mut c_void {
    if let Some(which) = DESCRIBERS.iter().position(|describer| *describer == index) {
        DESCRIBE[which].store(function, Ordering::Release);
        return slots()[index].load(Ordering::Acquire);
    }
    if function.is_null() { missing as *mut c_void } else { function }
}

/// Every function's answer until a driver is bound.
pub extern "C" fn not_initialized() -> c_int {
    NOT_INITIALIZED
}

/// The answer of a function that the bound driver lacks.
extern "C" fn missing() -> c_int {
    SYMBOL_NOT_FOUND
}

/// # Safety
/// As for the driver's function.
pub unsafe extern "C" fn init(flags: c_uint) -> c_int {
    if load().is_err() {
        return NO_DEVICE;
    }
    // SAFETY: `load` filled the slot with the driver's cuInit, or with `missing`, which reads no
    // argument.
    let init = unsafe { transmute::<*mut c_void, Init>(slots()[INIT].load(Ordering::Acquire)) };
    // SAFETY: the caller's promise.
    unsafe { init(flags) }
}

/// # Safety
/// As for the driver's function.
pub unsafe extern "C" fn driver_version(out: *mut c_int) -> c_int {
    if load().is_err() {
        return NO_DEVICE;
    }
    let version = slots()[VERSION].load(Ordering::Acquire);
    // SAFETY: as in `init`.
    let version = unsafe { transmute::<*mut c_void, Version>(version) };
    // SAFETY: the caller's promise.
    unsafe { version(out) }
}

/// # Safety
/// As for the driver's function.
pub unsafe extern "C" fn error_string(code: c_int, out: *mut *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { describe(0, code, out) }
}

/// # Safety
/// As for the driver's function.
pub unsafe extern "C" fn error_name(code: c_int, out: *mut *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { describe(1, code, out) }
}

/// # Safety
/// `out` may be written.
unsafe fn describe(which: usize, code: c_int, out: *mut *const c_char) -> c_int {
    let driver = DESCRIBE[which].load(Ordering::Acquire);
    if !driver.is_null() {
        // SAFETY: not null, so the driver's function of this signature.
        let driver = unsafe { transmute::<*mut c_void, Describe>(driver) };
        // SAFETY: the caller's promise.
        if unsafe { driver(code, out) } == 0 {
            return 0;
        }
    }
    let text = match code {
        NOT_INITIALIZED => c"initialization error",
        NO_DEVICE => c"no CUDA-capable device is detected",
        SYMBOL_NOT_FOUND => c"the CUDA driver lacks this function",
        _ => c"unrecognized error code",
    };
    // SAFETY: the caller's promise.
    unsafe { out.write(text.as_ptr()) };
    0
}
