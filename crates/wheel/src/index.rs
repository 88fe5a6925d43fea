//! What stands between `t[` and `]`.

use ndbridge::Index;
use ndbridge::tensor::MAX_NDIM;
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyEllipsis, PyInt, PySlice, PyString, PyTuple};
use smallvec::SmallVec;

/// The entries of a basic index.
///
/// # Errors
/// `TypeError` for lists, arrays and bools, which select by copying.
pub fn indices(object: &Bound<'_, PyAny>) -> PyResult<SmallVec<[Index; 4]>> {
    let mut indices = SmallVec::new();
    match object.cast::<PyTuple>() {
        Ok(entries) => {
            for entry in entries.iter_borrowed() {
                indices.push(index(&entry)?);
            }
        }
        Err(_) => indices.push(index(object)?),
    }
    Ok(indices)
}

fn index(entry: &Bound<'_, PyAny>) -> PyResult<Index> {
    if let Ok(slice) = entry.cast::<PySlice>() {
        let (start, stop, step) = unpack(slice)?;
        return Ok(Index::Slice { start: Some(start), stop: Some(stop), step });
    }
    if entry.is_none() {
        return Ok(Index::NewAxis);
    }
    if entry.is_instance_of::<PyEllipsis>() {
        return Ok(Index::Ellipsis);
    }
    let at = integer(entry)?.ok_or_else(|| {
        PyTypeError::new_err(
            "indices are integers, slices, None and Ellipsis: a list, array or bool would copy, \
             use t.numpy()[...] for that",
        )
    })?;
    at.extract().map(Index::At).map_err(|_| PyIndexError::new_err("index does not fit an axis"))
}

/// The integers of a sequence; of one longer than any shape, as many as show that. How long a sequence
/// says it is counts for nothing.
///
/// # Errors
/// `TypeError` for what is no sequence; else what an item raises.
pub fn integers<'py, T>(object: &Bound<'py, PyAny>) -> PyResult<Vec<T>>
where
    T: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
{
    // SAFETY: a live object.
    let is_sequence = unsafe { ffi::PySequence_Check(object.as_ptr()) } != 0;
    if !is_sequence || object.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("expected a sequence of integers"));
    }
    let mut integers = Vec::with_capacity(4);
    for item in object.try_iter()?.take(MAX_NDIM + 1) {
        integers.push(item?.extract()?);
    }
    Ok(integers)
}

/// The integer that an entry stands for; `None` if it stands for none.
fn integer<'py>(entry: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if entry.is_exact_instance_of::<PyInt>() {
        return Ok(Some(entry.clone()));
    }
    if entry.is_instance_of::<PyBool>() || !entry.hasattr("__index__")? {
        return Ok(None);
    }
    match entry.call_method0("__index__") {
        // An array has __index__, too, and refuses unless it is a number.
        Err(error) if error.is_instance_of::<PyTypeError>(entry.py()) => Ok(None),
        answer => answer.map(Some),
    }
}

/// Start, stop and step. Bounds that no axis is long enough for, and those that are not given, come as
/// the smallest or largest number.
fn unpack(slice: &Bound<'_, PySlice>) -> PyResult<(isize, isize, isize)> {
    let (mut start, mut stop, mut step) = (0, 0, 0);
    // SAFETY: a slice of the attached interpreter, and three places that live as long as the call.
    let failed =
        unsafe { ffi::PySlice_Unpack(slice.as_ptr(), &mut start, &mut stop, &mut step) } < 0;
    if failed { Err(PyErr::fetch(slice.py())) } else { Ok((start, stop, step)) }
}
