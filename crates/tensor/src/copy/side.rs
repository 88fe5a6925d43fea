//! One side of a copy.

use ndbridge_dtype::DType;

use crate::tensor::Tensor;

/// Where elements come from or go to: the first element and the steps between them. Why no shape: the
/// copy has one, for both sides.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) ptr: *mut u8,
    pub(crate) strides: &'a [isize],
    pub(crate) dtype: DType,
}

impl<'a> Side<'a> {
    pub(crate) fn of(tensor: &'a Tensor) -> Self {
        Self { ptr: tensor.as_ptr(), strides: tensor.strides(), dtype: tensor.dtype() }
    }
}
