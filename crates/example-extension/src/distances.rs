//! Two arguments whose axes must agree.

use ndarray::{Array2, ArrayRef, ArrayRef1, Ix2};
use ndbridge::python::{Any, Arg, ToNumpy, hold, to_py_err};
use ndbridge::{Tensor, same_axes};
use pyo3::prelude::*;

/// Euclidean distance of each of the points `x` (m, d) to each of the points `y` (n, d), as an
/// array (m, n).
#[pyfunction]
pub fn pairwise_distances(
    py: Python<'_>,
    x: Arg<'_, f64, (Any, Any)>,
    y: Arg<'_, f64, (Any, Any)>,
) -> PyResult<ToNumpy> {
    same_axes!(x: [m, d], y: [n, d]);
    let held = hold(py, &[&x, &y])?;
    let (x, y) = (&*x, &*y);
    let distances = held.detach(|| distances(x, y, (m, n)));
    Ok(ToNumpy(Tensor::from_array(distances).map_err(to_py_err)?))
}

fn distances(x: &ArrayRef<f64, Ix2>, y: &ArrayRef<f64, Ix2>, shape: (usize, usize)) -> Array2<f64> {
    Array2::from_shape_fn(shape, |(i, j)| distance(&x.row(i), &y.row(j)))
}

fn distance(a: &ArrayRef1<f64>, b: &ArrayRef1<f64>) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}
