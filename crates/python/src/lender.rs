//! What Python may write while Rust computes with it.

use std::ops::Range;

use ndbridge_dtype::Element;
use ndbridge_interpreter::{PythonOwner, python_owner};
use ndbridge_storage::Access;
use ndbridge_tensor::{ReadGuard, Tensor, WriteGuard};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::arg::{Arg, ArgMut, Axes, Constraint, DTypes};

pub mod sealed {
    use std::ops::Range;

    use pyo3::ffi;

    pub trait Sealed {
        /// The array whose flag OWNDATA is cleared as long as this lives, and where its memory
        /// began.
        fn cleared(&self) -> Option<(*mut ffi::PyObject, *mut u8)> {
            None
        }

        /// First to past-the-last address of the elements, where the lender is an argument.
        fn addresses(&self) -> Option<Range<usize>> {
            None
        }

        /// Address and count of bytes of the elements, where the lender is a tensor.
        fn extent(&self) -> Option<(usize, usize)> {
            None
        }
    }
}

/// Something whose memory Python may write: an argument, a guard, a tensor.
///
/// Nobody else has it: what a hold relies on is checked where these are made.
///
/// ```no_run
/// fn lends<L: ndbridge_python::Lender>() {}
/// lends::<ndbridge_tensor::Tensor>();
/// ```
///
/// ```compile_fail,E0277
/// use ndbridge_python::Lender;
/// use pyo3::{Bound, PyAny, Python};
///
/// struct Mine;
///
/// impl Lender for Mine {
///     fn lender<'py>(&self, _py: Python<'py>) -> Option<Bound<'py, PyAny>> {
///         None
///     }
/// }
/// ```
pub trait Lender: sealed::Sealed {
    /// The Python object that lends the memory; `None` if Python does not own it.
    fn lender<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>>;

    /// Whether memory that Python does not own was handed to it, as by `ToNumpy`.
    fn is_handed_out(&self) -> bool {
        false
    }
}

macro_rules! argument_lends {
    ($arg:ident) => {
        impl<T: DTypes, S: Axes, C: Constraint> sealed::Sealed for $arg<'_, T, S, C> {
            fn cleared(&self) -> Option<(*mut ffi::PyObject, *mut u8)> {
                self.pin().cleared()
            }

            fn addresses(&self) -> Option<Range<usize>> {
                Some(self.addresses())
            }
        }

        impl<T: DTypes, S: Axes, C: Constraint> Lender for $arg<'_, T, S, C> {
            fn lender<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
                Some(self.object().clone().unbind().into_bound(py))
            }
        }
    };
}

argument_lends!(Arg);
argument_lends!(ArgMut);

impl sealed::Sealed for Tensor {
    fn extent(&self) -> Option<(usize, usize)> {
        Some((self.as_ptr().addr(), self.size_bytes()))
    }
}

impl Lender for Tensor {
    fn lender<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        python_owner(py, self)
    }

    fn is_handed_out(&self) -> bool {
        self.storage().owner::<PythonOwner>().is_none() && self.storage().access() == Access::Lent
    }
}

macro_rules! guard_lends {
    ($guard:ident) => {
        impl<T: Element> sealed::Sealed for $guard<'_, T> {
            fn extent(&self) -> Option<(usize, usize)> {
                self.tensor().extent()
            }
        }

        impl<T: Element> Lender for $guard<'_, T> {
            fn lender<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
                self.tensor().lender(py)
            }

            fn is_handed_out(&self) -> bool {
                self.tensor().is_handed_out()
            }
        }
    };
}

guard_lends!(ReadGuard);
guard_lends!(WriteGuard);
