//! The driver's functions.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::null_mut;

use crate::code::{Code, NOT_INITIALIZED, NOT_PERMITTED};
use crate::forked;
use crate::machine::{CALL, IN_HOST_FUNCTION, Machine, with};

/// Functions that the driver exports: their arguments, with `@context` the current context (its
/// place in the list; without one the call is refused), and what they do to the machine.
macro_rules! driver_functions {
    ($($name:ident($($arg:ident: $t:ty),* $(,)?) $(@$context:ident)? |$machine:ident| $body:block)*) => {
        $(
            #[cfg_attr(feature = "export", unsafe(no_mangle))]
            pub extern "C" fn $name($($arg: $t),*) -> std::ffi::c_int {
                super::enter(stringify!($name), |$machine| {
                    $(let $context = $machine.context(stringify!($name))?;)?
                    $body
                })
            }
        )*

        /// The address of one of these functions.
        pub fn find(name: &str) -> Option<*mut std::ffi::c_void> {
            match name {
                $(stringify!($name) => Some($name as *mut std::ffi::c_void),)*
                _ => None,
            }
        }
    };
}

mod capture;
mod context;
mod copy;
mod device;
mod event;
mod memory;
mod module;
mod pool;
mod set;
mod stream;

/// The address of the emulator's function of this name, or null: what `ndbridge_cuda_lazy::bind`
/// takes.
pub fn lookup(name: &CStr) -> *mut c_void {
    let Ok(name) = name.to_str() else { return null_mut() };
    let files = [
        capture::find,
        context::find,
        copy::find,
        device::find,
        event::find,
        memory::find,
        module::find,
        pool::find,
        set::find,
        stream::find,
    ];
    files.iter().find_map(|find| find(name)).unwrap_or(null_mut())
}

/// One call of the program; other threads of an interleaving may go on before and behind it.
fn enter(name: &'static str, call: impl FnOnce(&mut Machine) -> Result<(), Code>) -> c_int {
    if IN_HOST_FUNCTION.get() {
        return NOT_PERMITTED;
    }
    if forked::is_child() {
        if !ABOUT_NO_PROCESS.contains(&name) {
            forked::note(name);
        }
        return NOT_INITIALIZED;
    }
    switch();
    let code = count(name, call);
    switch();
    code
}

/// In an interleaving of threads another one may go on here.
fn switch() {
    #[cfg(not(feature = "export"))]
    crate::interleave::switch();
}

/// Counts the call, and fails it if a fault says so.
fn count(name: &'static str, call: impl FnOnce(&mut Machine) -> Result<(), Code>) -> c_int {
    CALL.set(name);
    #[cfg(not(feature = "export"))]
    crate::interleave::note(name);
    with(|machine| {
        let count = machine.calls.entry(name).or_default();
        let nth = *count;
        *count += 1;
        let fault = machine.faults.iter().position(|fault| fault.call == name && fault.nth == nth);
        if let Some(index) = fault {
            return machine.faults.remove(index).code;
        }
        if !machine.is_ready && !BEFORE_INIT.contains(&name) {
            return NOT_INITIALIZED;
        }
        call(machine).err().unwrap_or(0)
    })
}

const BEFORE_INIT: [&str; 4] =
    ["cuInit", "cuDriverGetVersion", "cuGetErrorName", "cuGetErrorString"];
/// Harmless in a forked child.
const ABOUT_NO_PROCESS: [&str; 3] = ["cuDriverGetVersion", "cuGetErrorName", "cuGetErrorString"];
