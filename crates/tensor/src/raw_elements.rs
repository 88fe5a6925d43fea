//! Elements in memory, before anybody has borrowed them.

use std::ptr;

use ndarray::{
    ArrayView, ArrayViewMut, Axis, Dimension, RawArrayView, RawArrayViewMut, ShapeBuilder,
    StrideShape,
};
use ndbridge_dtype::{DType, Element};
use ndbridge_layout::{Order, extent, is_nested, is_packed, saturating_len};
use ndbridge_storage::Region;

use crate::error::TensorError;

/// Where elements lie: what a guard is made of, and what makes a view of memory for which there is
/// no tensor, such as a function's argument. Why it is no [`Layout`](ndbridge_layout::Layout): it has a
/// pointer, and borrows shape and strides from whoever owns the array.
///
/// ```
/// use ndarray::Ix2;
/// use ndbridge_tensor::RawElements;
/// let bytes = [1_i16, 2, 3, 4];
/// let at = RawElements { ptr: bytes.as_ptr().cast_mut().cast(), shape: &[2, 2], strides: &[2, 4] };
/// at.check_view::<i16>()?;
/// // SAFETY: checked above; four elements of an array that is only read.
/// let columns = unsafe { at.view::<i16, Ix2>() };
/// assert_eq!(columns, ndarray::array![[1, 3], [2, 4]]);
/// # Ok::<(), ndbridge_tensor::TensorError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RawElements<'a> {
    /// Element `[0, .., 0]`.
    pub ptr: *mut u8,
    /// Length of each axis, in elements.
    pub shape: &'a [usize],
    /// Step of each axis, in bytes.
    pub strides: &'a [isize],
}

impl<'a> RawElements<'a> {
    /// The bytes that elements of `item_bytes` reach, by address.
    #[must_use]
    pub fn region(&self, item_bytes: usize) -> Region<'a> {
        Region { start: self.ptr.addr(), item_bytes, shape: self.shape, strides: self.strides }
    }

    /// Whether elements of `item_bytes` lie in `order` without gaps, by NumPy's rule.
    #[must_use]
    pub fn is_contiguous(&self, order: Order, item_bytes: usize) -> bool {
        is_packed(self.shape, self.strides, order, item_bytes)
    }

    /// Whether the address and every stride in use are multiples of `bytes`.
    #[must_use]
    pub fn is_aligned_to(&self, bytes: usize) -> bool {
        let is_step =
            |(len, stride): (usize, isize)| len == 1 || stride.unsigned_abs().is_multiple_of(bytes);
        self.is_empty() || self.ptr.addr().is_multiple_of(bytes) && self.axes().all(is_step)
    }

    /// Whether elements of data type `dtype` are of type `T`, and ndarray can express them.
    ///
    /// # Errors
    /// [`TensorError::WrongDType`], or as [`check_view`](Self::check_view).
    pub fn check_typed<T: Element>(&self, dtype: DType) -> Result<(), TensorError> {
        if T::DTYPE != dtype {
            let (expected, copy_bytes) = (T::DTYPE, self.copy_bytes(size_of::<T>()));
            return Err(TensorError::WrongDType { expected, found: dtype, copy_bytes });
        }
        self.check_view::<T>()
    }

    /// Whether ndarray can express these elements of type `T`.
    ///
    /// # Errors
    /// [`TensorError::Unaligned`], [`TensorError::OddStride`] or [`TensorError::TooLarge`].
    pub fn check_view<T: Element>(&self) -> Result<(), TensorError> {
        if self.is_empty() {
            return Ok(());
        }
        let (address, align_bytes) = (self.ptr.addr(), align_of::<T>());
        if !address.is_multiple_of(align_bytes) {
            let copy_bytes = self.copy_bytes(size_of::<T>());
            return Err(TensorError::Unaligned { address, align_bytes, copy_bytes });
        }
        self.check_strides(size_of::<T>())?;
        match isize::try_from(saturating_len(self.shape)) {
            Ok(_) => Ok(()),
            Err(_) => Err(TensorError::TooLarge { shape: self.shape.to_vec() }),
        }
    }

    /// ndarray's own rule for arrays that are written: each step clears all that the shorter steps
    /// reach. It also refuses layouts whose axes interleave without meeting.
    ///
    /// # Errors
    /// [`TensorError::Interleaved`].
    pub fn check_write(&self, item_bytes: usize) -> Result<(), TensorError> {
        if is_nested(self.shape, self.strides) {
            return Ok(());
        }
        let (shape, strides) = (self.shape.to_vec(), self.strides.to_vec());
        Err(TensorError::Interleaved { shape, strides, copy_bytes: self.copy_bytes(item_bytes) })
    }

    /// The elements, to be read.
    ///
    /// # Safety
    /// [`check_view::<T>`](Self::check_view) passes, there are as many strides and lengths as axes
    /// in `D`, and for `'t` the elements are live values of `T` that nobody writes.
    #[must_use]
    pub unsafe fn view<'t, T: Element, D: Dimension>(&self) -> ArrayView<'t, T, D> {
        let (lowest, shape) = self.lowest::<T, D>();
        // SAFETY: from the lowest element on, these shape and strides reach exactly the elements,
        // which are aligned; their number fits isize. If there are none, none is reached.
        let mut view = unsafe { RawArrayView::from_shape_ptr(shape, lowest) };
        self.reversed_axes().for_each(|axis| view.invert_axis(axis));
        // SAFETY: promised by the caller.
        unsafe { view.deref_into_view() }
    }

    /// The elements, to be written.
    ///
    /// # Safety
    /// As [`view`](Self::view); [`check_write`](Self::check_write) passes as well, no byte is
    /// reached twice, and nobody else reads or writes the elements for `'t`.
    #[must_use]
    pub unsafe fn view_mut<'t, T: Element, D: Dimension>(&self) -> ArrayViewMut<'t, T, D> {
        let (lowest, shape) = self.lowest::<T, D>();
        // SAFETY: as in `view`; that no element is reached twice is checked before.
        let mut view = unsafe { RawArrayViewMut::from_shape_ptr(shape, lowest) };
        self.reversed_axes().for_each(|axis| view.invert_axis(axis));
        // SAFETY: promised by the caller.
        unsafe { view.deref_into_view_mut() }
    }

    /// Elements in C order without gaps, to be read.
    ///
    /// # Safety
    /// `ptr` is aligned for `T`, and from there on lie as many elements as `shape` has; else as
    /// [`view`](Self::view).
    #[inline]
    #[must_use]
    pub unsafe fn contiguous_view<'t, T: Element, D: Dimension>(
        ptr: *mut u8,
        shape: D,
    ) -> ArrayView<'t, T, D> {
        // SAFETY: promised by the caller.
        unsafe { ArrayView::from_shape_ptr(shape, ptr.cast::<T>()) }
    }

    /// Elements in C order without gaps, to be written.
    ///
    /// # Safety
    /// As [`contiguous_view`](Self::contiguous_view), and nobody else reads or writes the elements
    /// for `'t`.
    #[inline]
    #[must_use]
    pub unsafe fn contiguous_view_mut<'t, T: Element, D: Dimension>(
        ptr: *mut u8,
        shape: D,
    ) -> ArrayViewMut<'t, T, D> {
        // SAFETY: promised by the caller.
        unsafe { ArrayViewMut::from_shape_ptr(shape, ptr.cast::<T>()) }
    }

    /// The lowest address, and the steps from there, counted in elements.
    fn lowest<T, D: Dimension>(&self) -> (*mut T, StrideShape<D>) {
        let mut shape = D::zeros(self.shape.len());
        shape.slice_mut().copy_from_slice(self.shape);
        if self.is_empty() {
            return (ptr::NonNull::dangling().as_ptr(), shape.into());
        }
        let (mut strides, mut is_reversed) = (D::zeros(self.shape.len()), false);
        for (to, (_, stride)) in strides.slice_mut().iter_mut().zip(self.steps()) {
            *to = stride.unsigned_abs() / size_of::<T>();
            is_reversed |= stride < 0;
        }
        let lowest = match is_reversed {
            true => extent(self.shape, self.strides, 0).expect("elements in memory").start,
            false => 0,
        };
        (self.ptr.wrapping_offset(lowest).cast(), shape.strides(strides))
    }

    fn reversed_axes(&self) -> impl Iterator<Item = Axis> {
        let is_empty = self.is_empty();
        let axes = (0..).map(Axis).zip(self.steps());
        axes.filter(move |(_, (_, step))| !is_empty && *step < 0).map(|(axis, _)| axis)
    }

    #[inline]
    fn check_strides(&self, item_bytes: usize) -> Result<(), TensorError> {
        let odd = self
            .axes()
            .position(|(len, stride)| len > 1 && !stride.unsigned_abs().is_multiple_of(item_bytes));
        let Some(axis) = odd else { return Ok(()) };
        let (stride, copy_bytes) = (self.strides[axis], self.copy_bytes(item_bytes));
        Err(TensorError::OddStride { axis, stride, item_bytes, copy_bytes })
    }

    fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    fn axes(&self) -> impl Iterator<Item = (usize, isize)> {
        self.shape.iter().copied().zip(self.strides.iter().copied())
    }

    /// As [`axes`](Self::axes), but an axis of one element has no step, whatever its stride says.
    fn steps(&self) -> impl Iterator<Item = (usize, isize)> {
        self.axes().map(|(len, stride)| (len, if len == 1 { 0 } else { stride }))
    }

    fn copy_bytes(&self, item_bytes: usize) -> usize {
        saturating_len(self.shape).saturating_mul(item_bytes)
    }
}
