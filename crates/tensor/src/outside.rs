//! Memory from outside, as its producer describes it: the one way in.

use ndbridge_dtype::{ByteOrder, DType};
use ndbridge_layout::{Layout, Order, extent, saturating_len};
use ndbridge_storage::{Device, Foreign, ForeignAccess, Mutability, Region, Storage, StorageError};
use smallvec::SmallVec;

use crate::error::TensorError;
use crate::plan::Facts;
use crate::raw_elements::RawElements;
use crate::tensor::Tensor;

/// Pointer, shape, byte strides and data type of elements that somebody else owns, whatever protocol
/// told of them: a NumPy array, a DLPack structure, a buffer. Why it is no
/// [`Layout`]: it has a pointer, and shape and strides that nobody has checked.
///
/// Nothing is believed yet: whoever fills it in says what the producer said.
/// [`check`](Self::check) refuses what no memory can be, and [`into_tensor`](Self::into_tensor) makes a
/// tensor that shares the memory.
///
/// ```
/// use ndbridge_dtype::{ByteOrder, DType};
/// use ndbridge_tensor::storage::{Device, ForeignAccess, Mutability, gate::Always};
/// use ndbridge_tensor::Outside;
/// use smallvec::smallvec;
///
/// let mut samples = vec![1_i16, 2, 3, 4, 5, 6];
/// let outside = Outside {
///     ptr: samples.as_mut_ptr().cast(),
///     shape: smallvec![3],
///     strides: smallvec![4], // every other one
///     dtype: DType::I16,
///     byte_order: ByteOrder::NATIVE,
///     device: Device::Cpu,
///     mutability: Mutability::ReadOnly,
/// };
/// let access = ForeignAccess::Lent(std::sync::Arc::new(Always));
/// // SAFETY: the samples stay in their place in the vector that the tensor keeps.
/// let tensor = unsafe { outside.into_tensor("samples", samples, access)? };
/// assert_eq!(tensor.to_vec::<i16>()?, [1, 3, 5]);
/// # Ok::<(), ndbridge_tensor::TensorError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Outside {
    /// Element `[0, .., 0]`; anything if there are no elements.
    pub ptr: *mut u8,
    /// Length of each axis.
    pub shape: SmallVec<[usize; 4]>,
    /// Bytes from one element to the next along each axis: as many as lengths.
    pub strides: SmallVec<[isize; 4]>,
    /// Data type of the elements.
    pub dtype: DType,
    /// Byte order of the elements. A tensor has this machine's: what is in the other one has to be
    /// turned by a copy.
    pub byte_order: ByteOrder,
    /// Where they lie.
    pub device: Device,
    /// Whether the producer lets them be written.
    pub mutability: Mutability,
}

impl Outside {
    /// Whether there are no elements.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Number of elements; at the most `usize::MAX`.
    #[inline]
    pub fn len(&self) -> usize {
        saturating_len(&self.shape)
    }

    /// Bytes below element `[0, .., 0]`, and bytes in all, that the elements span; `None` past `isize`.
    #[inline]
    fn extent(&self) -> Option<(usize, usize)> {
        let bytes = extent(&self.shape, &self.strides, self.dtype.item_bytes())?;
        Some((bytes.start.unsigned_abs(), bytes.end.abs_diff(bytes.start)))
    }

    /// Whether any memory can be as described. Nothing is read.
    ///
    /// # Errors
    /// As [`Layout::new`] and [`Device::check_addresses`].
    pub fn check(&self) -> Result<(), TensorError> {
        self.span().map(|_| ())
    }

    /// The first of all bytes that the elements span, their number, and the layout in them.
    // Inlined, as what is just written is moved slowly.
    #[inline(always)]
    fn span(&self) -> Result<(*mut u8, usize, Layout), TensorError> {
        // What has no extent, `Layout::new` refuses.
        let (below, len_bytes) = self.extent().unwrap_or_default();
        let layout = Layout::new(&self.shape, &self.strides, below, self.dtype.item_bytes())?;
        let address = self.ptr.addr();
        if below > address {
            return Err(StorageError::PastAddressSpace { address, len_bytes }.into());
        }
        self.device.check_addresses(address - below, len_bytes)?;
        Ok((self.ptr.wrapping_sub(below), len_bytes, layout))
    }

    /// First and past-the-last address of the elements; `None` if there are none.
    #[inline]
    pub fn addresses(&self) -> Option<(usize, usize)> {
        let (below, len_bytes) = self.extent()?;
        let start = self.ptr.addr().checked_sub(below)?;
        (len_bytes > 0).then_some((start, start.checked_add(len_bytes)?))
    }

    /// Whether the elements lie in `storage`.
    pub fn lies_in(&self, storage: &Storage) -> bool {
        // Pinned memory may come back as plain host memory.
        let is_same_place =
            storage.device() == self.device || storage.device().is_host() && self.device.is_host();
        let addresses = storage.addresses();
        let is_inside = |(start, end)| addresses.start <= start && end <= addresses.end;
        is_same_place && self.addresses().is_none_or(is_inside)
    }

    /// The elements as a view of memory that is known as `storage`; of read-only elements a
    /// read-only one.
    pub fn view_of(&self, storage: &Storage) -> Result<Tensor, TensorError> {
        // Without elements, the pointer may be anything.
        let offset = match self.is_empty() {
            true => 0,
            false => self.ptr.addr().wrapping_sub(storage.addresses().start),
        };
        let layout = Layout::new(&self.shape, &self.strides, offset, self.dtype.item_bytes())?;
        let tensor = Tensor::from_parts(storage.clone(), self.dtype, layout)?;
        let is_read_only = self.mutability == Mutability::ReadOnly;
        Ok(if is_read_only { tensor.into_read_only() } else { tensor })
    }

    /// A tensor over the memory, whose elements are taken as they lie, maybe in the other byte
    /// order. The owner is dropped if the description is one that no memory can have, or if the
    /// driver of a device knows better.
    ///
    /// # Safety
    /// The description is true until `owner` is dropped, on whatever thread; others use the memory
    /// only as `access` says; see [`Storage::from_foreign`].
    #[inline]
    pub unsafe fn into_tensor<O: Send + Sync + 'static>(
        self,
        name: &'static str,
        owner: O,
        access: ForeignAccess,
    ) -> Result<Tensor, TensorError> {
        let (ptr, len_bytes, layout) = self.span()?;
        let device = self.device;
        device.check_pointer(ptr.addr(), len_bytes)?;
        let mutability = self.mutability;
        let foreign = Foreign { owner, name, ptr, len_bytes, device, mutability, access };
        // SAFETY: the extent covers exactly the elements; the rest is promised by the caller.
        let storage = unsafe { Storage::from_foreign(foreign)? };
        Tensor::from_parts(storage, self.dtype, layout)
    }

    /// The elements as pointer, shape and strides.
    #[inline]
    pub fn raw(&self) -> RawElements<'_> {
        RawElements { ptr: self.ptr, shape: &self.shape, strides: &self.strides }
    }

    /// The bytes of the elements.
    #[must_use]
    pub fn region(&self) -> Region<'_> {
        self.raw().region(self.dtype.item_bytes())
    }

    /// Whether the elements lie in `order` without gaps, by NumPy's rule.
    pub fn is_contiguous(&self, order: Order) -> bool {
        self.raw().is_contiguous(order, self.dtype.item_bytes())
    }

    /// What a plan needs to know of them.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts {
            dtype: self.dtype,
            byte_order: self.byte_order,
            len: self.len(),
            c_contiguous: self.is_contiguous(Order::C),
            f_contiguous: self.is_contiguous(Order::F),
            aligned: self.raw().is_aligned_to(self.dtype.align_bytes()),
            writable: self.mutability == Mutability::Writable,
            device: self.device,
            is_array: true,
        }
    }
}
