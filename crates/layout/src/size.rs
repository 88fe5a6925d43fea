//! What is too large for any memory.

use crate::error::LayoutError;
use crate::shape::MAX_NDIM;

/// At most [`MAX_NDIM`] axes, and the bytes of all axes that are not empty fit `isize`.
#[inline]
pub(crate) fn check_size(shape: &[usize], item_bytes: usize) -> Result<(), LayoutError> {
    if shape.len() > MAX_NDIM {
        return Err(LayoutError::TooManyAxes { found: shape.len() });
    }
    let lens = shape.iter().filter(|&&len| len != 0);
    let bytes = lens.copied().try_fold(item_bytes.max(1), usize::checked_mul);
    match bytes.and_then(|bytes| isize::try_from(bytes).ok()) {
        Some(_) => Ok(()),
        None => Err(too_large(shape, item_bytes)),
    }
}

#[cold]
fn too_large(shape: &[usize], item_bytes: usize) -> LayoutError {
    LayoutError::TooLarge { shape: shape.into(), item_bytes }
}

/// Number of elements of a shape; `usize::MAX` if there are more.
///
/// ```
/// use ndbridge_layout::saturating_len;
/// assert_eq!([saturating_len(&[2, 3]), saturating_len(&[])], [6, 1]);
/// assert_eq!(saturating_len(&[usize::MAX, 2]), usize::MAX);
/// assert_eq!(saturating_len(&[usize::MAX, 2, 0]), 0);
/// ```
#[inline]
#[must_use]
pub fn saturating_len(shape: &[usize]) -> usize {
    shape.iter().fold(1, |len: usize, &axis| len.saturating_mul(axis))
}
