//! Data types as Python objects.

use ndbridge::python::{dtype_from_python, numpy_dtype};
use ndbridge::{ByteOrder, DType};
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

/// The type of a tensor's elements.
///
/// Equal to whatever names the same type: `t.dtype == "float32"`, `t.dtype == np.float32`.
#[pyclass(name = "DType", module = "ndbridge", frozen)]
#[derive(Clone, Copy)]
pub struct PyDType(pub DType);

#[pymethods]
impl PyDType {
    /// DType(name): the data type that a string, a NumPy dtype, a Python type or a framework's
    /// dtype names.
    #[new]
    fn new(dtype: DTypeArgument) -> Self {
        Self(dtype.0)
    }

    /// NumPy's name, such as 'float32'.
    #[getter]
    fn name(&self) -> &'static str {
        self.0.name()
    }

    /// Bytes of one element.
    #[getter]
    fn itemsize(&self) -> usize {
        self.0.item_bytes()
    }

    /// NumPy's type string, such as '<f4'; None for types that NumPy does not have.
    #[getter]
    fn str(&self) -> Option<&'static str> {
        self.0.type_string(ByteOrder::NATIVE)
    }

    /// The numpy.dtype; lets `numpy.dtype(t.dtype)` work.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        numpy_dtype(py, self.0)
    }

    /// The numpy.dtype, as NumPy asks for it.
    #[getter]
    fn __numpy_dtype__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        numpy_dtype(py, self.0)
    }

    /// NumPy's letter of the kind, such as 'f'.
    #[getter]
    fn kind<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.as_numpy(py, "kind")
    }

    /// NumPy's letter of the type, such as 'd'.
    #[getter]
    fn char<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.as_numpy(py, "char")
    }

    /// NumPy's number of the type.
    #[getter]
    fn num<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.as_numpy(py, "num")
    }

    /// NumPy's type of a single value, such as numpy.float32.
    #[getter]
    fn r#type<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.as_numpy(py, "type")
    }

    /// '=', or '|' for types of one byte: the elements of a tensor are in this machine's order.
    #[getter]
    fn byteorder<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.as_numpy(py, "byteorder")
    }

    /// NumPy's description, such as [('', '<f4')].
    #[getter]
    fn descr<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.as_numpy(py, "descr")
    }

    /// Bytes to a multiple of which an element is aligned.
    #[getter]
    fn alignment(&self) -> usize {
        self.0.align_bytes()
    }

    /// True: elements are in this machine's byte order.
    #[getter]
    fn isnative(&self) -> bool {
        true
    }

    /// False: elements are no Python objects.
    #[getter]
    fn hasobject(&self) -> bool {
        false
    }

    /// None: elements have no fields.
    #[getter]
    fn names(&self) -> Option<Py<PyAny>> {
        None
    }

    /// None: elements have no fields.
    #[getter]
    fn fields(&self) -> Option<Py<PyAny>> {
        None
    }

    /// None: elements are no arrays.
    #[getter]
    fn subdtype(&self) -> Option<Py<PyAny>> {
        None
    }

    /// (): elements are no arrays.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        PyTuple::empty(py)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        // As an argument, None means the default data type.
        !other.is_none() && other.extract::<DTypeArgument>().is_ok_and(|other| other.0 == self.0)
    }

    // Equal to its name, so hashed as it.
    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyString::new(py, self.0.name()).hash()
    }

    fn __str__(&self) -> &'static str {
        self.0.name()
    }

    fn __repr__(&self) -> String {
        format!("ndbridge.{}", self.0.name())
    }

    fn __reduce__(&self, py: Python<'_>) -> PyResult<(Py<PyAny>, (&'static str,))> {
        Ok((py.get_type::<Self>().into_any().unbind(), (self.0.name(),)))
    }
}

impl PyDType {
    /// An attribute of the numpy.dtype. Without the package that has the type, the attribute is missing.
    fn as_numpy<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let numpys = numpy_dtype(py, self.0);
        numpys
            .map_err(|error| PyAttributeError::new_err(error.value(py).to_string()))?
            .getattr(name)
    }
}

/// Whatever names a data type.
pub struct DTypeArgument(pub DType);

impl<'py> FromPyObject<'_, 'py> for DTypeArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(dtype) = object.cast::<PyDType>() {
            return Ok(Self(dtype.get().0));
        }
        dtype_from_python(&object).map(Self)
    }
}
