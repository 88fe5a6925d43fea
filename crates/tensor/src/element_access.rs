//! One element at a time, of whatever data type.

use ndbridge_dtype::{Element, Scalar, match_dtype};
use ndbridge_layout::Order;
use ndbridge_storage::{Borrow, BorrowKind};

use crate::bool_check;
use crate::error::TensorError;
use crate::tensor::Tensor;

/// The element at `ptr`, which need not be aligned. Bits that are no value of `T` give zero.
///
/// # Safety
/// `ptr` is good for reading `size_of::<T>()` initialised bytes that nobody writes meanwhile.
pub(crate) unsafe fn load<T: Element>(ptr: *const u8) -> T {
    // SAFETY: readable, promised by the caller; any bits are a value of `Bits`.
    let bits = unsafe { ptr.cast::<T::Bits>().read_unaligned() };
    if T::is_valid_bit_pattern(&bits) {
        // SAFETY: `Bits` has the layout of `T`, and these bits are a value of it.
        unsafe { std::mem::transmute_copy(&bits) }
    } else {
        T::zeroed()
    }
}

/// Stores `value` at `ptr`, which need not be aligned.
///
/// # Safety
/// `ptr` is good for writing `size_of::<T>()` bytes that nobody else reaches meanwhile.
pub(crate) unsafe fn store<T: Element>(ptr: *mut u8, value: T) {
    // SAFETY: writable, promised by the caller.
    unsafe { ptr.cast::<T>().write_unaligned(value) }
}

/// The byte `offset` bytes after the start of the storage.
///
/// # Panics
/// If `offset` lies outside of the storage.
pub(crate) fn byte_at(tensor: &Tensor, _held: &Borrow<'_>, offset: usize) -> u8 {
    let storage = tensor.storage();
    assert!(offset < storage.len_bytes(), "offset {offset} of {} B", storage.len_bytes());
    // SAFETY: inside the storage, on the host (a borrow of host memory exists), initialised.
    unsafe { storage.as_ptr().wrapping_add(offset).read() }
}

/// The bytes of all elements, in memory order, if there are no gaps between them.
pub(crate) fn gapless_bytes<'b>(tensor: &'b Tensor, _held: &'b Borrow<'_>) -> Option<&'b [u8]> {
    if !tensor.is_contiguous(Order::C) && !tensor.is_contiguous(Order::F) {
        return None;
    }
    if tensor.is_empty() {
        return Some(&[]);
    }
    // SAFETY: without gaps, the elements are `size_bytes` initialised bytes of the storage from the
    // first one on; the borrow, which is of host memory, keeps writers away.
    Some(unsafe { std::slice::from_raw_parts(tensor.as_ptr(), tensor.size_bytes()) })
}

/// The elements of a tensor as [`Scalar`]s, borrowed for reading.
pub(crate) struct Elements<'t> {
    tensor: &'t Tensor,
    _borrow: Borrow<'t>,
}

impl<'t> Elements<'t> {
    #[track_caller]
    pub(crate) fn of(tensor: &'t Tensor) -> Result<Self, TensorError> {
        let borrow = tensor.borrow(BorrowKind::Read)?;
        bool_check::check(tensor, &borrow)?;
        Ok(Self { tensor, _borrow: borrow })
    }

    /// The element at `index`.
    ///
    /// # Panics
    /// If `index` lies outside of the shape.
    pub(crate) fn at(&self, index: &[usize]) -> Scalar {
        assert!(is_inside(index, self.tensor.shape()), "index {index:?} outside of the shape");
        self.load(address(self.tensor, index))
    }

    /// All elements, in C order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Scalar> {
        let base = self.tensor.storage().as_ptr();
        self.tensor.layout().offsets().map(move |offset| self.load(base.wrapping_add(offset)))
    }

    fn load(&self, ptr: *const u8) -> Scalar {
        // SAFETY: both callers pass the address of an element of the tensor, whose bytes are
        // initialised and borrowed for reading as long as `self` lives.
        match_dtype!(self.tensor.dtype(), T => Scalar::from_element::<T>(unsafe { load::<T>(ptr) }))
    }
}

/// Whether `index` names an element of `shape`.
pub(crate) fn is_inside(index: &[usize], shape: &[usize]) -> bool {
    index.len() == shape.len() && index.iter().zip(shape).all(|(at, len)| at < len)
}

/// Address of the element at `index`, which lies inside the shape.
pub(crate) fn address(tensor: &Tensor, index: &[usize]) -> *mut u8 {
    let steps = index.iter().zip(tensor.strides());
    steps.fold(tensor.as_ptr(), |ptr, (&at, &stride)| {
        ptr.wrapping_offset((at as isize).wrapping_mul(stride))
    })
}
