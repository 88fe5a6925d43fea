//! References to Python objects that are given up rightly wherever they are dropped.
//!
//! Foreign code deletes what it was given wherever it likes: on threads that Python knows and PyO3
//! does not, and in the middle of a call from Python for which it has let go of the interpreter, as
//! JAX does. PyO3 counts calls and takes such a thread to be attached; the interpreter itself knows.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use ndbridge_storage::fork;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::interpreter::{is_attached, is_served};

/// Keeps a Python object, as [`Py`] does.
pub struct Reference {
    // Some until it is dropped.
    object: Option<Py<PyAny>>,
}

impl From<Py<PyAny>> for Reference {
    fn from(object: Py<PyAny>) -> Self {
        Self { object: Some(object) }
    }
}

impl Reference {
    /// The object; `None` only while this is dropped.
    pub fn bind<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyAny>> {
        self.object.as_ref().map(|object| object.bind(py))
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            give_up(object, is_attached());
        }
    }
}

/// Keeps several Python objects, and gives them up at once.
pub struct References(Vec<Py<PyAny>>);

impl From<Vec<Py<PyAny>>> for References {
    fn from(objects: Vec<Py<PyAny>>) -> Self {
        Self(objects)
    }
}

impl References {
    /// The last object; `None` while this is dropped.
    pub fn last<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyAny>> {
        self.0.last().map(|object| object.bind(py))
    }
}

impl Drop for References {
    fn drop(&mut self) {
        // Asked once: giving up an object may run Python code, which leaves the thread attached.
        let is_attached = is_attached();
        for object in self.0.drain(..).rev() {
            give_up(object, is_attached);
        }
    }
}

/// Gives up a reference that is ours.
#[inline]
fn give_up(object: Py<PyAny>, is_attached: bool) {
    let object = object.into_ptr();
    if is_attached {
        // SAFETY: attached, and the reference is ours to give up.
        unsafe { ffi::Py_DecRef(object) }
    } else {
        park(object.expose_provenance());
    }
}

/// References, by address, that wait for a thread that is attached to their interpreter. After that
/// has ended they wait for good.
static PARKED: fork::Mutex<Vec<usize>> = fork::Mutex::new(13, Vec::new());
static ANY_PARKED: AtomicBool = AtomicBool::new(false);

fn park(object: usize) {
    let mut parked = PARKED.lock();
    parked.push(object);
    ANY_PARKED.store(true, Ordering::Release);
    drop(parked);
    // SAFETY: may be called at any time, also without an interpreter.
    if unsafe { ffi::Py_IsInitialized() } != 0 {
        // SAFETY: may be called on any thread. If Python's list is full, the next import does it.
        unsafe { ffi::Py_AddPendingCall(Some(give_up_parked_call), std::ptr::null_mut()) };
    }
}

/// Called by the interpreter, on an attached thread.
extern "C" fn give_up_parked_call(_: *mut c_void) -> c_int {
    // SAFETY: only the interpreter knows this function, as a pending call.
    give_up_parked(unsafe { Python::assume_attached() });
    0
}

/// Gives up the references that were parked, unless this is another interpreter than theirs.
#[inline]
pub fn give_up_parked(py: Python<'_>) {
    if ANY_PARKED.load(Ordering::Acquire) && is_served(py) {
        give_up_all(py);
    }
}

#[cold]
fn give_up_all(_py: Python<'_>) {
    let mut parked = PARKED.lock();
    ANY_PARKED.store(false, Ordering::Release);
    let objects = std::mem::take(&mut *parked);
    // Whatever runs when an object goes may park others.
    drop(parked);
    for object in objects {
        // SAFETY: attached, as the token shows; a reference that was ours, parked once.
        unsafe { ffi::Py_DecRef(std::ptr::with_exposed_provenance_mut(object)) }
    }
}
