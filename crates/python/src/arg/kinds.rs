//! Which data types an argument may have.

use std::fmt;
use std::ops::Range;

use ndarray::{ArrayView, ArrayViewMut, Dimension};
use ndbridge_dtype::{DType, Element};
use ndbridge_tensor::layout::{extent, fill_contiguous_strides};
use ndbridge_tensor::{Order, RawElements, TensorError};

use super::sealed;

/// The data types that an argument may have: an element type (`f32`), [`OneOf`] or [`AnyDType`].
///
/// These are all: the unsafe code behind an argument relies on what they accept.
///
/// ```no_run
/// fn takes<T: ndbridge_python::DTypes>() {}
/// takes::<f32>();
/// ```
///
/// ```compile_fail,E0277
/// # use ndarray::Dimension;
/// # use ndbridge_dtype::DType;
/// # use ndbridge_python::{DTypes, Untyped};
/// # use ndbridge_tensor::{RawElements, TensorError};
/// struct Mine;
///
/// impl DTypes for Mine {
/// #     type View<D: Dimension> = Untyped<D>;
/// #     type ViewMut<D: Dimension> = Untyped<D>;
///     fn accepts(_dtype: DType) -> bool {
///         true
///     }
///     // ... and all the others
/// #     fn preferred() -> Option<DType> { None }
/// #     fn name(f: &mut dyn std::fmt::Write) -> std::fmt::Result { f.write_str("mine") }
/// #     fn check(_: &RawElements<'_>) -> Result<(), TensorError> { Ok(()) }
/// #     unsafe fn view<D: Dimension>(_: &RawElements<'_>) -> Untyped<D> { unimplemented!() }
/// #     unsafe fn view_mut<D: Dimension>(_: &RawElements<'_>) -> Untyped<D> { unimplemented!() }
/// #     unsafe fn contiguous<D: Dimension>(_: *mut u8, _: D, _: usize) -> Untyped<D> { unimplemented!() }
/// #     unsafe fn contiguous_mut<D: Dimension>(_: *mut u8, _: D, _: usize) -> Untyped<D> { unimplemented!() }
/// }
/// ```
pub trait DTypes: sealed::DTypes + Sized + 'static {
    /// What an argument to be read gives: a view for an element type, else [`Untyped`].
    type View<D: Dimension>: Shaped;
    /// What an argument to be written gives.
    type ViewMut<D: Dimension>: Shaped;

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

    /// A view of elements in C order without gaps.
    ///
    /// # Safety
    /// As [`RawElements::contiguous_view`], for the element type, which has `item_bytes`.
    unsafe fn contiguous<D: Dimension>(ptr: *mut u8, shape: D, item_bytes: usize) -> Self::View<D>;

    /// A view of elements in C order without gaps, to be written.
    ///
    /// # Safety
    /// As [`RawElements::contiguous_view_mut`], for the element type, which has `item_bytes`.
    unsafe fn contiguous_mut<D: Dimension>(
        ptr: *mut u8,
        shape: D,
        item_bytes: usize,
    ) -> Self::ViewMut<D>;
}

/// What has a shape, and lies somewhere.
pub trait Shaped {
    /// Length of each axis, in elements.
    fn lens(&self) -> &[usize];

    /// First to past-the-last address of the elements, of `item_bytes` each.
    fn addresses(&self, item_bytes: usize) -> Range<usize>;
}

impl<T, D: Dimension> Shaped for ArrayView<'_, T, D> {
    fn lens(&self) -> &[usize] {
        self.shape()
    }

    fn addresses(&self, item_bytes: usize) -> Range<usize> {
        let strides = self.strides().iter().map(|stride| stride * size_of::<T>() as isize);
        addresses(self.as_ptr().addr(), self.shape(), strides, item_bytes)
    }
}

impl<T, D: Dimension> Shaped for ArrayViewMut<'_, T, D> {
    fn lens(&self) -> &[usize] {
        self.shape()
    }

    fn addresses(&self, item_bytes: usize) -> Range<usize> {
        self.view().addresses(item_bytes)
    }
}

/// First to past-the-last address of elements in memory; strides in bytes.
fn addresses(
    first: usize,
    shape: &[usize],
    strides: impl Iterator<Item = isize>,
    item_bytes: usize,
) -> Range<usize> {
    // The elements lie in memory: nothing overflows.
    let bytes = extent(shape, strides, item_bytes).unwrap_or(0..0);
    first.wrapping_add_signed(bytes.start)..first.wrapping_add_signed(bytes.end)
}

/// Elements of a type that is known only when the program runs.
#[derive(Debug)]
pub struct Untyped<D> {
    ptr: *mut u8,
    shape: D,
    // Bytes, of either sign.
    strides: D,
}

impl<D: Dimension> Shaped for Untyped<D> {
    fn lens(&self) -> &[usize] {
        self.shape.slice()
    }

    fn addresses(&self, item_bytes: usize) -> Range<usize> {
        let RawElements { ptr, shape, strides } = self.raw();
        addresses(ptr.addr(), shape, strides.iter().copied(), item_bytes)
    }
}

impl<D: Dimension> Untyped<D> {
    fn of(raw: &RawElements<'_>) -> Self {
        let (mut shape, mut strides) = (D::zeros(raw.shape.len()), D::zeros(raw.shape.len()));
        shape.slice_mut().copy_from_slice(raw.shape);
        strides.slice_mut().copy_from_slice(bytemuck::cast_slice(raw.strides));
        Self { ptr: raw.ptr, shape, strides }
    }

    fn contiguous(ptr: *mut u8, shape: D, item_bytes: usize) -> Self {
        let mut strides = D::zeros(shape.ndim());
        let steps = bytemuck::cast_slice_mut(strides.slice_mut());
        let filled = fill_contiguous_strides(steps, shape.slice(), item_bytes, Order::C);
        debug_assert!(filled.is_ok(), "the elements lie in memory");
        Self { ptr, shape, strides }
    }

    pub(super) fn raw(&self) -> RawElements<'_> {
        let strides = bytemuck::cast_slice(self.strides.slice());
        RawElements { ptr: self.ptr, shape: self.shape.slice(), strides }
    }
}

impl<T: Element> sealed::DTypes for T {}

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

    fn check(raw: &RawElements<'_>) -> Result<(), TensorError> {
        raw.check_view::<T>()
    }

    unsafe fn view<D: Dimension>(raw: &RawElements<'_>) -> Self::View<D> {
        // SAFETY: promised by the caller.
        unsafe { raw.view() }
    }

    unsafe fn view_mut<D: Dimension>(raw: &RawElements<'_>) -> Self::ViewMut<D> {
        // SAFETY: promised by the caller.
        unsafe { raw.view_mut() }
    }

    #[inline(always)]
    unsafe fn contiguous<D: Dimension>(ptr: *mut u8, shape: D, _: usize) -> Self::View<D> {
        // SAFETY: promised by the caller.
        unsafe { RawElements::contiguous_view(ptr, shape) }
    }

    #[inline(always)]
    unsafe fn contiguous_mut<D: Dimension>(ptr: *mut u8, shape: D, _: usize) -> Self::ViewMut<D> {
        // SAFETY: promised by the caller.
        unsafe { RawElements::contiguous_view_mut(ptr, shape) }
    }
}

/// Any data type; the argument's `typed` gives its elements.
#[derive(Debug)]
pub struct AnyDType;

/// Any of some element types: `OneOf<(f32, f64)>`; the argument's `typed` gives its elements.
#[derive(Debug)]
pub struct OneOf<Ts>(std::marker::PhantomData<Ts>);

/// Data types of which the program finds out when it runs.
pub trait Several: DTypes {}

impl Several for AnyDType {}

/// Both have elements of no one type, so there is nothing to deref to.
macro_rules! untyped {
    () => {
        type View<D: Dimension> = Untyped<D>;
        type ViewMut<D: Dimension> = Untyped<D>;

        fn check(_raw: &RawElements<'_>) -> Result<(), TensorError> {
            Ok(())
        }

        unsafe fn view<D: Dimension>(raw: &RawElements<'_>) -> Untyped<D> {
            Untyped::of(raw)
        }

        unsafe fn view_mut<D: Dimension>(raw: &RawElements<'_>) -> Untyped<D> {
            Untyped::of(raw)
        }

        unsafe fn contiguous<D: Dimension>(
            ptr: *mut u8,
            shape: D,
            item_bytes: usize,
        ) -> Untyped<D> {
            Untyped::contiguous(ptr, shape, item_bytes)
        }

        unsafe fn contiguous_mut<D: Dimension>(
            ptr: *mut u8,
            shape: D,
            item_bytes: usize,
        ) -> Untyped<D> {
            Untyped::contiguous(ptr, shape, item_bytes)
        }
    };
}

impl sealed::DTypes for AnyDType {}

impl DTypes for AnyDType {
    untyped!();

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
        impl<$first: Element, $($more: Element),*> Several for OneOf<($first, $($more,)*)> {}

        impl<$first: Element, $($more: Element),*> sealed::DTypes for OneOf<($first, $($more,)*)> {}

        impl<$first: Element, $($more: Element),*> DTypes for OneOf<($first, $($more,)*)> {
            untyped!();

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
