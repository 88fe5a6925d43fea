//! Guards: elements as `ndarray` arrays, for as long as they are borrowed.
//!
//! A guard hands out a reference to an [`ndarray::ArrayRef`] and not an `ArrayView`: a view could be
//! copied out of the guard and would then outlive the borrow.

use std::ops::{Deref, DerefMut};
use std::ptr;

use ndarray::{
    ArrayRef, ArrayViewD, ArrayViewMutD, Axis, IxDyn, RawArrayView, RawArrayViewMut, ShapeBuilder,
    StrideShape,
};
use ndbridge_dtype::Element;
use ndbridge_storage::{Borrow, BorrowKind};

use crate::bool_check;
use crate::error::TensorError;
use crate::layout::Order;
use crate::tensor::Tensor;

/// Elements borrowed for reading; derefs to an [`ArrayRef`] of the tensor's shape.
#[derive(Debug)]
pub struct ReadGuard<'t, T: Element> {
    view: ArrayViewD<'t, T>,
    _borrow: Borrow<'t>,
}

/// Elements borrowed for writing; derefs to a mutable [`ArrayRef`] of the tensor's shape.
#[derive(Debug)]
pub struct WriteGuard<'t, T: Element> {
    view: ArrayViewMutD<'t, T>,
    _borrow: Borrow<'t>,
}

/// The bytes of a C-contiguous tensor, borrowed for reading.
#[derive(Debug)]
pub struct BytesGuard<'t> {
    bytes: &'t [u8],
    _borrow: Borrow<'t>,
}

impl Tensor {
    /// Borrows the elements for reading.
    ///
    /// ```
    /// # use ndbridge_tensor::Tensor;
    /// let tensor = Tensor::from_vec(vec![1.0_f32, 2.0, 3.0]);
    /// assert_eq!(tensor.read::<f32>()?.sum(), 6.0);
    /// assert!(tensor.read::<f64>().is_err()); // nothing is converted silently
    /// # Ok::<(), ndbridge_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// If `T` is not the tensor's data type, if overlapping bytes are borrowed for writing, if the
    /// gate of lent memory is shut, if a `bool` is neither 0 nor 1, or if ndarray cannot express
    /// the layout (unaligned, or strides that are not multiples of the item size).
    #[track_caller]
    pub fn read<T: Element>(&self) -> Result<ReadGuard<'_, T>, TensorError> {
        self.check_ndarray_can_view::<T>()?;
        let borrow = self.borrow(BorrowKind::Read)?;
        bool_check::check(self, &borrow)?;
        let raw = RawParts::<T>::of(self).view();
        // SAFETY: the elements lie in the storage, which `self` keeps alive for 't; they are valid
        // values of T; the ledger keeps writers away until the guard, and with it every reference
        // to the view, is gone.
        let view = unsafe { raw.deref_into_view() };
        Ok(ReadGuard { view, _borrow: borrow })
    }

    /// Borrows the elements for writing; every other handle and view sees what is written.
    ///
    /// ```
    /// # use ndbridge_tensor::Tensor;
    /// let tensor = Tensor::from_vec(vec![1_i32, 2, 3]);
    /// let reversed = tensor.flip(&[0])?;
    /// reversed.write::<i32>()?[0] = 30;
    /// assert_eq!(tensor.read::<i32>()?[2], 30);
    /// # Ok::<(), ndbridge_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// As [`read`](Self::read); also if the tensor is read-only, if any overlapping byte is
    /// borrowed, if the layout reaches a byte twice, or if its axes interleave
    /// ([`TensorError::Interleaved`]).
    #[track_caller]
    pub fn write<T: Element>(&self) -> Result<WriteGuard<'_, T>, TensorError> {
        self.check_ndarray_can_view::<T>()?;
        let borrow = self.borrow(BorrowKind::Write)?;
        bool_check::check(self, &borrow)?;
        self.check_ndarray_can_write()?;
        let raw = RawParts::<T>::of(self).view_mut();
        // SAFETY: as in `read`; the write borrow also proves that the layout reaches no byte twice
        // and that nobody else reaches these bytes.
        let view = unsafe { raw.deref_into_view_mut() };
        Ok(WriteGuard { view, _borrow: borrow })
    }

    /// Borrows the bytes of the elements, in C order, for reading.
    ///
    /// # Errors
    /// [`TensorError::NotContiguous`] unless the tensor is contiguous in C order; borrow errors as
    /// in [`read`](Self::read).
    #[track_caller]
    pub fn bytes(&self) -> Result<BytesGuard<'_>, TensorError> {
        if !self.is_contiguous(Order::C) {
            let (shape, strides) = (self.shape().to_vec(), self.strides().to_vec());
            return Err(TensorError::NotContiguous { shape, strides });
        }
        let borrow = self.borrow(BorrowKind::Read)?;
        let bytes = if self.is_empty() {
            &[]
        } else {
            // SAFETY: contiguous, so `size_bytes` bytes from the first element on lie in the
            // storage and belong to elements, which have no uninitialised bytes; borrowed for
            // reading while the guard lives.
            unsafe { std::slice::from_raw_parts(self.as_ptr(), self.size_bytes()) }
        };
        Ok(BytesGuard { bytes, _borrow: borrow })
    }

    fn check_ndarray_can_view<T: Element>(&self) -> Result<(), TensorError> {
        let copy_bytes = self.size_bytes();
        if T::DTYPE != self.dtype() {
            let copy_bytes = self.len().saturating_mul(T::DTYPE.item_bytes());
            return Err(TensorError::WrongDType {
                expected: T::DTYPE,
                found: self.dtype(),
                copy_bytes,
            });
        }
        if self.is_empty() {
            return Ok(());
        }
        let (address, align_bytes) = (self.as_ptr().addr(), align_of::<T>());
        if !address.is_multiple_of(align_bytes) {
            return Err(TensorError::Unaligned { address, align_bytes, copy_bytes });
        }
        self.check_strides(size_of::<T>())?;
        if isize::try_from(self.len()).is_err() {
            return Err(TensorError::TooLarge { shape: self.shape().to_vec() });
        }
        Ok(())
    }

    /// ndarray's own rule for arrays that are written: each step clears all that the shorter steps
    /// reach. It also refuses layouts whose axes interleave without meeting.
    fn check_ndarray_can_write(&self) -> Result<(), TensorError> {
        if self.is_empty() {
            return Ok(());
        }
        let mut axes: Vec<(usize, usize)> = self
            .axes()
            .filter(|&(len, _)| len > 1)
            .map(|(len, stride)| (stride.unsigned_abs(), len))
            .collect();
        axes.sort_unstable();
        let mut reach = 0;
        let nested = axes.iter().all(|&(step, len)| {
            let clears = step > reach;
            reach += step * (len - 1);
            clears
        });
        if nested {
            return Ok(());
        }
        let (shape, strides) = (self.shape().to_vec(), self.strides().to_vec());
        Err(TensorError::Interleaved { shape, strides, copy_bytes: self.size_bytes() })
    }

    fn check_strides(&self, item_bytes: usize) -> Result<(), TensorError> {
        let odd = self
            .axes()
            .position(|(len, stride)| len > 1 && !stride.unsigned_abs().is_multiple_of(item_bytes));
        let Some(axis) = odd else { return Ok(()) };
        let (stride, copy_bytes) = (self.strides()[axis], self.size_bytes());
        Err(TensorError::OddStride { axis, stride, item_bytes, copy_bytes })
    }
}

/// The layout in ndarray's terms: lowest address, steps counted in elements, and which axes are
/// then walked backwards.
struct RawParts<T> {
    lowest: *mut T,
    shape: StrideShape<IxDyn>,
    reversed: Vec<Axis>,
}

impl<T: Element> RawParts<T> {
    /// `T` is the tensor's type and ndarray can express the layout, or this panics or truncates.
    fn of(tensor: &Tensor) -> Self {
        debug_assert_eq!(T::DTYPE, tensor.dtype());
        if tensor.is_empty() {
            let (lowest, shape) = (ptr::NonNull::dangling().as_ptr(), IxDyn(tensor.shape()).into());
            return Self { lowest, shape, reversed: Vec::new() };
        }
        // An axis of one element has no step, whatever its stride says.
        let steps = || tensor.axes().map(|(len, stride)| if len == 1 { 0 } else { stride });
        let below = |(&len, step): (&usize, isize)| {
            if step < 0 { step.unsigned_abs() * (len - 1) } else { 0 }
        };
        let below: usize = tensor.shape().iter().zip(steps()).map(below).sum();
        let strides: Vec<usize> =
            steps().map(|step| step.unsigned_abs() / size_of::<T>()).collect();
        Self {
            lowest: tensor.as_ptr().wrapping_sub(below).cast(),
            shape: IxDyn(tensor.shape()).strides(IxDyn(&strides)),
            reversed: (0..).map(Axis).zip(steps()).filter(|step| step.1 < 0).map(|s| s.0).collect(),
        }
    }

    fn view(self) -> RawArrayView<T, IxDyn> {
        // SAFETY: from the lowest element on, these shape and strides reach exactly the tensor's
        // elements, all within one storage and aligned; their number fits isize. If there are
        // none, none is reached.
        let mut view = unsafe { RawArrayView::from_shape_ptr(self.shape, self.lowest) };
        self.reversed.into_iter().for_each(|axis| view.invert_axis(axis));
        view
    }

    fn view_mut(self) -> RawArrayViewMut<T, IxDyn> {
        // SAFETY: as in `view`; that no element is reached twice is checked before.
        let mut view = unsafe { RawArrayViewMut::from_shape_ptr(self.shape, self.lowest) };
        self.reversed.into_iter().for_each(|axis| view.invert_axis(axis));
        view
    }
}

impl<T: Element> Deref for ReadGuard<'_, T> {
    type Target = ArrayRef<T, IxDyn>;
    fn deref(&self) -> &Self::Target {
        &self.view
    }
}

impl<T: Element> Deref for WriteGuard<'_, T> {
    type Target = ArrayRef<T, IxDyn>;
    fn deref(&self) -> &Self::Target {
        &self.view
    }
}

impl<T: Element> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.view
    }
}

impl Deref for BytesGuard<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.bytes
    }
}
