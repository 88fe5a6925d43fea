//! Methods of `Tensor` that give another view of the same memory, and `reshape_copy`.

use ndbridge::python::to_py_err;
use ndbridge::{Tensor, TensorError};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::dtype::DTypeArgument;
use crate::index;
use crate::tensor::PyTensor;

#[pymethods]
impl PyTensor {
    /// The axes in reversed order.
    #[getter(T)]
    fn transposed(&self) -> PyResult<Self> {
        view(self.tensor.transpose())
    }

    /// permute(*axes): the axes in another order.
    #[pyo3(signature = (*axes))]
    fn permute(&self, axes: &Bound<'_, PyTuple>) -> PyResult<Self> {
        view(self.tensor.permute(&integers(axes)?))
    }

    /// Two axes swapped, as in torch; or, as in NumPy, the axes in another order: reversed without
    /// arguments, as a tuple or list says, or as more or fewer than two numbers do.
    #[pyo3(signature = (*axes))]
    fn transpose(&self, axes: &Bound<'_, PyTuple>) -> PyResult<Self> {
        view(match (axes.len(), integers(axes)?.as_slice()) {
            (0, _) => self.tensor.transpose(),
            (2, &[first, second]) => self.tensor.swap_axes(first, second),
            (_, order) => self.tensor.permute(order),
        })
    }

    /// reshape(*shape): the same elements in another shape; an error where that needs a copy.
    #[pyo3(signature = (*shape))]
    fn reshape(&self, shape: &Bound<'_, PyTuple>) -> PyResult<Self> {
        view(self.tensor.reshape(&integers(shape)?))
    }

    /// reshape_copy(*shape): a copy of the elements in another shape.
    #[pyo3(signature = (*shape))]
    fn reshape_copy(&self, shape: &Bound<'_, PyTuple>) -> PyResult<Self> {
        view(self.tensor.reshape_copy(&integers(shape)?))
    }

    /// The same bytes as another data type, as NumPy's view(dtype).
    fn view(&self, dtype: DTypeArgument) -> PyResult<Self> {
        view(self.tensor.reinterpret(dtype.0))
    }

    /// flip(*axes): the axes walked backwards.
    #[pyo3(signature = (*axes))]
    fn flip(&self, axes: &Bound<'_, PyTuple>) -> PyResult<Self> {
        view(self.tensor.flip(&integers(axes)?))
    }

    /// Without axes of length 1: all of them, or those given, as `dim` or by NumPy's name `axis`.
    #[pyo3(signature = (dim=None, *, axis=None))]
    fn squeeze(&self, dim: Option<OneOrMany>, axis: Option<OneOrMany>) -> PyResult<Self> {
        if dim.is_some() && axis.is_some() {
            return Err(PyTypeError::new_err("squeeze: expected dim or axis, got both"));
        }
        view(self.tensor.squeeze(dim.or(axis).map(|axes| axes.0).as_deref()))
    }

    /// With a new axis of length 1.
    fn unsqueeze(&self, dim: isize) -> PyResult<Self> {
        view(self.tensor.unsqueeze(dim))
    }

    /// expand(*shape): axes of length 1 repeated without a copy; -1 keeps a length.
    #[pyo3(signature = (*shape))]
    fn expand(&self, shape: &Bound<'_, PyTuple>) -> PyResult<Self> {
        view(self.tensor.expand(&integers(shape)?))
    }

    /// The diagonal of two axes, as a new last axis.
    #[pyo3(signature = (offset=0, dim1=0, dim2=1))]
    fn diagonal(&self, offset: isize, dim1: isize, dim2: isize) -> PyResult<Self> {
        view(self.tensor.diagonal(offset, dim1, dim2))
    }
}

fn view(tensor: Result<Tensor, TensorError>) -> PyResult<PyTensor> {
    tensor.map(PyTensor::from).map_err(to_py_err)
}

/// Integers, given one by one or as one sequence.
fn integers(arguments: &Bound<'_, PyTuple>) -> PyResult<Vec<isize>> {
    if let Ok(first) = arguments.get_item(0)
        && arguments.len() == 1
        && let Ok(sequence) = index::integers(&first)
    {
        return Ok(sequence);
    }
    index::integers(arguments)
        .map_err(|_| PyTypeError::new_err("expected integers, one by one or as one tuple or list"))
}

/// One integer, or a sequence of them.
struct OneOrMany(Vec<isize>);

impl<'py> FromPyObject<'_, 'py> for OneOrMany {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(axis) = object.extract::<isize>() {
            return Ok(Self(vec![axis]));
        }
        index::integers(&object).map(Self)
    }
}
