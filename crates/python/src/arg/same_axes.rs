//! Axes of several arguments that must be of one length.

use pyo3::prelude::*;

use super::naming::{self, Kind, NAME};

/// One argument, by its name and shape, with names for its axes.
#[derive(Clone, Copy, Debug)]
pub struct NamedAxes<'a> {
    /// Name of the argument.
    pub argument: &'static str,
    /// Its shape.
    pub shape: &'a [usize],
    /// A name for each axis.
    pub axes: &'a [&'static str],
}

/// Checks that each named axis has one length in all arguments; see [`same_axes!`](crate::same_axes).
///
/// # Errors
/// `ValueError` that names the two arguments which disagree, or the one with another number of
/// axes than names.
pub fn check_same_axes(arguments: &[NamedAxes<'_>]) -> PyResult<()> {
    let mut known: Vec<(&'static str, usize, NamedAxes<'_>)> = Vec::new();
    for argument in arguments {
        let NamedAxes { argument: name, shape, axes } = *argument;
        if shape.len() != axes.len() {
            let text =
                format!("{name}: expected {} axes {axes:?}, got shape {shape:?}", axes.len());
            return Err(value_error(&text));
        }
        for (&axis, &len) in axes.iter().zip(shape) {
            match known.iter().find(|(known, ..)| *known == axis) {
                None => known.push((axis, len, *argument)),
                Some((_, other_len, other)) if *other_len != len => {
                    let text = format!(
                        "{name}: axis {axis} has length {len} in shape {shape:?}, expected \
                         {other_len} as in {} of shape {:?}",
                        other.argument, other.shape
                    );
                    return Err(value_error(&text));
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

fn value_error(text: &str) -> PyErr {
    Python::try_attach(|py| naming::exception(py, Kind::Value, text))
        .unwrap_or_else(|| pyo3::exceptions::PyValueError::new_err(text.replace(NAME, "argument")))
}

/// Binds the lengths of axes, which must agree wherever a name stands twice; returns from the
/// function with a `ValueError` if they do not.
///
/// ```no_run
/// use ndbridge_python::{Any, Arg};
/// use ndbridge_python::same_axes;
/// use pyo3::prelude::*;
///
/// #[pyfunction]
/// fn product(a: Arg<'_, f64, (Any, Any)>, b: Arg<'_, f64, (Any, Any)>) -> PyResult<usize> {
///     same_axes!(a: [m, k], b: [k, n]);
///     Ok(m * k * n)
/// }
/// ```
///
/// The error says, for example, `b: axis k has length 4 in shape [4, 2], expected 3 as in a of
/// shape [5, 3]`.
#[macro_export]
macro_rules! same_axes {
    ($($argument:ident : [$($axis:ident),* $(,)?]),+ $(,)?) => {
        $crate::check_same_axes(&[$($crate::NamedAxes {
            argument: stringify!($argument),
            shape: $argument.shape(),
            axes: &[$(stringify!($axis)),*],
        }),+])?;
        $(
            let mut lens = $argument.shape().iter().copied();
            $(
                let $axis: usize = lens.next().unwrap_or_default();
                let _ = $axis; // a name that stands again is bound again
            )*
            let _ = lens;
        )+
    };
}
