//! Targets whose driver this crate cannot bind: nothing is defined, nothing is found.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

use crate::Absent;

/// The symbols this crate defines: none on this target.
pub static SYMBOLS: &[&CStr] = &[];

/// Refuses.
///
/// # Errors
/// Always: the target is not supported.
pub fn load() -> Result<(), Absent> {
    let text = format!(
        "not supported on {} {}, only on Linux x86-64 and aarch64",
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    Err(Absent { text })
}

/// Never binds: returns false.
///
/// # Safety
/// None is needed on this target.
pub unsafe fn bind(_find: impl Fn(&CStr) -> *mut c_void + Send + Sync + 'static) -> bool {
    false
}

/// Whether a driver is bound: never.
pub fn is_bound() -> bool {
    false
}

/// Finds nothing.
pub fn symbol(_name: &CStr) -> Option<NonNull<c_void>> {
    None
}
