//! An array as its producer describes it.

use ndbridge_dtype::{ByteOrder, DType};
use ndbridge_storage::{Device, Foreign, ForeignAccess, Mutability, Storage, StorageError};
use ndbridge_tensor::{Layout, Tensor, TensorError};
use smallvec::SmallVec;
#[cfg(feature = "python")]
use {
    ndbridge_storage::Region,
    ndbridge_tensor::{Facts, Order, RawElements},
};

/// Pointer, shape, byte strides and data type, whatever protocol they came by.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    /// Element `[0, .., 0]`; anything if there are no elements.
    pub(crate) ptr: *mut u8,
    // INVARIANT: as many strides as lengths.
    pub(crate) shape: SmallVec<[usize; 4]>,
    pub(crate) strides: SmallVec<[isize; 4]>,
    pub(crate) dtype: DType,
    #[cfg_attr(not(feature = "python"), expect(dead_code, reason = "DLPack has one order"))]
    pub(crate) byte_order: ByteOrder,
    pub(crate) device: Device,
    pub(crate) mutability: Mutability,
}

impl Described {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Number of elements; at the most `usize::MAX`.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().fold(1, |len: usize, &axis| len.saturating_mul(axis))
    }

    /// Bytes below element `[0, .., 0]`, and bytes in all, that the elements span.
    #[inline]
    fn extent(&self) -> (usize, usize) {
        if self.is_empty() {
            return (0, 0);
        }
        let (mut below, mut above) = (0_usize, self.dtype.item_bytes());
        for (&len, &stride) in self.shape.iter().zip(&self.strides) {
            // What overflows here, `Layout::new` refuses.
            let reach = stride.unsigned_abs().saturating_mul(len - 1);
            let side = if stride < 0 { &mut below } else { &mut above };
            *side = side.saturating_add(reach);
        }
        (below, below.saturating_add(above))
    }

    /// Whether any memory can be as described. Nothing is read.
    ///
    /// # Errors
    /// As [`Layout::new`] and [`Device::check_addresses`].
    pub(crate) fn check(&self) -> Result<(), TensorError> {
        self.span().map(|_| ())
    }

    /// The first of all bytes that the elements span, their number, and the layout in them.
    // Inlined, as what is just written is moved slowly.
    #[inline(always)]
    fn span(&self) -> Result<(*mut u8, usize, Layout), TensorError> {
        let (below, len_bytes) = self.extent();
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
    pub(crate) fn addresses(&self) -> Option<(usize, usize)> {
        let (below, len_bytes) = self.extent();
        let start = self.ptr.addr().checked_sub(below)?;
        (len_bytes > 0).then_some((start, start.checked_add(len_bytes)?))
    }

    /// Whether the elements lie in `storage`.
    pub(crate) fn lies_in(&self, storage: &Storage) -> bool {
        // Pinned memory may come back as plain host memory.
        let is_same_place =
            storage.device() == self.device || storage.device().is_host() && self.device.is_host();
        let addresses = storage.addresses();
        let is_inside = |(start, end)| addresses.start <= start && end <= addresses.end;
        is_same_place && self.addresses().is_none_or(is_inside)
    }

    /// The elements as a view of memory that is known as `storage`; of read-only elements a
    /// read-only one.
    pub(crate) fn view_of(&self, storage: &Storage) -> Result<Tensor, TensorError> {
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
    pub(crate) unsafe fn into_tensor<O: Send + Sync + 'static>(
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
}

/// What live arrays need besides.
#[cfg(feature = "python")]
impl Described {
    #[inline]
    pub(crate) fn raw(&self) -> RawElements<'_> {
        RawElements { ptr: self.ptr, shape: &self.shape, strides: &self.strides }
    }

    pub(crate) fn region(&self) -> Region<'_> {
        self.raw().region(self.dtype.item_bytes())
    }

    /// Whether the elements lie in `order` without gaps, by NumPy's rule.
    pub(crate) fn is_contiguous(&self, order: Order) -> bool {
        self.raw().is_contiguous(order, self.dtype.item_bytes())
    }

    pub(crate) fn facts(&self) -> Facts {
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
