//! Python's lists, numbers and strings, each an error where there is no memory for it: PyO3 panics.

use std::ffi::c_char;

use ndbridge::Scalar;
use pyo3::exceptions::PyOverflowError;
use pyo3::ffi;
use pyo3::prelude::*;

/// A list of `len` items, each asked for in its turn.
pub fn list_of<'py>(
    py: Python<'py>,
    len: usize,
    mut item: impl FnMut(usize) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let ssize = isize::try_from(len).map_err(|_| PyOverflowError::new_err("list too long"))?;
    // SAFETY: attached; a length.
    let list = unsafe { ffi::PyList_New(ssize) };
    // SAFETY: a new reference, or null with an exception set.
    let list = unsafe { Bound::from_owned_ptr_or_err(py, list) }?;
    for at in 0..ssize {
        let item = item(at as usize)?.into_ptr();
        // SAFETY: a list with that place, which nobody else fills, and a reference to give away.
        if unsafe { ffi::PyList_SetItem(list.as_ptr(), at, item) } != 0 {
            return Err(PyErr::fetch(py));
        }
    }
    Ok(list)
}

/// A string.
pub fn text<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    let (start, len) = (text.as_ptr().cast::<c_char>(), text.len() as isize);
    // SAFETY: attached; so many bytes of UTF-8.
    let text = unsafe { ffi::PyUnicode_FromStringAndSize(start, len) };
    // SAFETY: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, text) }
}

/// The Python number of a value.
pub fn number(py: Python<'_>, value: Scalar) -> PyResult<Bound<'_, PyAny>> {
    let number = match value {
        // SAFETY: attached.
        Scalar::Bool(value) => unsafe { ffi::PyBool_FromLong(value.into()) },
        // SAFETY: attached.
        Scalar::Int(value) => unsafe { ffi::PyLong_FromLongLong(value) },
        // SAFETY: attached.
        Scalar::UInt(value) => unsafe { ffi::PyLong_FromUnsignedLongLong(value) },
        // SAFETY: attached.
        Scalar::Float(value) => unsafe { ffi::PyFloat_FromDouble(value) },
        // SAFETY: attached.
        Scalar::Complex(value) => unsafe { ffi::PyComplex_FromDoubles(value.re, value.im) },
    };
    // SAFETY: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, number) }
}
