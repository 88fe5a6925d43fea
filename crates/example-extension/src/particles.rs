//! Rust objects whose fields are arrays in Python.

use ndarray::Array2;
use ndbridge::Tensor;
use ndbridge::python::{Any, Arg, Const, ToNumpy, to_py_err};
use pyo3::prelude::*;

/// Points that move on straight lines; `positions` and `velocities` are arrays over the very memory
/// that `step` computes with.
#[pyclass(frozen)]
pub struct Particles {
    // A field that Python sees is a tensor: handles to one memory, which lives as long as any.
    positions: Tensor,
    velocities: Tensor,
}

#[pymethods]
impl Particles {
    /// Particles at the origin, with a copy of `velocities` (n, 3).
    #[new]
    fn new(velocities: Arg<'_, f64, (Any, Const<3>)>) -> PyResult<Self> {
        let positions = Tensor::from_array(Array2::<f64>::zeros(velocities.dim()));
        let velocities = Tensor::copy_of(&*velocities);
        Ok(Self {
            positions: positions.map_err(to_py_err)?,
            velocities: velocities.map_err(to_py_err)?,
        })
    }

    /// Where the particles are (n, 3): shared.
    #[getter]
    fn positions(&self) -> ToNumpy {
        ToNumpy(self.positions.clone())
    }

    /// How far they go in one unit of time (n, 3): shared.
    #[getter]
    fn velocities(&self) -> ToNumpy {
        ToNumpy(self.velocities.clone())
    }

    /// All fields at once: shared.
    fn fields(&self) -> (ToNumpy, ToNumpy) {
        (self.positions(), self.velocities())
    }

    /// Moves the particles for `time`; whoever has `positions` sees it.
    fn step(&self, time: f64) -> PyResult<()> {
        let velocities = self.velocities.read::<f64>().map_err(to_py_err)?;
        let mut positions = self.positions.write::<f64>().map_err(to_py_err)?;
        positions.scaled_add(time, &velocities);
        Ok(())
    }
}
