//! Whatever Python code may pass as an array.

use ndbridge::dtype::Kind;
use ndbridge::python::{ArrayError, Found, find, gather, is_array, memoryview_of, to_py_err};
use ndbridge::tensor::Facts;
use ndbridge::{DType, Plan, Request, Tensor, plan};
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::tensor::{PyTensor, converted};

/// An array-like object, with its elements in one place.
pub enum Source<'py> {
    /// One of ours.
    Tensor(Tensor),
    /// An array of whatever library, lent in place.
    Lent(Found<'py>),
    /// The elements of a list or number, in an array.
    Gathered(Found<'py>),
}

impl<'py> Source<'py> {
    /// Finds the elements of `object`; a list or number is gathered for `request`.
    pub fn of(object: &Bound<'py, PyAny>, request: &Request) -> PyResult<Self> {
        if let Ok(tensor) = object.cast::<PyTensor>() {
            return Ok(Self::Tensor(tensor.get().tensor.clone()));
        }
        if let Some(found) = find(object)? {
            return Ok(Self::Lent(found));
        }
        let array = gather(object, request.dtype)?;
        let found = find(&array)?;
        found.map(Self::Gathered).ok_or_else(|| {
            PyTypeError::new_err(format!("no array can be made of {}", object.get_type()))
        })
    }

    /// The elements of `object`, to be written into a tensor of `dtype`. A list's integers have no
    /// data type of their own: any that `dtype` can hold will do.
    pub fn for_target(
        call: &'static str,
        object: &Bound<'py, PyAny>,
        dtype: DType,
    ) -> PyResult<Tensor> {
        let request = Request::new(call);
        let source = Self::of(object, &request)?;
        let is_list = matches!(source, Self::Gathered(_));
        let values = source.convert(&request)?;
        let are_integers = |dtype: DType| matches!(dtype.kind(), Kind::Int | Kind::UInt);
        if !is_list || !are_integers(dtype) || !(values.is_empty() || are_integers(values.dtype()))
        {
            return Ok(values);
        }
        for value in values.scalars().map_err(to_py_err)? {
            value.fits(dtype).map_err(ArrayError::from)?;
        }
        values.to_dtype(dtype).map_err(to_py_err)
    }

    /// What would be done for `request`.
    pub fn plan(&self, request: &Request) -> Plan {
        plan(&self.facts(), request)
    }

    fn facts(&self) -> Facts {
        match self {
            Self::Tensor(tensor) => tensor.facts(),
            Self::Lent(found) => found.facts(),
            Self::Gathered(found) => Facts { is_array: false, ..found.facts() },
        }
    }

    /// Does it.
    pub fn convert(self, request: &Request) -> PyResult<Tensor> {
        let facts = self.facts();
        match self {
            Self::Tensor(tensor) => Python::attach(|py| converted(py, &tensor, request)),
            Self::Lent(found) | Self::Gathered(found) => found.convert_as(&facts, request),
        }
    }
}

/// The NumPy array of a buffer: shares, keeps shape and format, holds the buffer's export.
pub fn array_of_buffer<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let is_array = is_array(object)?;
    if is_array {
        // Refuses a mask, of which the buffer would not tell.
        find(object)?;
    }
    let view = memoryview_of(object).map_err(|error| {
        // NumPy says ValueError of an array whose type has no format.
        if !error.is_instance_of::<PyValueError>(py) {
            return error;
        }
        let text = format!("{}: call from_numpy(x) or from_dlpack(x)", error.value(py));
        PyBufferError::new_err(text)
    })?;
    // An array that is held tells by its buffer that it is read-only, and for good.
    if is_array { Ok(object.clone()) } else { py.import("numpy")?.call_method1("asarray", (view,)) }
}
