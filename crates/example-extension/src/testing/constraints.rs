//! One function for each demand on an argument; each returns the sum of the elements.

use ndarray::{ArrayRef, Dimension};
use ndbridge::python::{Aligned, AnyShape, Arg, ArgMut, COrder, Contiguous, FOrder};
use pyo3::prelude::*;

/// C order.
#[pyfunction]
pub fn c_order(x: Arg<'_, f64, AnyShape, COrder>) -> f64 {
    sum(&x)
}

/// Fortran order.
#[pyfunction]
pub fn f_order(x: Arg<'_, f64, AnyShape, FOrder>) -> f64 {
    sum(&x)
}

/// Either order, and aligned to 8 bytes.
#[pyfunction]
pub fn contiguous(x: Arg<'_, f64, AnyShape, (Contiguous, Aligned<8>)>) -> f64 {
    sum(&x)
}

/// An address that is a multiple of 64 bytes.
#[pyfunction]
pub fn aligned64(x: Arg<'_, f64, AnyShape, Aligned<64>>) -> f64 {
    sum(&x)
}

/// Any shape, to be written: adds one to each element.
#[pyfunction]
pub fn any_axes(mut x: ArgMut<'_, f64>) -> f64 {
    *x += 1.0;
    sum(&x)
}

/// Number of elements that are true.
#[pyfunction]
pub fn bools(x: Arg<'_, bool>) -> usize {
    x.iter().filter(|element| **element).count()
}

fn sum<D: Dimension>(x: &ArrayRef<f64, D>) -> f64 {
    x.iter().sum()
}
