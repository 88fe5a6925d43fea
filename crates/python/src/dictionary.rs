//! The dictionaries of `__array_interface__` and `__cuda_array_interface__`.

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;

/// An entry of an interface's dictionary; `None` also if it is there as None.
///
/// # Errors
/// What the dictionary raises, but for `KeyError`.
pub(crate) fn entry<'py>(
    interface: &Bound<'py, PyAny>,
    name: &str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match interface.get_item(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_none())),
        Err(error) if error.is_instance_of::<PyKeyError>(interface.py()) => Ok(None),
        Err(error) => Err(error),
    }
}
