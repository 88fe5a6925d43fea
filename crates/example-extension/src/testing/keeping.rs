//! Memory that is kept beyond a call, and memory whose freeing is counted.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ndbridge::python::{AnyDType, Arg, to_py_err};
use ndbridge::{DType, Layout, Storage, Tensor};
use pyo3::prelude::*;

use crate::layout::Like;

/// Keeps an array's memory as long as it lives.
#[pyclass(frozen)]
pub struct Keeper {
    tensor: Tensor,
}

#[pymethods]
impl Keeper {
    #[new]
    fn new(x: Arg<'_, AnyDType>) -> PyResult<Self> {
        Ok(Self { tensor: x.tensor()? })
    }

    /// Sum of the elements, as they are now.
    fn sum(&self) -> PyResult<f64> {
        Ok(self.tensor.read::<f64>().map_err(to_py_err)?.sum())
    }

    /// Writes `value` into each element.
    fn fill(&self, value: f64) -> PyResult<()> {
        self.tensor.write::<f64>().map_err(to_py_err)?.fill(value);
        Ok(())
    }

    /// The memory as an array of another library.
    fn lend<'py>(&self, py: Python<'py>, like: Like) -> PyResult<Bound<'py, PyAny>> {
        like.hand_out(py, self.tensor.clone())
    }
}

static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// Bytes that tell when they are dropped.
struct Counted(Vec<u8>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Relaxed);
        if std::env::var_os("NDBRIDGE_EXAMPLE_TELLS").is_some() {
            eprintln!("dropped");
        }
    }
}

/// A read-only array of bytes whose freeing `dropped` counts.
#[pyfunction]
pub fn counted<'py>(py: Python<'py>, len: usize, like: Like) -> PyResult<Bound<'py, PyAny>> {
    let storage = Storage::frozen(Counted(vec![7; len]));
    let layout = Layout::new(&[len], &[1], 0, 1).map_err(|error| to_py_err(error.into()))?;
    let tensor = Tensor::from_parts(storage, DType::U8, layout).map_err(to_py_err)?;
    like.hand_out(py, tensor)
}

/// How many arrays of `counted` were freed.
#[pyfunction]
pub fn dropped() -> usize {
    DROPPED.load(Relaxed)
}
