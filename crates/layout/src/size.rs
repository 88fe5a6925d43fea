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
