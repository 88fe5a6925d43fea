//! `bool` memory is looked at before it is read as `bool`.

use ndbridge_dtype::DType;
use ndbridge_layout::{Layout, LayoutError};
use ndbridge_storage::Borrow;

use crate::element_access::{block_bytes, byte_at};
use crate::error::TensorError;
use crate::tensor::Tensor;

/// An error that names the first element of a `bool` tensor that is neither 0 nor 1.
///
/// The borrow shows that the caller holds the elements.
pub(crate) fn check(tensor: &Tensor, borrow: &Borrow<'_>) -> Result<(), TensorError> {
    if tensor.dtype() != DType::Bool {
        return Ok(());
    }
    let once = without_repeats(tensor)?;
    let is_fine = |bytes: &[u8]| bytes.iter().fold(0, |largest, &byte| largest.max(byte)) <= 1;
    if block_bytes(tensor, borrow).is_some_and(is_fine) {
        return Ok(());
    }
    for (position, offset) in once.offsets().enumerate() {
        let byte = byte_at(tensor, borrow, offset);
        if byte > 1 {
            return Err(TensorError::InvalidBool { index: unravel(position, once.shape()), byte });
        }
    }
    Ok(())
}

/// The layout with axes of stride 0 cut to one element: a broadcast axis can be longer than any
/// walk, and the first element of each of its repeats is the one at index 0.
fn without_repeats(tensor: &Tensor) -> Result<Layout, LayoutError> {
    let once = |(len, stride): (usize, isize)| if stride == 0 { len.min(1) } else { len };
    let shape: Vec<usize> = tensor.axes().map(once).collect();
    Layout::new(&shape, tensor.strides(), tensor.layout().offset(), tensor.dtype().item_bytes())
}

/// The index of the `position`-th element in C order.
fn unravel(position: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    let mut rest = position;
    for (at, &len) in index.iter_mut().zip(shape).rev() {
        *at = rest % len;
        rest /= len;
    }
    index
}
