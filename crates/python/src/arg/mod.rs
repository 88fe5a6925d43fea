//! Arguments of Python functions: any library's array, without a copy, checked and borrowed.
//!
//! ```no_run
//! use ndbridge_python::{Any, Arg, ArgMut, Const};
//! use pyo3::prelude::*;
//!
//! /// Adds an offset to each channel of an image, in place.
//! #[pyfunction]
//! fn shift(mut image: ArgMut<'_, f32, (Any, Any, Const<3>)>, by: Arg<'_, f32, (Const<3>,)>) {
//!     for mut pixel in image.rows_mut() {
//!         pixel.zip_mut_with(&by, |value, offset| *value += offset);
//!     }
//! }
//! ```
//!
//! Each argument is borrowed from its extraction to the end of the call: two that share a byte, of
//! which one is written, are refused, whatever libraries they came from and whichever extension
//! module took the other. What does not fit is an exception that names the argument, what was
//! expected, what came, and the call that would work:
//!
//! ```text
//! image: expected writable float32 [*, *, 3] on cpu, got numpy float64 [480, 640, 3]:
//!     make y = image.astype('float32') (copies 3.5 MiB), pass y, use y
//! ```
//!
//! What is an argument stays where it is, whatever Python code runs meanwhile: NumPy arrays are not
//! resized, and torch's `x.data = y`, `set_`, `resize_`, `out=` and `swap_tensors` do not free a
//! tensor's memory. For that the tensor's storage cannot be resized from then on, as after
//! `x.numpy()`.
//!
//! # Limitations
//! `x.share_memory_()` of torch, called by such code, frees the memory under an argument; so do
//! `a.__setstate__(..)` of NumPy and `release()` of a memoryview.

mod axes;
mod constraint;
#[expect(unsafe_code, reason = "makes views of borrowed memory")]
mod cow;
#[expect(unsafe_code, reason = "passes the maker of views on")]
mod kinds;
#[expect(unsafe_code, reason = "looks at borrowed bytes")]
mod loan;
mod naming;
mod plain;
mod purpose;
mod same_axes;
mod sealed;

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};

use ndarray::{ArrayRef, ArrayView, ArrayViewMut};
use ndbridge_dtype::{DType, Element};
use ndbridge_numpy::python::pins::CallPin;
use ndbridge_tensor::{Tensor, TensorError};
use pyo3::Borrowed;
use pyo3::prelude::*;

pub use axes::{Any, AnyShape, Axes, AxisLen, Const};
pub use constraint::{Aligned, COrder, Constraint, Contiguous, FOrder, Memory};
pub use cow::ArgCow;
pub use kinds::{AnyDType, DTypes, OneOf, Several, Shaped, Untyped};
pub use same_axes::{NamedAxes, check_same_axes};

use crate::import::from_python;
use loan::Loan;
use plain::Plain;
use purpose::Use;

/// An array to be read: `Arg<'_, f32, (Any, Const<3>), COrder>`.
///
/// `T` says which data types ([`DTypes`]), `S` which shapes ([`Axes`]), `C` what else of its memory
/// ([`Constraint`]). With one element type it derefs to [`ArrayRef`].
pub struct Arg<'py, T: DTypes, S: Axes = AnyShape, C: Constraint = ()> {
    view: T::View<S::Dim>,
    loan: Loan<'py>,
    _demands: PhantomData<(S, C)>,
}

/// An array to be written, which nobody else borrows meanwhile; else as [`Arg`].
pub struct ArgMut<'py, T: DTypes, S: Axes = AnyShape, C: Constraint = ()> {
    view: T::ViewMut<S::Dim>,
    loan: Loan<'py>,
    _demands: PhantomData<(S, C)>,
}

/// The elements of an [`Arg`] whose data type was found out.
#[derive(Debug)]
pub struct Typed<'a, T: Element, S: Axes>(ArrayView<'a, T, S::Dim>);

/// The elements of an [`ArgMut`] whose data type was found out.
#[derive(Debug)]
pub struct TypedMut<'a, T: Element, S: Axes>(ArrayViewMut<'a, T, S::Dim>);

impl<'py, T: DTypes, S: Axes, C: Constraint> Arg<'py, T, S, C> {
    #[inline(always)]
    fn plain(plain: Plain<'py, S::Dim>) -> Self {
        let Plain { loan, ptr, shape } = plain;
        // SAFETY: contiguous, aligned elements that T accepts, with as many axes as S::Dim; the loan
        // keeps the memory in its place and, by the ledger, free of writers, and is dropped after
        // the view's last use.
        let view = unsafe { T::contiguous(ptr, shape, loan.dtype.item_bytes()) };
        Self { view, loan, _demands: PhantomData }
    }

    #[inline(never)]
    fn any(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Some(plain) = plain::tensor::<T, S, C>(object, Use::Read) {
            return Ok(Self::plain(plain));
        }
        let (loan, outside) = loan::take::<T, S, C>(object, Use::Read)?;
        // SAFETY: checked for T and as many axes as S::Dim has; the rest as in `plain`.
        let view = unsafe { T::view(&outside.raw()) };
        Ok(Self { view, loan, _demands: PhantomData })
    }
}

impl<'py, T: DTypes, S: Axes, C: Constraint> FromPyObject<'_, 'py> for Arg<'py, T, S, C> {
    type Error = PyErr;

    #[inline]
    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match plain::numpy::<T, S, C>(&object, Use::Read) {
            Some(plain) => Ok(Self::plain(plain)),
            None => Self::any(&object),
        }
    }
}

impl<'py, T: DTypes, S: Axes, C: Constraint> ArgMut<'py, T, S, C> {
    #[inline(always)]
    fn plain(plain: Plain<'py, S::Dim>) -> Self {
        let Plain { loan, ptr, shape } = plain;
        // SAFETY: as for `Arg`; a loan for writing also proves that nobody else reaches these bytes.
        let view = unsafe { T::contiguous_mut(ptr, shape, loan.dtype.item_bytes()) };
        Self { view, loan, _demands: PhantomData }
    }

    #[inline(never)]
    fn any(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Some(plain) = plain::tensor::<T, S, C>(object, Use::Write) {
            return Ok(Self::plain(plain));
        }
        let (loan, outside) = loan::take::<T, S, C>(object, Use::Write)?;
        // SAFETY: as for `Arg`; a loan for writing also proves that no byte is reached twice and
        // that nobody else reaches these bytes.
        let view = unsafe { T::view_mut(&outside.raw()) };
        Ok(Self { view, loan, _demands: PhantomData })
    }
}

impl<'py, T: DTypes, S: Axes, C: Constraint> FromPyObject<'_, 'py> for ArgMut<'py, T, S, C> {
    type Error = PyErr;

    #[inline]
    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match plain::numpy::<T, S, C>(&object, Use::Write) {
            Some(plain) => Ok(Self::plain(plain)),
            None => Self::any(&object),
        }
    }
}

/// What both kinds of argument tell.
macro_rules! facts {
    ($arg:ident) => {
        impl<'py, T: DTypes, S: Axes, C: Constraint> $arg<'py, T, S, C> {
            /// Data type of the elements.
            #[must_use]
            pub fn dtype(&self) -> DType {
                self.loan.dtype
            }

            /// Length of each axis, in elements.
            #[must_use]
            pub fn shape(&self) -> &[usize] {
                self.view.lens()
            }

            /// The Python object.
            #[must_use]
            pub fn object(&self) -> &Bound<'py, PyAny> {
                &self.loan.object
            }

            /// First to past-the-last address of the elements.
            pub(super) fn addresses(&self) -> Range<usize> {
                self.view.addresses(self.loan.dtype.item_bytes())
            }

            /// What keeps the memory in its place.
            pub(super) fn pin(&self) -> &CallPin<'py> {
                &self.loan.pin
            }

            /// A tensor over the memory, to be kept beyond the call. It is borrowed like any
            /// other: not while this argument stands in the way.
            ///
            /// # Errors
            /// As [`from_python`](super::from_python).
            pub fn tensor(&self) -> PyResult<Tensor> {
                from_python(&self.loan.object)
            }
        }

        impl<T: DTypes, S: Axes, C: Constraint> fmt::Debug for $arg<'_, T, S, C> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let (dtype, shape) = (self.dtype(), self.shape());
                f.debug_struct(stringify!($arg))
                    .field("dtype", &dtype)
                    .field("shape", &shape)
                    .finish_non_exhaustive()
            }
        }
    };
}

facts!(Arg);
facts!(ArgMut);

impl<'py, T, S: Axes, C: Constraint> Arg<'py, T, S, C>
where
    T: Several + DTypes<View<S::Dim> = Untyped<S::Dim>>,
{
    /// The elements, if they are of type `E`.
    ///
    /// # Errors
    /// [`TensorError::WrongDType`], or what keeps ndarray from expressing the layout.
    pub fn typed<E: Element>(&self) -> Result<Typed<'_, E, S>, TensorError> {
        let raw = self.view.raw();
        raw.check_typed::<E>(self.loan.dtype)?;
        // SAFETY: checked for E; as many axes as S::Dim has; borrowed for reading while `self` is.
        Ok(Typed(unsafe { raw.view() }))
    }
}

impl<'py, T, S: Axes, C: Constraint> ArgMut<'py, T, S, C>
where
    T: Several + DTypes<ViewMut<S::Dim> = Untyped<S::Dim>>,
{
    /// The elements, if they are of type `E`.
    ///
    /// # Errors
    /// [`TensorError::WrongDType`], or what keeps ndarray from expressing the layout.
    pub fn typed_mut<E: Element>(&mut self) -> Result<TypedMut<'_, E, S>, TensorError> {
        let raw = self.view.raw();
        raw.check_typed::<E>(self.loan.dtype)?;
        // SAFETY: as in `typed`; for writing, and `&mut self` makes this the only view.
        Ok(TypedMut(unsafe { raw.view_mut() }))
    }
}

impl<T: Element, S: Axes, C: Constraint> Deref for Arg<'_, T, S, C> {
    type Target = ArrayRef<T, S::Dim>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.view
    }
}

impl<T: Element, S: Axes, C: Constraint> Deref for ArgMut<'_, T, S, C> {
    type Target = ArrayRef<T, S::Dim>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.view
    }
}

impl<T: Element, S: Axes, C: Constraint> DerefMut for ArgMut<'_, T, S, C> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.view
    }
}

impl<T: Element, S: Axes> Deref for Typed<'_, T, S> {
    type Target = ArrayRef<T, S::Dim>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T: Element, S: Axes> Deref for TypedMut<'_, T, S> {
    type Target = ArrayRef<T, S::Dim>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T: Element, S: Axes> DerefMut for TypedMut<'_, T, S> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
