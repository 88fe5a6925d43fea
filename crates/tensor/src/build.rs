//! Tensors from values, and values out of tensors.

use ndbridge_dtype::{DType, Element, Scalar, match_dtype};
use ndbridge_layout::{Layout, Order};
use ndbridge_storage::{Storage, StorageError};

use crate::elements::Elements;
use crate::error::TensorError;
use crate::receipt::Receipt;
use crate::tensor::Tensor;

impl Tensor {
    /// A tensor of zeros (`false` for bool), contiguous in C order.
    ///
    /// # Errors
    /// If the shape has too many axes or elements, or memory is short.
    pub fn zeros(shape: &[usize], dtype: DType) -> Result<Self, TensorError> {
        let layout = Layout::contiguous(shape, dtype.item_bytes(), Order::C)?;
        let storage = Storage::zeroed(layout.len() * dtype.item_bytes())?;
        Ok(Self::over_all(storage, dtype, layout, Receipt::created("zeros")))
    }

    /// A tensor of ones (`true` for bool), contiguous in C order.
    ///
    /// # Errors
    /// As [`zeros`](Self::zeros).
    pub fn ones(shape: &[usize], dtype: DType) -> Result<Self, TensorError> {
        let tensor = Self::full(shape, Scalar::Bool(true), dtype)?;
        Ok(tensor.with_receipt(Receipt::created("ones")))
    }

    /// A tensor that holds `value` everywhere, contiguous in C order.
    ///
    /// # Errors
    /// As [`zeros`](Self::zeros), and if `dtype` cannot hold the value.
    pub fn full(shape: &[usize], value: Scalar, dtype: DType) -> Result<Self, TensorError> {
        let tensor = Self::zeros(shape, dtype)?;
        tensor.assign_disjoint(&Self::from_scalar(value, dtype)?.broadcast_to(shape)?)?;
        Ok(tensor.with_receipt(Receipt::created("full")))
    }

    /// A tensor of no axes that holds `value`.
    ///
    /// # Errors
    /// If `dtype` cannot hold the value: an integer out of its range, a complex value into floats.
    pub fn from_scalar(value: Scalar, dtype: DType) -> Result<Self, TensorError> {
        let storage =
            match_dtype!(dtype, T => Storage::from_vec(vec![value.checked_to_element::<T>()?]));
        let layout = Layout::contiguous(&[], dtype.item_bytes(), Order::C)?;
        Ok(Self::from_parts(storage, dtype, layout)?.with_receipt(Receipt::created("from_scalar")))
    }

    /// The `Vec` itself as a tensor of one axis: its memory is used, not copied.
    ///
    /// # Panics
    /// Never: a `Vec` is one axis that fits its own memory.
    #[must_use]
    pub fn from_vec<T: Element>(values: Vec<T>) -> Self {
        let shape = [values.len()];
        Self::from_vec_with_shape(values, &shape).expect("a Vec is one axis of its own memory")
    }

    /// The `Vec` itself as a tensor of `shape`, in C order: its memory is used, not copied.
    ///
    /// # Errors
    /// [`TensorError::WrongLen`] if the shape does not hold as many elements.
    pub fn from_vec_with_shape<T: Element>(
        values: Vec<T>,
        shape: &[usize],
    ) -> Result<Self, TensorError> {
        let layout = Layout::contiguous(shape, size_of::<T>(), Order::C)?;
        if layout.len() != values.len() {
            return Err(TensorError::WrongLen { len: values.len(), shape: shape.to_vec() });
        }
        let tensor = Self::from_parts(Storage::from_vec(values), T::DTYPE, layout)?;
        Ok(tensor.with_receipt(Receipt::shared("from_vec")))
    }

    /// The elements in C order, copied into a `Vec`.
    ///
    /// # Errors
    /// If `T` is not the data type, or the memory cannot be read.
    #[track_caller]
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>, TensorError> {
        let array = self.to_array::<T>()?;
        // A fresh array in C order: its Vec is taken, not copied once more.
        Ok(array.into_raw_vec_and_offset().0)
    }

    /// The value of a tensor of one element.
    ///
    /// # Errors
    /// If there are more or fewer elements, or the memory cannot be read.
    #[track_caller]
    pub fn item(&self) -> Result<Scalar, TensorError> {
        if self.len() != 1 {
            let (shape, len) = (self.shape().to_vec(), self.len());
            return Err(TensorError::NotOneElement { shape, len });
        }
        Ok(Elements::of(self)?.at(&vec![0; self.ndim()]))
    }

    /// The element at `index`.
    ///
    /// # Errors
    /// If `index` is out of bounds or the memory cannot be read.
    #[track_caller]
    pub fn get(&self, index: &[usize]) -> Result<Scalar, TensorError> {
        if self.layout().offset_of(index).is_none() {
            return Err(self.out_of_bounds(index));
        }
        Ok(Elements::of(self)?.at(index))
    }

    /// Every element in C order.
    ///
    /// # Errors
    /// If the memory cannot be read.
    #[track_caller]
    pub fn scalars(&self) -> Result<Vec<Scalar>, TensorError> {
        let elements = Elements::of(self)?;
        let mut scalars = Vec::new();
        let len_bytes = self.len().saturating_mul(size_of::<Scalar>());
        let room = scalars.try_reserve_exact(self.len());
        room.map_err(|_| StorageError::OutOfMemory { len_bytes })?;
        scalars.extend(elements.iter());
        Ok(scalars)
    }

    /// This tensor if its elements lie in `order` without gaps, else a copy that does.
    ///
    /// The receipt of the result tells which.
    ///
    /// # Errors
    /// As [`copy`](Self::copy), where a copy is needed.
    #[track_caller]
    pub fn contiguous(&self, order: Order) -> Result<Self, TensorError> {
        self.convert(&crate::plan::Request::new("contiguous").with_order(order))
    }

    pub(crate) fn out_of_bounds(&self, index: &[usize]) -> TensorError {
        TensorError::OutOfBounds { index: index.to_vec(), shape: self.shape().to_vec() }
    }
}
