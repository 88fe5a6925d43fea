//! Copies into new memory.

use std::mem::MaybeUninit;

use ndbridge_dtype::{DType, Element};
use ndbridge_layout::{Layout, LayoutError, Order};
use ndbridge_storage::{Device, Storage};

use super::elements::copy_elements;
use super::side::Side;
use super::source::Source;
use crate::count::PendingCopy;
use crate::elsewhere::{self, Target};
use crate::error::TensorError;
use crate::receipt::{CopyReason, CopyReasons};
use crate::tensor::{CopyOrder, Tensor};

/// What new memory is filled with, by which call, and why.
pub(super) struct Copying {
    pub(super) call: &'static str,
    pub(super) reasons: CopyReasons,
    pub(super) dtype: DType,
    pub(super) order: CopyOrder,
    pub(super) is_pinned: bool,
}

impl Source<'_> {
    /// A copy in new memory without gaps, whose bytes `adjust` may change.
    #[inline]
    pub(super) fn copy(
        &self,
        copying: Copying,
        adjust: impl FnOnce(&mut [u8]),
    ) -> Result<Tensor, TensorError> {
        let Copying { call, reasons, dtype, order, is_pinned } = copying;
        let layout = gapless(self.tensor, dtype.item_bytes(), order)?;
        let bytes = layout.len() * dtype.item_bytes();
        let pending = PendingCopy::begin(call, reasons, bytes)?;
        let mut memory =
            if is_pinned { Storage::uninit_pinned(bytes)? } else { Storage::uninit(bytes)? };
        let ptr = memory.as_mut_ptr();
        // SAFETY: a layout without gaps of `dtype`, of the source's shape, fits the new memory, which
        // nobody else knows.
        let kernel = unsafe { copy_elements(self, Side { ptr, strides: layout.strides(), dtype }) };
        // SAFETY: the layout has no gaps, so every byte is filled; nobody else knows the memory.
        adjust(unsafe { std::slice::from_raw_parts_mut(ptr, bytes) });
        // SAFETY: filled, as above.
        let storage = unsafe { memory.assume_init() };
        Ok(Tensor::over_all(storage, dtype, layout, pending.finish().by_kernel(kernel)))
    }
}

impl<'t> Source<'t> {
    pub(crate) fn tensor(&self) -> &'t Tensor {
        self.tensor
    }

    /// Writes every element, in C order, into `spare`.
    ///
    /// # Panics
    /// If `T` is not the data type or `spare` is too short.
    pub(crate) fn copy_to_spare<T: Element>(&self, spare: &mut [MaybeUninit<T>]) {
        assert_eq!(self.tensor.dtype(), T::DTYPE, "elements are copied as what they are");
        assert!(spare.len() >= self.tensor.len(), "room for every element");
        if self.tensor.is_empty() {
            return; // and its other lengths may be too large for any layout without gaps
        }
        let layout = gapless(self.tensor, size_of::<T>(), CopyOrder::C);
        let layout = layout.expect("the shape of a tensor whose elements fit in memory");
        let (ptr, strides) = (spare.as_mut_ptr().cast(), layout.strides());
        // SAFETY: a layout without gaps of as many elements fits `spare`, which is borrowed
        // mutably and so is apart from the source.
        unsafe { copy_elements(self, Side { ptr, strides, dtype: T::DTYPE }) };
    }
}

/// A layout of the tensor's shape without gaps, in `order`.
#[inline]
pub(crate) fn gapless(
    tensor: &Tensor,
    item_bytes: usize,
    order: CopyOrder,
) -> Result<Layout, LayoutError> {
    match order {
        CopyOrder::C => Layout::contiguous(tensor.shape(), item_bytes, Order::C),
        CopyOrder::F => Layout::contiguous(tensor.shape(), item_bytes, Order::F),
        CopyOrder::Keep => tensor.layout().keep_order(tensor.dtype().item_bytes(), item_bytes),
    }
}

impl Tensor {
    /// A copy in new memory: private, writable, 64-byte aligned, without gaps.
    ///
    /// ```
    /// use ndbridge_tensor::{CopyOrder, Tensor, shares_memory};
    /// let tensor = Tensor::from_vec(vec![1_i16, 2, 3]);
    /// let copy = tensor.copy(CopyOrder::C)?;
    /// assert!(!shares_memory(&tensor, &copy));
    /// assert_eq!(copy.receipt().copied_bytes(), 6);
    /// # Ok::<(), ndbridge_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// If the memory cannot be read, none is left, or copies are forbidden.
    #[track_caller]
    pub fn copy(&self, order: CopyOrder) -> Result<Self, TensorError> {
        self.copy_for("copy", CopyReason::Requested.into(), self.dtype(), order)
    }

    /// A copy of data type `dtype`; each value converts as [`ndbridge_dtype::convert`] has it.
    ///
    /// Copies also if `dtype` is what the tensor has.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    #[track_caller]
    pub fn to_dtype(&self, dtype: DType) -> Result<Self, TensorError> {
        let reason = if dtype == self.dtype() { CopyReason::Requested } else { CopyReason::DType };
        self.copy_for("to_dtype", reason.into(), dtype, CopyOrder::Keep)
    }

    /// A copy in C order, in another shape; one length may be -1.
    ///
    /// # Errors
    /// If the numbers of elements differ; else as [`copy`](Self::copy).
    #[track_caller]
    pub fn reshape_copy(&self, shape: &[isize]) -> Result<Self, TensorError> {
        let reasons = CopyReasons::from(CopyReason::Requested);
        self.layout().resolve_shape(shape)?;
        self.copy_for("reshape_copy", reasons, self.dtype(), CopyOrder::C)?.reshape(shape)
    }

    /// A copy made by `call` for `reasons`.
    #[track_caller]
    pub(crate) fn copy_for(
        &self,
        call: &'static str,
        reasons: CopyReasons,
        dtype: DType,
        order: CopyOrder,
    ) -> Result<Self, TensorError> {
        if !self.device().is_host() {
            return self.copy_to_device(call, reasons, self.device(), dtype, order, false);
        }
        let source = if dtype == self.dtype() {
            Source::borrow(self)?
        } else {
            Source::borrow_values(self)?
        };
        source.copy(Copying { call, reasons, dtype, order, is_pinned: false }, |_| ())
    }

    /// A copy in page-locked memory of a tensor in host memory.
    #[track_caller]
    fn pinned_copy(
        &self,
        call: &'static str,
        reasons: CopyReasons,
        dtype: DType,
        order: CopyOrder,
    ) -> Result<Self, TensorError> {
        let source = Source::borrow_values(self)?;
        source.copy(Copying { call, reasons, dtype, order, is_pinned: true }, |_| ())
    }

    /// A copy in memory of `device`, wherever this tensor is.
    #[track_caller]
    pub(crate) fn copy_to_device(
        &self,
        call: &'static str,
        reasons: CopyReasons,
        device: Device,
        dtype: DType,
        order: CopyOrder,
        non_blocking: bool,
    ) -> Result<Self, TensorError> {
        match (self.device().is_host(), device) {
            (true, Device::Cpu) => return self.copy_for(call, reasons, dtype, order),
            (true, Device::CudaHost) => return self.pinned_copy(call, reasons, dtype, order),
            _ => {}
        }
        let target = Target { call, reasons, device, dtype, order, non_blocking };
        elsewhere::copy_to(self, target)
    }
}
