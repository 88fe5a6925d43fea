//! `ndarray` in and out.

use std::fmt;

use ndarray::{ArcArray, Array, Array1, ArrayD, ArrayRef, Axis, Dimension, IxDyn, s};
use ndbridge_dtype::Element;
use ndbridge_layout::{Layout, extent};
use ndbridge_storage::{Device, Foreign, ForeignAccess, Mutability, Storage};
use smallvec::SmallVec;

use crate::copy::Source;
use crate::count::PendingCopy;
use crate::error::TensorError;
use crate::receipt::{CopyReason, CopyReasons, Receipt};
use crate::tensor::Tensor;

/// Why a tensor could not become an array, and the tensor.
#[derive(Debug)]
pub struct IntoArrayError {
    /// The tensor, unharmed.
    pub tensor: Tensor,
    /// What was wrong.
    pub error: TensorError,
}

impl fmt::Display for IntoArrayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for IntoArrayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl Tensor {
    /// The array itself as a tensor: its memory is used, not copied.
    ///
    /// ```
    /// use ndbridge_tensor::Tensor;
    /// let array = ndarray::array![[1, 2], [3, 4_i64]];
    /// let address = array.as_ptr().addr();
    /// let tensor = Tensor::from_array(array)?;
    /// assert_eq!(tensor.as_ptr().addr(), address);
    /// # Ok::<(), ndbridge_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// If the array has more than 64 axes.
    pub fn from_array<T: Element, D: Dimension>(array: Array<T, D>) -> Result<Self, TensorError> {
        let shape: SmallVec<[usize; 4]> = array.shape().into();
        let strides = byte_strides::<T>(array.strides());
        let (values, offset) = array.into_raw_vec_and_offset();
        let offset_bytes = offset.unwrap_or(0) * size_of::<T>();
        let layout = Layout::new(&shape, &strides, offset_bytes, size_of::<T>())?;
        let tensor = Self::from_parts(Storage::from_vec(values), T::DTYPE, layout)?;
        Ok(tensor.with_receipt(Receipt::shared("from_array")))
    }

    /// An `ArcArray` as a tensor: shares its memory, and may only read it, since its other
    /// holders rely on that.
    ///
    /// # Errors
    /// If the array has more than 64 axes.
    pub fn from_arc_array<T: Element, D: Dimension + 'static>(
        array: ArcArray<T, D>,
    ) -> Result<Self, TensorError> {
        let strides = byte_strides::<T>(array.strides());
        let (below, len_bytes) = extent_bytes::<T>(array.shape(), &strides);
        let layout = Layout::new(array.shape(), &strides, below, size_of::<T>())?;
        let first = array.as_ptr().cast_mut().cast::<u8>();
        let foreign = Foreign {
            name: "ArcArray",
            ptr: first.wrapping_sub(below),
            len_bytes,
            device: Device::Cpu,
            access: ForeignAccess::Frozen,
            mutability: Mutability::ReadOnly,
            owner: array,
        };
        // SAFETY: the extent covers exactly the array's elements, which live as long as a holder
        // does, and the owner is one; while there are several holders nobody may write.
        let storage = unsafe { Storage::from_foreign(foreign)? };
        let tensor = Self::from_parts(storage, T::DTYPE, layout)?;
        Ok(tensor.with_receipt(Receipt::shared("from_arc_array")))
    }

    /// A copy of borrowed elements, with their axes in the order they have in memory.
    ///
    /// # Errors
    /// If the array has more than 64 axes, memory is short, or copies are forbidden.
    pub fn copy_of<T: Element, D: Dimension>(array: &ArrayRef<T, D>) -> Result<Self, TensorError> {
        let strides = byte_strides::<T>(array.strides());
        let (below, _) = extent_bytes::<T>(array.shape(), &strides);
        let source = Layout::new(array.shape(), &strides, below, 1)?;
        let layout = source.keep_order(size_of::<T>(), size_of::<T>())?;
        let bytes = layout.len() * size_of::<T>();
        let reasons = CopyReasons::from(CopyReason::Requested);
        let pending = PendingCopy::begin("copy_of", reasons, bytes)?;
        let tensor = Self::from_parts(Storage::zeroed(bytes)?, T::DTYPE, layout)?;
        tensor.write::<T>()?.assign(array);
        Ok(tensor.with_receipt(pending.finish()))
    }

    /// A copy of the elements as an array in C order.
    ///
    /// # Errors
    /// If `T` is not the data type, or the memory cannot be read.
    #[track_caller]
    pub fn to_array<T: Element>(&self) -> Result<ArrayD<T>, TensorError> {
        let values = self.copy_to_vec::<T>(CopyReason::Requested.into())?;
        Ok(array_of(self.shape(), values))
    }

    /// The elements as an array: the same allocation if this is its only handle, it came from a
    /// `Vec` (or an array) of `T`, and the layout has no gaps; else a copy. The receipt tells.
    ///
    /// ```
    /// use ndbridge_tensor::Tensor;
    /// let values = vec![1.0_f64, 2.0, 3.0];
    /// let address = values.as_ptr();
    /// let (array, receipt) = Tensor::from_vec(values).into_array::<f64>()?;
    /// assert_eq!(array.as_ptr(), address);
    /// assert!(receipt.is_shared());
    /// # Ok::<(), Box<ndbridge_tensor::IntoArrayError>>(())
    /// ```
    ///
    /// # Errors
    /// If `T` is not the data type, or a copy is needed and cannot be made. The error holds the
    /// tensor.
    #[track_caller]
    pub fn into_array<T: Element>(self) -> Result<(ArrayD<T>, Receipt), Box<IntoArrayError>> {
        let gapless =
            Gapless::of(&self).filter(|_| T::DTYPE == self.dtype() && !self.is_read_only());
        let Some(gapless) = gapless else {
            let reason = if self.is_read_only() { CopyReason::ReadOnly } else { CopyReason::Order };
            return self.copied_into_array(reason);
        };
        let (storage, handle) = self.into_storage();
        match storage.try_into_owner::<Vec<T>>() {
            Ok(values) => Ok((gapless.array(values), Receipt::shared("into_array"))),
            Err(storage) => handle.with_storage(storage).copied_into_array(CopyReason::Owner),
        }
    }

    #[track_caller]
    fn copied_into_array<T: Element>(
        self,
        reason: CopyReason,
    ) -> Result<(ArrayD<T>, Receipt), Box<IntoArrayError>> {
        let reasons = CopyReasons::from(reason);
        match self.copy_to_vec::<T>(reasons) {
            Ok(values) => {
                let receipt = Receipt::copied("into_array", reasons, self.size_bytes());
                Ok((array_of(self.shape(), values), receipt))
            }
            Err(error) => Err(Box::new(IntoArrayError { tensor: self, error })),
        }
    }

    /// The elements in C order.
    #[track_caller]
    fn copy_to_vec<T: Element>(&self, reasons: CopyReasons) -> Result<Vec<T>, TensorError> {
        if T::DTYPE != self.dtype() {
            let copy_bytes = self.len().saturating_mul(size_of::<T>());
            let (expected, found) = (T::DTYPE, self.dtype());
            return Err(TensorError::WrongDType { expected, found, copy_bytes });
        }
        let pending = PendingCopy::begin("to_array", reasons, self.size_bytes())?;
        let source = Source::borrow_values(self)?;
        let mut values = Vec::new();
        values.try_reserve_exact(self.len()).map_err(|_| {
            ndbridge_storage::StorageError::OutOfMemory { len_bytes: self.size_bytes() }
        })?;
        source.append_to(&mut values);
        pending.finish();
        Ok(values)
    }
}

/// A layout of one block, as steps from the plain array in memory order to the tensor's axes.
struct Gapless {
    start: usize,
    len: usize,
    /// Lengths of the axes, largest step first.
    sorted_shape: Vec<usize>,
    /// Which of the sorted axes are walked backwards.
    reversed: Vec<bool>,
    /// Where each axis of the tensor stands among the sorted ones.
    position: Vec<usize>,
}

impl Gapless {
    fn of(tensor: &Tensor) -> Option<Self> {
        let item_bytes = tensor.dtype().item_bytes();
        let (layout, shape, strides) = (tensor.layout(), tensor.shape(), tensor.strides());
        let first_byte = layout.byte_range(item_bytes).start;
        if !layout.is_block(item_bytes) || !first_byte.is_multiple_of(item_bytes) {
            return None;
        }
        let mut axes = layout.axes_by_stride();
        axes.reverse();
        let mut position = vec![0; shape.len()];
        axes.iter().enumerate().for_each(|(sorted, &axis)| position[axis] = sorted);
        Some(Self {
            start: if tensor.is_empty() { 0 } else { first_byte / item_bytes },
            len: tensor.len(),
            sorted_shape: axes.iter().map(|&axis| shape[axis]).collect(),
            reversed: axes.iter().map(|&axis| shape[axis] > 1 && strides[axis] < 0).collect(),
            position,
        })
    }

    /// The array over `values`, which hold at least the elements that were looked at.
    fn array<T: Element>(&self, values: Vec<T>) -> ArrayD<T> {
        let window = Array1::from_vec(values).slice_move(s![self.start..self.start + self.len]);
        let mut array = window
            .into_shape_with_order(IxDyn(&self.sorted_shape))
            .expect("as many elements as before, and contiguous");
        for (axis, _) in self.reversed.iter().enumerate().filter(|&(_, &reversed)| reversed) {
            array.invert_axis(Axis(axis));
        }
        array.permuted_axes(IxDyn(&self.position))
    }
}

fn array_of<T: Element>(shape: &[usize], values: Vec<T>) -> ArrayD<T> {
    ArrayD::from_shape_vec(IxDyn(shape), values).expect("one value for each element of the shape")
}

fn byte_strides<T>(strides: &[isize]) -> SmallVec<[isize; 4]> {
    // An existing array spans at most isize::MAX bytes; only an axis of length 0 or 1 may carry a
    // step that wraps, and such a step is never taken.
    strides.iter().map(|&stride| stride.wrapping_mul(size_of::<T>() as isize)).collect()
}

/// Bytes below the first element, and bytes in all, that the elements of an array span.
fn extent_bytes<T>(shape: &[usize], strides: &[isize]) -> (usize, usize) {
    let bytes = extent(shape, strides, size_of::<T>()).expect("elements in memory");
    (bytes.start.unsigned_abs(), bytes.end.abs_diff(bytes.start))
}

impl Source<'_> {
    /// Writes the elements, in C order, into the spare room of `values`.
    fn append_to<T: Element>(&self, values: &mut Vec<T>) {
        let len = self.tensor().len();
        assert_eq!(self.tensor().dtype(), T::DTYPE, "elements are appended as what they are");
        assert!(values.is_empty() && values.capacity() >= len, "room for every element");
        self.copy_to_spare(values.spare_capacity_mut());
        // SAFETY: every element was written, each a value of T (`borrow_values` looked at bools).
        unsafe { values.set_len(len) };
    }
}
