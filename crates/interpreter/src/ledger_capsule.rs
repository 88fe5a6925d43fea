//! One ledger of lent memory for every extension module of the process.
//!
//! The module that comes first hangs the table of its ledger on Python's module `sys`, in a capsule
//! named [`NAME`]; each later one adopts that table. The same module joins the borrow checkers of
//! others, once for all.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

use ndbridge_storage::ledger::{self, AdoptError, LedgerTable};
use pyo3::exceptions::{PyBufferError, PyImportError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};

use crate::error::{holder, type_name};
use crate::interpreter::{Admitted, is_any_served, is_served, is_somewhere};

/// Name of the capsule, and of the attribute of `sys` that holds it. A table of another meaning
/// gets another name.
const NAME: &CStr = c"ndbridge.ledger.v2";

/// A borrow checker beside the ledger that other modules of the process keep, as rust-numpy's: who
/// knows it submits it, by `inventory::submit!`.
#[doc(hidden)]
pub struct OtherChecker {
    /// Makes its borrows and those of the ledger see each other. The module that owns the ledger calls
    /// it; again, after it failed.
    pub join: fn(Python<'_>) -> PyResult<()>,
}

inventory::collect!(OtherChecker);

/// Makes the borrows of this module and of every other one in the process see each other, those of
/// rust-numpy included.
///
/// Everything here that takes Python's memory in, or hands memory to Python, calls it. After the
/// first success it costs one load.
///
/// # Errors
/// `BufferError` while a borrow of lent memory lives that was taken before the first call: call
/// again when it is gone. `ImportError` if another module's ledger, or rust-numpy, speaks a version
/// that is not known here, and in a second interpreter of the process (see
/// [`check_interpreter`](crate::check_interpreter)). `RuntimeError` on a Python without a GIL: no
/// memory is lent there.
#[inline]
pub fn join_ledger(py: Python<'_>) -> PyResult<()> {
    if is_served(py) { Ok(()) } else { join(py) }
}

/// As [`join_ledger`], for callers without a token; nothing happens without an interpreter.
#[inline]
pub fn join_ledger_attached() -> PyResult<()> {
    if is_any_served() { Ok(()) } else { join_if_python_runs() }
}

/// As [`join_ledger`], if this thread is attached; a thread that is not would have to wait.
pub fn join_ledger_if_attached() -> PyResult<()> {
    if is_any_served() || !is_somewhere() { Ok(()) } else { join_if_python_runs() }
}

#[cold]
fn join_if_python_runs() -> PyResult<()> {
    Python::try_attach(join).unwrap_or(Ok(()))
}

// Two threads may come here at once, since Python code can run in between: every step may be
// repeated.
#[cold]
fn join(py: Python<'_>) -> PyResult<()> {
    let admitted = Admitted::new(py)?;
    let table = published_table(py)?;
    // SAFETY: a capsule of this name holds such a table, of a module that Python never unloads; the
    // own table is only ever published under this name.
    unsafe { ledger::of_process().adopt(table) }.map_err(adopt_error)?;
    // The owner of the ledger joins the others, once for all.
    if std::ptr::eq(table.as_ptr(), ledger::of_process().table()) {
        for checker in inventory::iter::<OtherChecker> {
            (checker.join)(py)?;
        }
    }
    admitted.serve();
    Ok(())
}

/// The table of the ledger of the process: that of this module if there was none.
fn published_table(py: Python<'_>) -> PyResult<NonNull<LedgerTable>> {
    let own = NonNull::from(ledger::of_process().table());
    // SAFETY: the table is static.
    let own = unsafe { PyCapsule::new_with_pointer(py, own.cast::<c_void>(), NAME)? };
    let attributes = py.import("sys")?.dict();
    let found = set_default(&attributes, NAME, own.into_any())?;
    let table =
        found.cast::<PyCapsule>().ok().and_then(|found| found.pointer_checked(Some(NAME)).ok());
    Ok(table.ok_or_else(|| no_capsule(&found))?.cast())
}

/// `dict.setdefault`: nobody comes between looking and setting.
pub fn set_default<'py>(
    attributes: &Bound<'py, PyDict>,
    name: &CStr,
    default: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    attributes.call_method1("setdefault", (name.to_string_lossy(), default))
}

#[cold]
fn no_capsule(found: &Bound<'_, PyAny>) -> PyErr {
    let found = type_name(found);
    PyImportError::new_err(format!(
        "sys has another {NAME:?}, of type {found}, expected a capsule of that name: remove it"
    ))
}

fn adopt_error(error: AdoptError) -> PyErr {
    match error {
        AdoptError::StillBorrowed { held, held_at } => PyBufferError::new_err(format!(
            "cannot join the ledger of this process: still borrowed {held} by {}, drop that guard first",
            holder(&held_at)
        )),
        _ => PyImportError::new_err(error.to_string()),
    }
}
