//! A new array, given to the library that the caller names.

use ndarray::{ArrayRef, Ix3};
use ndbridge::python::{
    Any, Arg, Const, Detach, ToJax, ToMemoryView, ToNdbridge, ToNumpy, ToTensorFlow, ToTorch,
    to_py_err,
};
use ndbridge::{DType, Tensor, TensorError};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The library whose array is returned.
#[derive(Clone, Copy)]
pub enum Like {
    NumPy,
    Torch,
    Jax,
    TensorFlow,
    Ndbridge,
    MemoryView,
}

/// An image of bytes (rows, columns, channels) as numbers from 0 to 1 (channels, rows, columns).
///
/// `like` names the library whose array is returned: `numpy`, `torch`, `jax`, `tensorflow`,
/// `ndbridge` or `memoryview`.
#[pyfunction]
#[pyo3(signature = (image, like = Like::NumPy), text_signature = "(image, like='numpy')")]
pub fn to_planes<'py>(
    py: Python<'py>,
    image: Arg<'py, u8, (Any, Any, Const<3>)>,
    like: Like,
) -> PyResult<Bound<'py, PyAny>> {
    let (rows, columns, channels) = image.dim();
    // A tensor's own memory is 64-byte aligned, as JAX and TensorFlow want it; a Vec's is not.
    let planes = Tensor::zeros(&[channels, rows, columns], DType::F32).map_err(to_py_err)?;
    image.detach(py, |image| fill(image, &planes))?.map_err(to_py_err)?;
    like.hand_out(py, planes)
}

fn fill(image: &ArrayRef<u8, Ix3>, planes: &Tensor) -> Result<(), TensorError> {
    let channels_first = image.view().permuted_axes([2, 0, 1]);
    planes.write::<f32>()?.zip_mut_with(&channels_first, |to, from| *to = f32::from(*from) / 255.0);
    Ok(())
}

impl Like {
    /// The tensor as an array of this library, which shares its memory.
    pub fn hand_out(self, py: Python<'_>, tensor: Tensor) -> PyResult<Bound<'_, PyAny>> {
        match self {
            Self::NumPy => ToNumpy(tensor).into_pyobject(py),
            Self::Torch => ToTorch(tensor).into_pyobject(py),
            Self::Jax => ToJax(tensor).into_pyobject(py),
            Self::TensorFlow => ToTensorFlow(tensor).into_pyobject(py),
            Self::Ndbridge => ToNdbridge(tensor).into_pyobject(py),
            Self::MemoryView => ToMemoryView(tensor).into_pyobject(py),
        }
    }
}

impl FromPyObject<'_, '_> for Like {
    type Error = PyErr;

    fn extract(name: pyo3::Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        match name.extract::<&str>()? {
            "numpy" => Ok(Self::NumPy),
            "torch" => Ok(Self::Torch),
            "jax" => Ok(Self::Jax),
            "tensorflow" => Ok(Self::TensorFlow),
            "ndbridge" => Ok(Self::Ndbridge),
            "memoryview" => Ok(Self::MemoryView),
            other => Err(PyValueError::new_err(format!(
                "expected numpy, torch, jax, tensorflow, ndbridge or memoryview, got {other}"
            ))),
        }
    }
}
