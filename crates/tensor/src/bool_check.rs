//! `bool` memory is looked at before it is read as `bool`.

use ndbridge_dtype::DType;
use ndbridge_storage::Borrow;

use crate::element_access::byte_at;
use crate::error::TensorError;
use crate::tensor::Tensor;

/// An error that names the first element of a `bool` tensor that is neither 0 nor 1.
///
/// The borrow shows that the caller holds the elements.
pub(crate) fn check(tensor: &Tensor, borrow: &Borrow<'_>) -> Result<(), TensorError> {
    if tensor.dtype() != DType::Bool {
        return Ok(());
    }
    for (position, offset) in tensor.layout().offsets().enumerate() {
        let byte = byte_at(tensor, borrow, offset);
        if byte > 1 {
            return Err(TensorError::InvalidBool {
                index: unravel(position, tensor.shape()),
                byte,
            });
        }
    }
    Ok(())
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
