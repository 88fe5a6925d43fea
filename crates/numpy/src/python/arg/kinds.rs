//! Which data types an argument may have.

use std::fmt;

use ndarray::{ArrayView, ArrayViewMut, Dimension};
use ndbridge_dtype::{DType, Element};
use ndbridge_tensor::{RawElements, TensorError};

/// The data types that an argument may have: an element type (`f32`), [`OneOf`] or [`AnyDType`].
pub trait DTypes: 'static {
    /// What an argument to be read derefs to: a view for an element type, else nothing.
    type View<D: Dimension>;
    /// What an argument to be written derefs to.
    type ViewMut<D: Dimension>;

    /// Whether an array of `dtype` will do.
    fn accepts(dtype: DType) -> bool;

    /// The data type to convert to if an array's will not do.
    fn preferred() -> Option<DType>;

    /// Writes the data types as an error names them.
    ///
    /// # Errors
    /// Those of the writer.
    fn name(f: &mut dyn fmt::Write) -> fmt::Result;

    /// Whether ndarray can express the elements.
    ///
    /// # Errors
    /// As [`RawElements::check_view`].
    fn check(raw: &RawElements<'_>) -> Result<(), TensorError>;

    /// A view of the elements.
    ///
    /// # Safety
    /// As [`RawElements::view`], for the element type.
    unsafe fn view<D: Dimension>(raw: &RawElements<'_>) -> Self::View<D>;

    /// A view of the elements, to be written.
    ///
    /// # Safety
    /// As [`RawElements::view_mut`], for the element type.
    unsafe fn view_mut<D: Dimension>(raw: &RawElements<'_>) -> Self::ViewMut<D>;
}

impl<T: Element> DTypes for T {
    type View<D: Dimension> = ArrayView<'static, T, D>;
    type ViewMut<D: Dimension> = ArrayViewMut<'static, T, D>;

    #[inline]
    fn accepts(dtype: DType) -> bool {
        dtype == T::DTYPE
    }

    fn preferred() -> Option<DType> {
        Some(T::DTYPE)
    }

    fn name(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str(T::DTYPE.name())
    }

    #[inline]
    fn check(raw: &RawElements<'_>) -> Result<(), TensorError> {
        raw.check_view::<T>()
    }

    #[inline]
    unsafe fn view<D: Dimension>(raw: &RawElements<'_>) -> Self::View<D> {
        // SAFETY: promised by the caller.
        unsafe { raw.view() }
    }

    #[inline]
    unsafe fn view_mut<D: Dimension>(raw: &RawElements<'_>) -> Self::ViewMut<D> {
        // SAFETY: promised by the caller.
        unsafe { raw.view_mut() }
    }
}

/// Any data type; the argument's `typed` gives its elements.
#[derive(Debug)]
pub struct AnyDType;

/// Any of some element types: `OneOf<(f32, f64)>`; the argument's `typed` gives its elements.
#[derive(Debug)]
pub struct OneOf<Ts>(std::marker::PhantomData<Ts>);

/// Both have elements of no one type, so there is nothing to deref to.
macro_rules! without_view {
    () => {
        type View<D: Dimension> = ();
        type ViewMut<D: Dimension> = ();

        fn check(_raw: &RawElements<'_>) -> Result<(), TensorError> {
            Ok(())
        }

        unsafe fn view<D: Dimension>(_raw: &RawElements<'_>) {}

        unsafe fn view_mut<D: Dimension>(_raw: &RawElements<'_>) {}
    };
}

impl DTypes for AnyDType {
    without_view!();

    fn accepts(_dtype: DType) -> bool {
        true
    }

    fn preferred() -> Option<DType> {
        None
    }

    fn name(f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str("any dtype")
    }
}

macro_rules! one_of {
    ($first:ident $(, $more:ident)*) => {
        impl<$first: Element, $($more: Element),*> DTypes for OneOf<($first, $($more,)*)> {
            without_view!();

            fn accepts(dtype: DType) -> bool {
                dtype == $first::DTYPE $(|| dtype == $more::DTYPE)*
            }

            fn preferred() -> Option<DType> {
                Some($first::DTYPE)
            }

            fn name(f: &mut dyn fmt::Write) -> fmt::Result {
                f.write_str($first::DTYPE.name())?;
                $(write!(f, " or {}", $more::DTYPE.name())?;)*
                Ok(())
            }
        }
    };
}

one_of!(A, B);
one_of!(A, B, C);
one_of!(A, B, C, D1);
one_of!(A, B, C, D1, E);
one_of!(A, B, C, D1, E, F);
one_of!(A, B, C, D1, E, F, G);
one_of!(A, B, C, D1, E, F, G, H);
