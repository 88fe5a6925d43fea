//! Methods of `Tensor` that libraries and people expect of whatever looks like an array.

use ndbridge::python::{PythonOwner, numpy_dtype, to_jax, to_py_err};
use ndbridge::storage::Access;
use ndbridge::{CopyOrder, CopyRule, Order, Request};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::tensor::{PyTensor, order_of};

#[pymethods]
impl PyTensor {
    /// A copy in private memory, in `order`: 'C', 'F', or 'K' for that of the elements here.
    #[pyo3(signature = (order="K"))]
    fn copy(&self, py: Python<'_>, order: &str) -> PyResult<Self> {
        let request = Request::new("copy").with_copy(CopyRule::Always);
        let request = match order {
            "K" => request,
            order => request.with_order(order_of(order)?),
        };
        self.convert(py, &request)
    }

    /// The bytes of the elements, in C (or 'F'ortran) order: a copy.
    #[pyo3(signature = (order="C"))]
    fn tobytes<'py>(&self, py: Python<'py>, order: &str) -> PyResult<Bound<'py, PyBytes>> {
        let host = self.on_host(py)?.tensor;
        // What Fortran's order walks, the transposed tensor has in C's.
        let walked = match order_of(order)? {
            Order::C => host,
            Order::F => host.transpose().map_err(to_py_err)?,
        };
        let packed = match walked.is_contiguous(Order::C) {
            true => walked,
            false => walked.copy(CopyOrder::C).map_err(to_py_err)?,
        };
        let bytes = packed.bytes().map_err(to_py_err)?;
        PyBytes::new_with(py, bytes.len(), |into| {
            into.copy_from_slice(&bytes);
            Ok(())
        })
    }

    /// The numpy.dtype of the elements, as NumPy 2.4 and newer ask for it.
    #[getter]
    fn __numpy_dtype__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        numpy_dtype(py, self.tensor.dtype())
    }

    /// JAX's question what to make of the tensor: an array that shares its memory.
    fn __jax_array__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_jax(py, &self.tensor)
    }

    /// A tensor of no axes as its number is formatted.
    fn __format__<'py>(
        slf: &Bound<'py, Self>,
        format: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if slf.get().tensor.ndim() == 0 {
            return slf.call_method0("item")?.call_method1("__format__", (format,));
        }
        if format.is_empty()? {
            return Ok(slf.str()?.into_any());
        }
        Err(PyTypeError::new_err(format!(
            "a tensor of shape {:?} has no format: format its numbers, as in t.tolist()",
            slf.get().tensor.shape()
        )))
    }

    /// Bytes of this object, and of the memory if it is ours alone and all of it.
    fn __sizeof__(&self) -> usize {
        let storage = self.tensor.storage();
        let is_whole = storage.len_bytes() == self.tensor.size_bytes();
        let is_pythons = storage.came_lent() || storage.owner::<PythonOwner>().is_some();
        let is_ours = !is_pythons && storage.access() != Access::Mapped;
        let owned =
            if is_whole && is_ours && storage.device().is_host() { storage.len_bytes() } else { 0 };
        size_of::<Self>() + owned
    }

    /// The values, and what they are, for notebooks.
    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        let text = slf.str()?.to_string();
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        Ok(format!("<pre>{text}</pre>"))
    }
}
