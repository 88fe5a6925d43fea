//! What stands between `t[` and `]`.

use ndbridge::Index;
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyEllipsis, PySlice, PyTuple};

/// The entries of a basic index.
///
/// # Errors
/// `TypeError` for lists, arrays and bools, which select by copying.
pub fn indices(object: &Bound<'_, PyAny>) -> PyResult<Vec<Index>> {
    match object.cast::<PyTuple>() {
        Ok(entries) => entries.iter().map(|entry| index(&entry)).collect(),
        Err(_) => Ok(vec![index(object)?]),
    }
}

fn index(entry: &Bound<'_, PyAny>) -> PyResult<Index> {
    if entry.is_none() {
        return Ok(Index::NewAxis);
    }
    if entry.is_instance_of::<PyEllipsis>() {
        return Ok(Index::Ellipsis);
    }
    if entry.cast::<PySlice>().is_ok() {
        let bound = |name: &str| clamped(&entry.getattr(name)?);
        let step = bound("step")?.unwrap_or(1);
        return Ok(Index::Slice { start: bound("start")?, stop: bound("stop")?, step });
    }
    if entry.is_instance_of::<PyBool>() || !is_integer(entry)? {
        return Err(PyTypeError::new_err(
            "indices are integers, slices, None and Ellipsis: a list, array or bool would copy, \
             use t.numpy()[...] for that",
        ));
    }
    entry.extract().map(Index::At).map_err(|_| PyIndexError::new_err("index does not fit an axis"))
}

fn is_integer(entry: &Bound<'_, PyAny>) -> PyResult<bool> {
    if !entry.hasattr("__index__")? {
        return Ok(false);
    }
    // An array has __index__, too; only one that is a number may be used as one.
    Ok(entry.call_method0("__index__").is_ok())
}

/// A slice bound; one that no axis is long enough for counts as the largest that is.
fn clamped(bound: &Bound<'_, PyAny>) -> PyResult<Option<isize>> {
    if bound.is_none() {
        return Ok(None);
    }
    let integer = bound.call_method0("__index__")?;
    if let Ok(value) = integer.extract::<isize>() {
        return Ok(Some(value));
    }
    Ok(Some(if integer.lt(0)? { isize::MIN } else { isize::MAX }))
}
