//! Calls of one argument, as fast as the stable ABI of 3.11 has them.

use std::ptr::null_mut;

use pyo3::ffi;
use pyo3::prelude::*;

/// `function(argument)`, without a tuple of arguments.
#[inline]
pub fn call<'py>(
    function: &Py<PyAny>,
    argument: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let end: *mut ffi::PyObject = null_mut();
    // SAFETY: live objects, one argument and the null that ends them; attached.
    let result =
        unsafe { ffi::PyObject_CallFunctionObjArgs(function.as_ptr(), argument.as_ptr(), end) };
    // SAFETY: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(argument.py(), result) }
}
