//! Writing into an argument, without the GIL.

use ndbridge::python::{Any, Arg, ArgMut, Const, DetachMut};
use pyo3::prelude::*;

/// Subtracts `mean` from each channel of `image` (rows, columns, channels) and divides by `std`, in
/// place.
#[pyfunction]
pub fn normalise(
    py: Python<'_>,
    mut image: ArgMut<'_, f32, (Any, Any, Const<3>)>,
    mean: Arg<'_, f32, (Const<3>,)>,
    std: Arg<'_, f32, (Const<3>,)>,
) -> PyResult<()> {
    // Three numbers each: copies, so that only the image must be held while the GIL is let go.
    let (mean, std) = (mean.to_owned(), std.to_owned());
    image.detach_mut(py, |image| {
        for mut pixel in image.rows_mut() {
            pixel -= &mean;
            pixel /= &std;
        }
    })
}
