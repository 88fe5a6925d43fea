//! Guards: elements as `ndarray` arrays, for as long as they are borrowed.
//!
//! A guard hands out a reference to an [`ndarray::ArrayRef`] and not an `ArrayView`: a view could be
//! copied out of the guard and would then outlive the borrow.

use std::ops::{Deref, DerefMut};

use ndarray::{ArrayRef, ArrayViewD, ArrayViewMutD, IxDyn};
use ndbridge_dtype::Element;
use ndbridge_layout::Order;
use ndbridge_storage::{Borrow, BorrowKind};

use crate::bool_check;
use crate::error::TensorError;
use crate::raw_elements::RawElements;
use crate::tensor::Tensor;

/// Elements borrowed for reading; derefs to an [`ArrayRef`] of the tensor's shape.
#[derive(Debug)]
pub struct ReadGuard<'t, T: Element> {
    tensor: &'t Tensor,
    view: ArrayViewD<'t, T>,
    _borrow: Borrow<'t>,
}

/// Elements borrowed for writing; derefs to a mutable [`ArrayRef`] of the tensor's shape.
#[derive(Debug)]
pub struct WriteGuard<'t, T: Element> {
    tensor: &'t Tensor,
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
        // SAFETY: ndarray can express the layout; the elements lie in the storage, which `self`
        // keeps alive for 't; they are valid values of T; the ledger keeps writers away until the
        // guard, and with it every reference to the view, is gone.
        let view = unsafe { self.raw().view() };
        Ok(ReadGuard { tensor: self, view, _borrow: borrow })
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
        self.raw().check_write(size_of::<T>())?;
        // SAFETY: as in `read`; the write borrow also proves that the layout reaches no byte twice
        // and that nobody else reaches these bytes.
        let view = unsafe { self.raw().view_mut() };
        Ok(WriteGuard { tensor: self, view, _borrow: borrow })
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

    pub(crate) fn raw(&self) -> RawElements<'_> {
        RawElements { ptr: self.as_ptr(), shape: self.shape(), strides: self.strides() }
    }

    fn check_ndarray_can_view<T: Element>(&self) -> Result<(), TensorError> {
        self.raw().check_typed::<T>(self.dtype())
    }
}

impl<'t, T: Element> ReadGuard<'t, T> {
    /// The tensor whose elements these are.
    #[must_use]
    pub fn tensor(&self) -> &'t Tensor {
        self.tensor
    }
}

impl<'t, T: Element> WriteGuard<'t, T> {
    /// The tensor whose elements these are.
    #[must_use]
    pub fn tensor(&self) -> &'t Tensor {
        self.tensor
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
