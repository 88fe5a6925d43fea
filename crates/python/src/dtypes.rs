//! Data types by whatever Python object names them.

use ndbridge_dtype::DType;
use ndbridge_interpreter::ArrayError;
use ndbridge_numpy::python::dtype_of_numpy;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyType};

/// The data type that a Python object names: a string, a NumPy dtype or scalar type, a Python
/// type, or a framework's dtype (`torch.float32`, `tf.float32`, `jnp.float32`).
///
/// # Errors
/// `TypeError` if it names none that can be carried, or one in the other byte order.
pub fn dtype_from_python(object: &Bound<'_, PyAny>) -> PyResult<DType> {
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(text.to_str()?.parse::<DType>().map_err(ArrayError::from)?);
    }
    if let Some(dtype) = framework_dtype(object)? {
        return Ok(dtype);
    }
    if let Ok(kind) = object.cast::<PyType>()
        && let Ok(dtype) = kind.name()?.to_str()?.parse::<DType>()
    {
        return Ok(dtype);
    }
    dtype_of_numpy(object)
}

/// The data type of a dtype object of torch (`torch.float32`) or TensorFlow (`tf.float32`).
fn framework_dtype(object: &Bound<'_, PyAny>) -> PyResult<Option<DType>> {
    let kind = object.get_type();
    let module = kind.module()?.to_string();
    let name = if module == "torch" {
        object.str()?.to_str()?.trim_start_matches("torch.").to_owned()
    } else if module.starts_with("tensorflow") {
        object.getattr("name")?.extract()?
    } else {
        return Ok(None);
    };
    Ok(Some(name.parse::<DType>().map_err(ArrayError::from)?))
}
