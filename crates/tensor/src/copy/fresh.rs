//! Copies into new memory.

use std::mem::MaybeUninit;

use ndbridge_dtype::{DType, Element};
#[cfg(not(feature = "cuda"))]
use ndbridge_storage::StorageError;
use ndbridge_storage::{Device, Storage, UninitStorage};

use super::{Side, Source, copy_elements};
use crate::count::PendingCopy;
use crate::error::TensorError;
use crate::layout::{Layout, LayoutError, Order};
use crate::receipt::{CopyReason, CopyReasons};
use crate::tensor::{CopyOrder, Tensor};

/// New memory of a layout without gaps, and the copy into it.
pub(super) struct Fresh {
    memory: UninitStorage,
    layout: Layout,
    dtype: DType,
    pending: PendingCopy,
    is_filled: bool,
    kernel: Option<&'static str>,
}

impl Source<'_> {
    /// Allocates for a copy of the source, if copies are allowed.
    pub(super) fn start_copy(
        &self,
        call: &'static str,
        reasons: CopyReasons,
        dtype: DType,
        order: CopyOrder,
        is_pinned: bool,
    ) -> Result<Fresh, TensorError> {
        let layout = gapless(self.tensor, dtype.item_bytes(), order)?;
        let bytes = layout.len() * dtype.item_bytes();
        let pending = PendingCopy::begin(call, reasons, bytes)?;
        let memory =
            if is_pinned { Storage::uninit_pinned(bytes)? } else { Storage::uninit(bytes)? };
        Ok(Fresh { memory, layout, dtype, pending, is_filled: false, kernel: None })
    }
}

impl Fresh {
    /// Copies the elements of `source`, which has the same shape.
    pub(super) fn fill_from(&mut self, source: &Source<'_>) {
        assert_eq!(source.tensor.shape(), self.layout.shape(), "a copy has its source's shape");
        let (ptr, strides, dtype) = (self.memory.as_mut_ptr(), self.layout.strides(), self.dtype);
        // SAFETY: a layout without gaps of `dtype` fits the new memory, which nobody else knows.
        self.kernel = unsafe { copy_elements(source, Side { ptr, strides, dtype }) };
        self.is_filled = true;
    }

    /// The bytes, once they are filled.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        assert!(self.is_filled, "new memory is filled before it is read");
        let (ptr, len) = (self.memory.as_mut_ptr(), self.memory.len_bytes());
        // SAFETY: the layout has no gaps, so filling it initialised every byte; `self` is the only
        // one who knows the memory.
        unsafe { std::slice::from_raw_parts_mut(ptr, len) }
    }

    /// The tensor, counted as copied.
    pub(super) fn finish(self) -> Result<Tensor, TensorError> {
        assert!(self.is_filled, "new memory is filled before it is read");
        // SAFETY: filled, and the layout has no gaps.
        let storage = unsafe { self.memory.assume_init() };
        let receipt = self.pending.finish().by_kernel(self.kernel);
        Ok(Tensor::over_all(storage, self.dtype, self.layout, receipt))
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
        let mut fresh = source.start_copy(call, reasons, dtype, order, false)?;
        fresh.fill_from(&source);
        fresh.finish()
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
        let mut fresh = source.start_copy(call, reasons, dtype, order, true)?;
        fresh.fill_from(&source);
        fresh.finish()
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
        #[cfg(feature = "cuda")]
        {
            let target = crate::cuda::Target { call, reasons, device, dtype, order, non_blocking };
            crate::cuda::copy_to(self, target)
        }
        #[cfg(not(feature = "cuda"))]
        {
            let _ = non_blocking;
            let device = if device.is_host() { self.device() } else { device };
            Err(StorageError::without_cuda(device).into())
        }
    }
}
