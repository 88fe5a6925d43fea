//! The interpreter whose arrays are carried, and whether this thread may touch them now.
//!
//! A process has one ledger of lent memory, and PyO3's classes belong to one interpreter: served is
//! the main interpreter, in its first life, if it has a GIL. Any other gives no lent memory.
//!
//! A thread may touch Python's memory while its own thread state is the current one, and that of the
//! served interpreter. `PyGILState_Check` does not tell: once a subinterpreter has existed it
//! answers 1 on every thread.
//!
//! | thread | own state | current state | interpreter |
//! |---|---|---|---|
//! | attached | A | A | served |
//! | unknown to Python | null | null (3.11: another's) | |
//! | has let go of the GIL | A | null (3.11: another's) | |
//! | in a subinterpreter | B (3.11: A) | B | another |

use std::ffi::{CStr, c_void};
use std::mem::transmute;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use pyo3::exceptions::{PyImportError, PyRuntimeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Why an interpreter is not served.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unserved {
    Second,
    Ended,
    NoGil,
    Unknown,
}

impl Unserved {
    /// In words, with what works.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Second => {
                "ndbridge works in the main interpreter of a process only, since one ledger knows who \
                 holds what: import it there (under mod_wsgi: WSGIApplicationGroup %{GLOBAL})"
            }
            Self::Ended => {
                "ndbridge was used in an interpreter of this process that has ended, and cannot begin \
                 again: start a new process"
            }
            Self::NoGil => {
                "ndbridge lends no memory on a Python without a GIL, whose threads may write an array \
                 at any time: run a Python that has one; memory that stays inside works here too, as by \
                 zeros(), full(), load(), clone(), save(), tolist()"
            }
            Self::Unknown => {
                "this Python does not tell which thread is attached: expected CPython 3.11 or newer"
            }
        }
    }
}

impl From<Unserved> for PyErr {
    fn from(unserved: Unserved) -> Self {
        match unserved {
            Unserved::NoGil => PyRuntimeError::new_err(unserved.reason()),
            _ => PyImportError::new_err(unserved.reason()),
        }
    }
}

/// The served interpreter; null before the ledger is joined in it, and after it has ended.
static SERVED: AtomicPtr<ffi::PyInterpreterState> = AtomicPtr::new(null_mut());

/// The interpreter's function that tells the current thread state; null before somebody asked, and
/// where there is none.
static CURRENT: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

type CurrentState = unsafe extern "C" fn() -> *mut ffi::PyThreadState;

/// Whether this thread is attached to the served interpreter. Never waits; also right while that
/// ends, and afterwards.
pub fn is_attached() -> bool {
    let served = SERVED.load(Ordering::Acquire);
    !served.is_null() && attached_to() == served
}

/// The interpreter that this thread is attached to; null if it is to none.
fn attached_to() -> *mut ffi::PyInterpreterState {
    let Some(state) = attached_state() else { return null_mut() };
    // SAFETY: the state of this thread, which lives as long as the thread is attached by it.
    unsafe { ffi::PyThreadState_GetInterpreter(state.as_ptr()) }
}

/// Whether this thread is attached to any interpreter.
pub fn is_somewhere() -> bool {
    attached_state().is_some()
}

/// Why this thread is not attached to the served one, with what works.
#[cold]
pub fn why_detached() -> &'static str {
    if !is_any_served() {
        return "no Python has lent memory here yet, or it has ended: call join_ledger(py) first";
    }
    if is_somewhere() {
        return Unserved::Second.reason();
    }
    "this thread is not attached to Python: borrow inside Python::attach"
}

/// The state by which this thread is attached to some interpreter.
fn attached_state() -> Option<NonNull<ffi::PyThreadState>> {
    let current = current_state()?;
    // SAFETY: any thread may ask, at any time.
    let current = unsafe { current() };
    // SAFETY: any thread may ask, at any time; null without an interpreter.
    let own = unsafe { ffi::PyGILState_GetThisThreadState() };
    NonNull::new(own).filter(|own| own.as_ptr() == current)
}

/// Whether some interpreter is served.
#[inline]
pub fn is_any_served() -> bool {
    !SERVED.load(Ordering::Acquire).is_null()
}

/// Whether the interpreter that this thread is attached to is the served one.
#[inline]
pub fn is_served(py: Python<'_>) -> bool {
    SERVED.load(Ordering::Acquire) == here(py)
}

/// The interpreter that this thread is attached to; never null.
#[inline]
fn here(_py: Python<'_>) -> *mut ffi::PyInterpreterState {
    // SAFETY: attached, as the token shows.
    unsafe { ffi::PyInterpreterState_Get() }
}

/// An interpreter that may be served.
pub struct Admitted<'py>(Python<'py>);

impl<'py> Admitted<'py> {
    pub fn new(py: Python<'py>) -> Result<Self, Unserved> {
        check_main(py)?;
        if !has_gil(py).unwrap_or(false) {
            return Err(Unserved::NoGil);
        }
        let Some(_) = current_state() else { return Err(Unserved::Unknown) };
        Ok(Self(py))
    }

    /// Serves it from now on.
    pub fn serve(self) {
        SERVED.store(here(self.0), Ordering::Release);
    }
}

/// Refuses an interpreter whose arrays are not carried: a subinterpreter, or one that was started
/// when another had ended.
///
/// For the first line of a `#[pymodule]` function, so that the import fails before PyO3 makes the
/// module's classes, which belong to one interpreter. Without it the module's first use of an array
/// fails, in the same words.
///
/// ```no_run
/// use pyo3::prelude::*;
///
/// #[pymodule(gil_used = true)]
/// fn images(module: &Bound<'_, PyModule>) -> PyResult<()> {
///     ndbridge_interpreter::check_interpreter(module.py())?;
///     module.add("channels", 3)
/// }
/// ```
///
/// # Errors
/// `ImportError`.
pub fn check_interpreter(py: Python<'_>) -> PyResult<()> {
    Ok(check_main(py)?)
}

fn check_main(py: Python<'_>) -> Result<(), Unserved> {
    static ENDED: AtomicBool = AtomicBool::new(false);
    static WATCHED: AtomicBool = AtomicBool::new(false);

    extern "C" fn end() {
        ENDED.store(true, Ordering::Release);
        SERVED.store(null_mut(), Ordering::Release);
    }

    if ENDED.load(Ordering::Acquire) {
        return Err(Unserved::Ended);
    }
    // SAFETY: attached, as the token shows: a live interpreter.
    if unsafe { ffi::PyInterpreterState_GetID(here(py)) } != 0 {
        return Err(Unserved::Second);
    }
    if !WATCHED.swap(true, Ordering::AcqRel) {
        // SAFETY: a function that calls nothing of Python's. If 32 others are registered, a second
        // life goes unnoticed.
        unsafe { ffi::Py_AtExit(Some(end)) };
    }
    Ok(())
}

/// Whether Python code runs on one thread at a time, whatever happens later: on a free-threaded
/// build a GIL comes and goes.
fn has_gil(py: Python<'_>) -> PyResult<bool> {
    let sys = py.import("sys")?;
    // From 3.13 on.
    let Some(is_enabled) = sys.getattr_opt("_is_gil_enabled")? else { return Ok(true) };
    let version = sys.getattr("version")?.cast_into::<PyString>()?;
    Ok(is_enabled.call0()?.is_truthy()? && !version.to_cow()?.contains("free-threading"))
}

/// `PyThreadState_GetUnchecked`, which the stable ABI does not have.
#[inline]
fn current_state() -> Option<CurrentState> {
    let found = NonNull::new(CURRENT.load(Ordering::Acquire)).or_else(look_up)?;
    // SAFETY: what was found under the name of a function of this signature.
    Some(unsafe { transmute::<*mut c_void, CurrentState>(found.as_ptr()) })
}

#[cold]
fn look_up() -> Option<NonNull<c_void>> {
    // From 3.13 on, and up to 3.12.
    let names = [c"PyThreadState_GetUnchecked", c"_PyThreadState_UncheckedGet"];
    let found = names.into_iter().find_map(symbol)?;
    CURRENT.store(found.as_ptr(), Ordering::Release);
    Some(found)
}

/// The address of a function of the interpreter.
#[cfg(unix)]
fn symbol(name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: a C string. What a module of Python's is linked against is found in the same places.
    NonNull::new(unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) })
}

/// The address of a function of the interpreter.
#[cfg(windows)]
fn symbol(name: &CStr) -> Option<NonNull<c_void>> {
    use std::ffi::{c_char, c_int};

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetModuleHandleExA(flags: u32, of: *const c_void, library: *mut *mut c_void) -> c_int;
        fn GetProcAddress(library: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    // The address of something in it, and no reference taken.
    const OF_ADDRESS: u32 = 4 | 2;

    let (of, mut library) = ((&raw const ffi::PyBaseObject_Type).cast(), null_mut());
    // SAFETY: an address and a place for the handle.
    let is_found = unsafe { GetModuleHandleExA(OF_ADDRESS, of, &mut library) } != 0;
    // SAFETY: the library that Python itself is in, which stays loaded, and a C string.
    is_found.then(|| unsafe { GetProcAddress(library, name.as_ptr()) }).and_then(NonNull::new)
}
