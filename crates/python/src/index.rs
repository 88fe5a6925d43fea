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
    let at = integer(entry)?.ok_or_else(|| {
        PyTypeError::new_err(
            "indices are integers, slices, None and Ellipsis: a list, array or bool would copy, \
             use t.numpy()[...] for that",
        )
    })?;
    at.extract().map(Index::At).map_err(|_| PyIndexError::new_err("index does not fit an axis"))
}

/// The integer that an entry stands for; `None` if it stands for none.
fn integer<'py>(entry: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if entry.is_instance_of::<PyBool>() || !entry.hasattr("__index__")? {
        return Ok(None);
    }
    match entry.call_method0("__index__") {
        // An array has __index__, too, and refuses unless it is a number.
        Err(error) if error.is_instance_of::<PyTypeError>(entry.py()) => Ok(None),
        answer => answer.map(Some),
    }
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
