//! NumPy's casting and promotion tables.

use ndbridge::Casting;
use ndbridge::dtype::{Operand, promote_types as promote, result_type as result};
use ndbridge::python::ArrayError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyComplex, PyFloat, PyInt, PyTuple};

use crate::dtype::{DTypeArgument, PyDType};
use crate::scalar::is_numpy_scalar;

/// Whether a cast is allowed under 'no', 'equiv', 'safe', 'same_kind' or 'unsafe', as in NumPy.
#[pyfunction]
#[pyo3(signature = (from_, to, casting="safe"))]
pub fn can_cast(from_: DTypeOf, to: DTypeOf, casting: &str) -> PyResult<bool> {
    let casting: Casting = casting.parse().map_err(ArrayError::from)?;
    Ok(ndbridge::can_cast(from_.0, to.0, casting))
}

/// The smallest data type to which both can be cast safely, as in NumPy.
#[pyfunction]
pub fn promote_types(type1: DTypeOf, type2: DTypeOf) -> PyResult<PyDType> {
    let dtype = promote(type1.0, type2.0).map_err(ArrayError::from)?;
    Ok(PyDType(dtype))
}

/// The data type of an operation on arrays, data types and Python numbers, as in NumPy.
#[pyfunction]
#[pyo3(signature = (*arrays_and_dtypes))]
pub fn result_type(arrays_and_dtypes: &Bound<'_, PyTuple>) -> PyResult<PyDType> {
    let operands = arrays_and_dtypes.iter().map(|object| operand(&object));
    let operands = operands.collect::<PyResult<Vec<_>>>()?;
    let dtype = result(&operands).map_err(ArrayError::from)?;
    Ok(PyDType(dtype))
}

fn operand(object: &Bound<'_, PyAny>) -> PyResult<Operand> {
    if is_numpy_scalar(object)? {
        return object.extract::<DTypeOf>().map(|dtype| Operand::Typed(dtype.0));
    }
    Ok(if object.is_instance_of::<PyBool>() {
        Operand::WeakBool
    } else if object.is_instance_of::<PyInt>() {
        let value = object.extract::<i128>();
        let beyond = || Ok::<_, PyErr>(if object.lt(0)? { i128::MIN } else { i128::MAX });
        Operand::WeakInt(value.or_else(|_| beyond())?)
    } else if object.is_instance_of::<PyFloat>() {
        Operand::WeakFloat
    } else if object.is_instance_of::<PyComplex>() {
        Operand::WeakComplex
    } else {
        Operand::Typed(object.extract::<DTypeOf>()?.0)
    })
}

/// A data type, named or taken from an array.
pub struct DTypeOf(ndbridge::DType);

impl<'py> FromPyObject<'_, 'py> for DTypeOf {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let is_array = object.hasattr("shape")? && object.hasattr("dtype")?;
        // A scalar type such as numpy.float32 has both as well, as descriptors.
        if is_array && !object.is_instance_of::<pyo3::types::PyType>() {
            return Ok(Self(object.getattr("dtype")?.extract::<DTypeArgument>()?.0));
        }
        Ok(Self(object.extract::<DTypeArgument>()?.0))
    }
}
