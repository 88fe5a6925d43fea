//! Calls of one argument, as fast as the interpreter can.

use pyo3::ffi;
use pyo3::prelude::*;

unsafe extern "C" {
    /// Exported by every interpreter from 3.9 on, and part of the stable ABI from 3.12 on, for which
    /// reason PyO3 does not declare it for extensions that are to run on 3.11, too.
    fn PyObject_Vectorcall(
        callable: *mut ffi::PyObject,
        arguments: *const *mut ffi::PyObject,
        count: usize,
        names: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject;
}

/// `function(argument)`, without a tuple of arguments.
#[inline]
pub(super) fn call<'py>(
    function: &Py<PyAny>,
    argument: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let arguments = [argument.as_ptr()];
    // SAFETY: live objects, one argument, no names; attached.
    let result = unsafe {
        PyObject_Vectorcall(function.as_ptr(), arguments.as_ptr(), 1, std::ptr::null_mut())
    };
    // SAFETY: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(argument.py(), result) }
}
