//! The shared tier: element by element, by relaxed atomic loads and stores.
//!
//! For memory that others are writing right now. No reference to the elements ever exists, so
//! nothing that others do makes a program unsound; what is read may be old, or, for `complex128`,
//! a real part and an imaginary part of two different writes.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

use ndbridge_dtype::Element;
use ndbridge_storage::{
    Access, Borrow, BorrowError, BorrowKind, DEFAULT_BUDGET, reaches_a_byte_twice,
};

use crate::element_access::{load, store};
use crate::error::TensorError;
use crate::tensor::Tensor;

/// Elements that others may be writing, one at a time.
///
/// ```
/// use ndbridge_tensor::Tensor;
/// let counts = Tensor::from_vec(vec![1_u32, 2, 3]);
/// let one = counts.shared::<u32>()?;
/// let other = counts.shared::<u32>()?; // at the same time
/// one.store(&[1], 20)?;
/// assert_eq!(other.load(&[1])?, 20);
/// # Ok::<(), ndbridge_tensor::TensorError>(())
/// ```
#[derive(Debug)]
pub struct SharedView<'t, T: Element> {
    tensor: &'t Tensor,
    element: PhantomData<T>,
    reaches_twice: bool,
    // Nobody writes these bytes. An atomic load would claim that somebody may.
    is_constant: bool,
    _borrow: Borrow<'t>,
}

impl Tensor {
    /// Reaches the elements while others, in this program or outside of it, write them.
    ///
    /// Any number of shared views go together, if their elements are of one size (`complex128`
    /// counts as 8 bytes); they exclude the guards of
    /// [`read`](Self::read) and [`write`](Self::write), which promise that nothing changes.
    ///
    /// # Errors
    /// If `T` is not the tensor's data type, if a guard holds overlapping bytes, if the gate of
    /// lent memory is shut, or if an element is not aligned for atomic access.
    #[track_caller]
    pub fn shared<T: Element>(&self) -> Result<SharedView<'_, T>, TensorError> {
        let copy_bytes = self.len().saturating_mul(T::DTYPE.item_bytes());
        if T::DTYPE != self.dtype() {
            let (expected, found) = (T::DTYPE, self.dtype());
            return Err(TensorError::WrongDType { expected, found, copy_bytes });
        }
        let align_bytes = size_of::<T>().min(8);
        if !self.raw().is_aligned_to(align_bytes) {
            let address = self.as_ptr().addr();
            return Err(TensorError::Unaligned { address, align_bytes, copy_bytes });
        }
        let borrow = self.borrow(atoms_of::<T>())?;
        let reaches_twice = !reaches_a_byte_twice(&self.region(), DEFAULT_BUDGET).is_disjoint();
        let storage = self.storage();
        let is_constant = storage.is_read_only() && storage.access() != Access::Lent;
        let element = PhantomData;
        Ok(SharedView { tensor: self, element, reaches_twice, is_constant, _borrow: borrow })
    }
}

impl<T: Element> SharedView<'_, T> {
    /// The element at `index`, as it is now.
    ///
    /// # Errors
    /// If `index` is out of bounds, or the byte there is no `bool`.
    pub fn load(&self, index: &[usize]) -> Result<T, TensorError> {
        let ptr = self.element(index)?;
        let mut bytes = [0_u8; 16];
        if self.is_constant {
            // SAFETY: the address of an element that nobody writes; `bytes` is local.
            unsafe { bytes.as_mut_ptr().copy_from_nonoverlapping(ptr, size_of::<T>()) };
        } else {
            // SAFETY: the address of an element, aligned for atomics of its size (checked by
            // `shared`), in memory that may be written.
            unsafe { load_relaxed(ptr, size_of::<T>(), &mut bytes) };
        }
        if T::DTYPE == ndbridge_dtype::DType::Bool && bytes[0] > 1 {
            return Err(TensorError::InvalidBool { index: index.to_vec(), byte: bytes[0] });
        }
        // SAFETY: `bytes` is local and at least as long as any element.
        Ok(unsafe { load::<T>(bytes.as_ptr()) })
    }

    /// Writes the element at `index`.
    ///
    /// # Errors
    /// If `index` is out of bounds, the tensor is read-only, or its layout reaches a byte twice.
    pub fn store(&self, index: &[usize], value: T) -> Result<(), TensorError> {
        if self.tensor.is_read_only() {
            return Err(TensorError::ReadOnly { copy_bytes: self.tensor.size_bytes() });
        }
        self.tensor.storage().check_writable(atoms_of::<T>())?;
        if self.reaches_twice {
            return Err(BorrowError::ReachesTwice { wanted: atoms_of::<T>() }.into());
        }
        let ptr = self.element(index)?;
        let mut bytes = [0_u8; 16];
        // SAFETY: `bytes` is local and at least as long as any element.
        unsafe { store::<T>(bytes.as_mut_ptr(), value) };
        // SAFETY: the address of an element of writable memory, aligned for atomics of its size.
        unsafe { store_relaxed(ptr, size_of::<T>(), &bytes) };
        Ok(())
    }

    fn element(&self, index: &[usize]) -> Result<*mut u8, TensorError> {
        let offset = self.tensor.layout().offset_of(index);
        let offset = offset.ok_or_else(|| self.tensor.out_of_bounds(index))?;
        Ok(self.tensor.storage().as_ptr().wrapping_add(offset))
    }
}

/// Elements are reached by atomics of their own size, `complex128` by two of 8 bytes.
fn atoms_of<T: Element>() -> BorrowKind {
    BorrowKind::shared(size_of::<T>().min(8)).expect("elements have 1, 2, 4, 8 or 16 bytes")
}

/// # Safety
/// `ptr` points to `item_bytes` (1, 2, 4, 8 or 16) live bytes, aligned to the smaller of
/// `item_bytes` and 8.
unsafe fn load_relaxed(ptr: *mut u8, item_bytes: usize, into: &mut [u8; 16]) {
    macro_rules! load_one {
        ($atomic:ty, $at:expr) => {{
            // SAFETY: live and aligned, promised by the caller.
            let atom = unsafe { <$atomic>::from_ptr(ptr.add($at).cast()) };
            let value = atom.load(Relaxed).to_ne_bytes();
            into[$at..$at + value.len()].copy_from_slice(&value);
        }};
    }
    match item_bytes {
        1 => load_one!(AtomicU8, 0),
        2 => load_one!(AtomicU16, 0),
        4 => load_one!(AtomicU32, 0),
        _ => load_one!(AtomicU64, 0),
    }
    if item_bytes == 16 {
        load_one!(AtomicU64, 8);
    }
}

/// # Safety
/// As [`load_relaxed`]; the bytes may be written.
unsafe fn store_relaxed(ptr: *mut u8, item_bytes: usize, from: &[u8; 16]) {
    macro_rules! store_one {
        ($atomic:ty, $raw:ty, $at:expr) => {{
            let mut value = [0_u8; size_of::<$raw>()];
            value.copy_from_slice(&from[$at..$at + size_of::<$raw>()]);
            // SAFETY: live and aligned, promised by the caller.
            let atom = unsafe { <$atomic>::from_ptr(ptr.add($at).cast()) };
            atom.store(<$raw>::from_ne_bytes(value), Relaxed);
        }};
    }
    match item_bytes {
        1 => store_one!(AtomicU8, u8, 0),
        2 => store_one!(AtomicU16, u16, 0),
        4 => store_one!(AtomicU32, u32, 0),
        _ => store_one!(AtomicU64, u64, 0),
    }
    if item_bytes == 16 {
        store_one!(AtomicU64, u64, 8);
    }
}
