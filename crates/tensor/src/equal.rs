//! Comparing tensors.

use ndbridge_dtype::{DType, Element, Scalar, match_dtype, promote_types};

use crate::elements::Elements;
use crate::error::TensorError;
use crate::tensor::Tensor;

/// Whether `a` and `b` have the same shape and equal elements, as NumPy's `array_equal` has it:
/// other data types are compared after promotion, and a NaN equals nothing.
///
/// ```
/// use ndbridge_tensor::{Tensor, array_equal};
/// let ints = Tensor::from_vec(vec![1_i64, 2]);
/// let floats = Tensor::from_vec(vec![1.0_f32, 2.0]);
/// assert!(array_equal(&ints, &floats)?);
/// # Ok::<(), ndbridge_tensor::TensorError>(())
/// ```
///
/// # Errors
/// If either cannot be read, or the data types have no common one.
#[track_caller]
pub fn array_equal(a: &Tensor, b: &Tensor) -> Result<bool, TensorError> {
    if a.shape() != b.shape() {
        return Ok(false);
    }
    let dtype = promote_types(a.dtype(), b.dtype())?;
    let (left, right) = (Elements::of(a)?, Elements::of(b)?);
    Ok(left.iter().zip(right.iter()).all(|(x, y)| equal_as(dtype, x, y)))
}

fn equal_as(dtype: DType, x: Scalar, y: Scalar) -> bool {
    fn typed<T: Element>(x: Scalar, y: Scalar) -> bool {
        x.to_element::<T>() == y.to_element::<T>()
    }
    match_dtype!(dtype, T => typed::<T>(x, y))
}
