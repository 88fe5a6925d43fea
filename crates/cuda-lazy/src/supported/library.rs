//! The driver as a shared library.

use std::env;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::NonNull;

use crate::Absent;

const FORCED: &str = "NDBRIDGE_CUDA_DRIVER";

/// Where the driver is, best first: the loader's own search, then folders that it is not told of.
const PLACES: [&CStr; 4] = [
    c"libcuda.so.1",
    c"/usr/lib/wsl/lib/libcuda.so.1",
    c"/run/opengl-driver/lib/libcuda.so.1",
    c"/usr/local/nvidia/lib64/libcuda.so.1",
];

const RTLD_NOW: c_int = 2;

unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
}

/// A library that stays loaded until the program ends.
pub struct Library {
    handle: NonNull<c_void>,
}

// SAFETY: a handle is not tied to a thread.
unsafe impl Send for Library {}
// SAFETY: any threads may look up symbols at the same time.
unsafe impl Sync for Library {}

impl Library {
    /// The library that the environment names, or the first found in the places of a driver.
    pub fn find() -> Result<Library, Absent> {
        if let Some(path) = env::var_os(FORCED) {
            let Ok(path) = CString::new(path.into_encoded_bytes()) else {
                return Err(Absent { text: format!("{FORCED} holds a NUL byte") });
            };
            return Library::open(&path);
        }
        let first = Library::open(PLACES[0]);
        let others = PLACES[1..].iter();
        first.or_else(|absent| {
            others.map(|name| Library::open(name)).find_map(Result::ok).ok_or(absent)
        })
    }

    fn open(name: &CStr) -> Result<Library, Absent> {
        // SAFETY: a C string. The library's initialisers are those of a driver.
        let handle = unsafe { dlopen(name.as_ptr(), RTLD_NOW) };
        NonNull::new(handle)
            .map(|handle| Library { handle })
            .ok_or_else(|| Absent { text: reason() })
    }

    /// The address of a function, or null.
    pub fn symbol(&self, name: &CStr) -> *mut c_void {
        // SAFETY: a handle that is never closed and a C string.
        unsafe { dlsym(self.handle.as_ptr(), name.as_ptr()) }
    }
}

/// What the loader says of the call that just failed on this thread.
fn reason() -> String {
    // SAFETY: needs nothing of the caller.
    let text = unsafe { dlerror() };
    if text.is_null() {
        return "the dynamic loader gave no reason".to_owned();
    }
    // SAFETY: a C string that lives until this thread's next call of the loader.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
