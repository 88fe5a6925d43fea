//! How many axes an argument must have, and how long they are.

use std::fmt;

use ndarray::{Dimension, Ix0, Ix1, Ix2, Ix3, Ix4, Ix5, Ix6, IxDyn};

use super::sealed;

/// The shapes that an argument may have: [`AnyShape`], or a tuple with [`Any`] or [`Const`] for each
/// of at most 6 axes; `()` for no axes.
///
/// These are all: the unsafe code behind an argument relies on what they accept.
///
/// ```no_run
/// use ndbridge_python::{Any, Axes};
///
/// assert!(<(Any, Any)>::accepts(&[2, 3]));
/// ```
///
/// ```compile_fail,E0277
/// use ndbridge_python::Axes;
///
/// struct Mine;
///
/// impl Axes for Mine {
///     type Dim = ndarray::Ix2;
///
///     fn accepts(_shape: &[usize]) -> bool {
///         true
///     }
///
///     fn name(f: &mut dyn std::fmt::Write) -> std::fmt::Result {
///         f.write_str("[mine]")
///     }
/// }
/// ```
pub trait Axes: sealed::Axes + 'static {
    /// The kind of views, by number of axes.
    type Dim: Dimension;

    /// Whether an array of `shape` will do.
    fn accepts(shape: &[usize]) -> bool;

    /// Writes the shapes as an error names them: `[*, *, 3]`.
    ///
    /// # Errors
    /// Those of the writer.
    fn name(f: &mut dyn fmt::Write) -> fmt::Result;
}

/// One axis of an argument.
pub trait AxisLen: 'static {
    /// The length it must have; `None` if any will do.
    const LEN: Option<usize>;
}

/// An axis of any length.
#[derive(Debug)]
pub struct Any;

/// An axis of `N` elements.
#[derive(Debug)]
pub struct Const<const N: usize>;

/// Any number of axes, of any lengths.
#[derive(Debug)]
pub struct AnyShape;

impl AxisLen for Any {
    const LEN: Option<usize> = None;
}

impl<const N: usize> AxisLen for Const<N> {
    const LEN: Option<usize> = Some(N);
}

impl sealed::Axes for AnyShape {}

impl Axes for AnyShape {
    type Dim = IxDyn;

    #[inline]
    fn accepts(_shape: &[usize]) -> bool {
        true
    }

    fn name(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("[..]")
    }
}

fn name_axes(lens: &[Option<usize>], f: &mut dyn fmt::Write) -> fmt::Result {
    f.write_str("[")?;
    for (position, len) in lens.iter().enumerate() {
        f.write_str(if position > 0 { ", " } else { "" })?;
        match len {
            Some(len) => write!(f, "{len}")?,
            None => f.write_str("*")?,
        }
    }
    f.write_str("]")
}

macro_rules! axes {
    ($dim:ty, $($axis:ident),*) => {
        impl<$($axis: AxisLen),*> sealed::Axes for ($($axis,)*) {}

        impl<$($axis: AxisLen),*> Axes for ($($axis,)*) {
            type Dim = $dim;

            #[inline]
            fn accepts(shape: &[usize]) -> bool {
                let wanted: &[Option<usize>] = &[$($axis::LEN),*];
                shape.len() == wanted.len()
                    && wanted.iter().zip(shape).all(|(wanted, len)| wanted.is_none_or(|w| w == *len))
            }

            fn name(f: &mut dyn fmt::Write) -> fmt::Result {
                name_axes(&[$($axis::LEN),*], f)
            }
        }
    };
}

axes!(Ix0,);
axes!(Ix1, A);
axes!(Ix2, A, B);
axes!(Ix3, A, B, C);
axes!(Ix4, A, B, C, D);
axes!(Ix5, A, B, C, D, E);
axes!(Ix6, A, B, C, D, E, F);
