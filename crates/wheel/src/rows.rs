//! Iteration over the first axis.

use ndbridge::Tensor;
use ndbridge::python::to_py_err;
use pyo3::prelude::*;

use crate::tensor::PyTensor;

/// The views `t[0]`, `t[1]`, ..., made one by one.
#[pyclass(module = "ndbridge")]
pub struct Rows {
    tensor: Tensor,
    next: usize,
}

impl Rows {
    pub fn of(tensor: Tensor) -> Self {
        Self { tensor, next: 0 }
    }

    fn left(&self) -> usize {
        let len = self.tensor.shape().first().copied().unwrap_or(0);
        len.saturating_sub(self.next)
    }
}

#[pymethods]
impl Rows {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&mut self) -> PyResult<Option<PyTensor>> {
        if self.left() == 0 {
            return Ok(None);
        }
        // A length fits isize: so does every position below it.
        let row = self.tensor.select(0, self.next as isize).map_err(to_py_err)?;
        self.next += 1;
        Ok(Some(row.into()))
    }

    fn __length_hint__(&self) -> usize {
        self.left()
    }
}
