//! The handle.

use std::fmt;
use std::ops::Range;

use ndbridge_dtype::DType;
use ndbridge_layout::{Layout, Order};
use ndbridge_storage::{
    Borrow, BorrowKind, DEFAULT_BUDGET, Device, Mutability, Region, Storage, reaches_a_byte_twice,
};

use crate::error::TensorError;
use crate::receipt::Receipt;

/// Memory order of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyOrder {
    /// Last axis varies fastest.
    C,
    /// First axis varies fastest.
    F,
    /// As in the source, without its gaps.
    #[default]
    Keep,
}

/// An n-dimensional array: a view of a [`Storage`] through a [`Layout`].
///
/// A tensor is a handle. Cloning it, slicing it, permuting it shares the memory, whoever owns that;
/// the memory lives until its last handle is gone.
///
/// ```
/// use ndarray::{array, s};
/// use ndbridge_tensor::Tensor;
/// let image = Tensor::from_array(array![[1.0_f32, 2.0], [3.0, 4.0]])?;
/// let mirrored = image.slice(ndarray::s![.., ..;-1])?;
/// mirrored.write::<f32>()?[[0, 0]] = 7.0;
/// assert_eq!(image.read::<f32>()?[[0, 1]], 7.0);
/// # Ok::<(), ndbridge_tensor::TensorError>(())
/// ```
#[derive(Clone)]
pub struct Tensor {
    storage: Storage,
    // INVARIANT: every byte the layout reaches with items of `dtype` lies in `storage`.
    layout: Layout,
    dtype: DType,
    read_only: bool,
    receipt: Receipt,
}

impl Tensor {
    /// A tensor over `storage`, whose element `[0, .., 0]` lies `layout.offset()` bytes after its
    /// start.
    ///
    /// # Errors
    /// [`TensorError::OutsideStorage`] if the layout reaches past the storage.
    pub fn from_parts(storage: Storage, dtype: DType, layout: Layout) -> Result<Self, TensorError> {
        check_inside(&storage, dtype, &layout)?;
        let read_only = storage.is_read_only();
        Ok(Self { storage, layout, dtype, read_only, receipt: Receipt::shared("from_parts") })
    }

    /// A tensor over new memory that was made for its layout.
    #[inline]
    pub(crate) fn over_all(
        storage: Storage,
        dtype: DType,
        layout: Layout,
        receipt: Receipt,
    ) -> Self {
        debug_assert!(layout.byte_range(dtype.item_bytes()).end <= storage.len_bytes());
        Self { storage, layout, dtype, read_only: false, receipt }
    }

    /// The same memory through another layout.
    #[inline]
    pub(crate) fn with_layout(&self, layout: Layout) -> Result<Self, TensorError> {
        self.with_layout_and_dtype(layout, self.dtype)
    }

    #[inline]
    pub(crate) fn with_layout_and_dtype(
        &self,
        layout: Layout,
        dtype: DType,
    ) -> Result<Self, TensorError> {
        check_inside(&self.storage, dtype, &layout)?;
        let Self { read_only, receipt, .. } = *self;
        Ok(Self { storage: self.storage.clone(), layout, dtype, read_only, receipt })
    }

    /// The memory, and the handle's other parts.
    pub(crate) fn into_storage(self) -> (Storage, Handle) {
        let Self { storage, layout, dtype, read_only, receipt } = self;
        (storage, Handle { layout, dtype, read_only, receipt })
    }

    /// The same tensor with a receipt of the call that made it.
    #[must_use]
    pub fn with_receipt(mut self, receipt: Receipt) -> Self {
        self.receipt = receipt;
        self
    }

    /// The same memory, which this handle and its views may only read.
    #[must_use]
    pub fn into_read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// As [`into_read_only`](Self::into_read_only); memory that nobody else has a handle to, and no
    /// foreign code reaches, is then read-only for good, also for whoever gets it and brings it back.
    ///
    /// ```
    /// use ndbridge_tensor::{Tensor, storage::Mutability};
    /// let constant = Tensor::from_vec(vec![1.0_f32, 2.0]).into_constant();
    /// assert!(constant.write::<f32>().is_err());
    /// assert_eq!(constant.storage().mutability(), Mutability::ReadOnly);
    /// ```
    #[must_use]
    pub fn into_constant(mut self) -> Self {
        self.storage.make_read_only();
        self.into_read_only()
    }

    /// Length of each axis, in elements.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        self.layout.shape()
    }

    /// Step of each axis, in bytes.
    #[must_use]
    pub fn strides(&self) -> &[isize] {
        self.layout.strides()
    }

    /// Number of axes.
    #[must_use]
    pub fn ndim(&self) -> usize {
        self.layout.ndim()
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.layout.len()
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.layout.is_empty()
    }

    /// Bytes that the elements take without gaps.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.len().saturating_mul(self.dtype.item_bytes())
    }

    /// Data type of the elements.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Shape, strides and offset.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The memory behind this and maybe other tensors.
    #[must_use]
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Where the memory is.
    #[must_use]
    pub fn device(&self) -> Device {
        self.storage.device()
    }

    /// Whether writing through this handle is refused.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only || self.storage.is_read_only()
    }

    /// Whether the elements may be written through this handle, as far as anybody knows.
    #[must_use]
    pub fn mutability(&self) -> Mutability {
        if self.read_only { Mutability::ReadOnly } else { self.storage.mutability() }
    }

    /// What the conversion that brought this memory here did.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Whether the elements lie in `order` without gaps, by NumPy's rule.
    #[must_use]
    pub fn is_contiguous(&self, order: Order) -> bool {
        self.layout.is_contiguous(order, self.dtype.item_bytes())
    }

    /// Address of element `[0, .., 0]`; for reading it, [`read`](Self::read) is the way.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.storage.as_ptr().wrapping_add(self.layout.offset())
    }

    /// Whether the address and every stride in use are multiples of the data type's alignment.
    #[must_use]
    pub fn is_aligned(&self) -> bool {
        self.raw().is_aligned_to(self.dtype.align_bytes())
    }

    /// Whether a writer could be had if nobody held a borrow: the memory is known to be writable,
    /// and no byte is reached twice.
    pub(crate) fn can_be_written(&self) -> bool {
        let known = self.storage.check_writable(BorrowKind::Write).is_ok();
        known
            && !self.read_only
            && reaches_a_byte_twice(&self.region(), DEFAULT_BUDGET).is_disjoint()
    }

    /// Length and stride of each axis.
    pub(crate) fn axes(&self) -> impl Iterator<Item = (usize, isize)> {
        self.shape().iter().copied().zip(self.strides().iter().copied())
    }

    /// The bytes this tensor reaches, by address.
    pub(crate) fn region(&self) -> Region<'_> {
        self.raw().region(self.dtype.item_bytes())
    }

    /// Enters a borrow of the elements into the ledger, for host code to use them.
    #[inline]
    #[track_caller]
    pub(crate) fn borrow(&self, kind: BorrowKind) -> Result<Borrow<'_>, TensorError> {
        let copy_bytes = self.size_bytes();
        if !self.device().is_host() {
            return Err(TensorError::OnDevice { device: self.device(), copy_bytes });
        }
        self.borrow_anywhere(kind)
    }

    /// The same on whatever device: for work that is enqueued there.
    #[inline]
    #[track_caller]
    pub(crate) fn borrow_anywhere(&self, kind: BorrowKind) -> Result<Borrow<'_>, TensorError> {
        if kind == BorrowKind::Write && self.is_read_only() {
            return Err(TensorError::ReadOnly { copy_bytes: self.size_bytes() });
        }
        Ok(self.storage.borrow(kind, &self.region())?)
    }
}

fn check_inside(storage: &Storage, dtype: DType, layout: &Layout) -> Result<(), TensorError> {
    let Range { start, end } = layout.byte_range(dtype.item_bytes());
    let storage_bytes = storage.len_bytes();
    if layout.is_empty() || end <= storage_bytes {
        return Ok(());
    }
    Err(TensorError::OutsideStorage { start, end, storage_bytes })
}

/// A tensor taken from its storage, which only goes back to the same one.
pub(crate) struct Handle {
    layout: Layout,
    dtype: DType,
    read_only: bool,
    receipt: Receipt,
}

impl Handle {
    /// The tensor again; `storage` is the one it was taken from.
    pub(crate) fn with_storage(self, storage: Storage) -> Tensor {
        let Self { layout, dtype, read_only, receipt } = self;
        Tensor { storage, layout, dtype, read_only, receipt }
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tensor")
            .field("dtype", &self.dtype)
            .field("shape", &self.shape())
            .field("strides", &self.strides())
            .field("offset", &self.layout.offset())
            .field("device", &self.device())
            .field("read_only", &self.is_read_only())
            .field("receipt", &self.receipt)
            .finish_non_exhaustive()
    }
}
