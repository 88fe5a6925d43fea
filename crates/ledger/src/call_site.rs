//! Where in the sources a borrow was taken.

use std::ffi::{CStr, c_void};
use std::fmt;
use std::panic::Location;

/// File, line and column of the call that took a borrow, in this module or in another one.
///
/// Another module of the process (a second extension module with this crate in it) has
/// [`Location`]s of its own, whose layout may differ. A call site is therefore one word that only
/// its module understands, and the C function of that module which explains it: cheap to pass on,
/// and taken apart when somebody asks.
///
/// ```
/// use std::panic::Location;
/// use ndbridge_ledger::CallSite;
///
/// let here = CallSite::from(Location::caller());
/// assert_eq!(here.to_string(), format!("{}:{}:{}", file!(), here.line(), here.column()));
/// assert_eq!(CallSite::named(c"rust-numpy").to_string(), "rust-numpy");
/// ```
#[derive(Clone, Copy)]
#[repr(C)]
pub struct CallSite {
    // INVARIANT: `explain` may be called with `site`, on every thread, until the process ends.
    pub(crate) site: *const c_void,
    pub(crate) explain: unsafe extern "C" fn(site: *const c_void) -> Explained,
}

// SAFETY: by the invariant.
unsafe impl Send for CallSite {}
// SAFETY: as above.
unsafe impl Sync for CallSite {}

/// What a call site is, in C's types.
#[repr(C)]
pub(crate) struct Explained {
    // INVARIANT: `file_len` bytes of UTF-8, not null, which live until the process ends.
    pub(crate) file: *const u8,
    pub(crate) file_len: usize,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl CallSite {
    /// A place without a line, known by name only; `name` is UTF-8.
    #[must_use]
    pub const fn named(name: &'static CStr) -> Self {
        Self { site: name.as_ptr().cast(), explain: explain_name }
    }

    /// The file, as the compiler of its module was given it.
    #[must_use]
    pub fn file(&self) -> &'static str {
        self.parts().0
    }

    /// The line, counted from 1; 0 if the place has none.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.parts().1
    }

    /// The column, counted from 1; 0 if the place has none.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.parts().2
    }

    fn parts(&self) -> (&'static str, u32, u32) {
        // SAFETY: by the invariant.
        let Explained { file, file_len, line, column } = unsafe { (self.explain)(self.site) };
        // SAFETY: by the invariant of what is explained.
        let file = unsafe { std::slice::from_raw_parts(file, file_len) };
        (std::str::from_utf8(file).unwrap_or("a file whose name is not UTF-8"), line, column)
    }
}

impl From<&'static Location<'static>> for CallSite {
    #[inline(always)]
    fn from(location: &'static Location<'static>) -> Self {
        Self { site: std::ptr::from_ref(location).cast(), explain: explain_location }
    }
}

unsafe extern "C" fn explain_location(site: *const c_void) -> Explained {
    // SAFETY: call sites with this function are locations, which are static.
    let location = unsafe { &*site.cast::<Location<'static>>() };
    Explained::new(location.file().as_bytes(), location.line(), location.column())
}

unsafe extern "C" fn explain_name(site: *const c_void) -> Explained {
    // SAFETY: call sites with this function are C strings, which are static.
    let name: &'static CStr = unsafe { CStr::from_ptr(site.cast()) };
    Explained::new(name.to_bytes(), 0, 0)
}

impl Explained {
    fn new(file: &'static [u8], line: u32, column: u32) -> Self {
        Self { file: file.as_ptr(), file_len: file.len(), line, column }
    }
}

impl PartialEq for CallSite {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for CallSite {}

impl fmt::Display for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (name, 0, _) => f.write_str(name),
            (file, line, column) => write!(f, "{file}:{line}:{column}"),
        }
    }
}

impl fmt::Debug for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallSite({self})")
    }
}
