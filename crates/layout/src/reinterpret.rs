//! The same bytes as items of another size.

use crate::error::LayoutError;
use crate::layout::Layout;
use crate::size::check_size;

impl Layout {
    /// The view of the same bytes as items of `new_item_bytes` (`a.view(dtype)`): the last axis
    /// grows or shrinks.
    ///
    /// ```
    /// use ndbridge_layout::{Layout, Order};
    /// let floats = Layout::contiguous(&[2, 3], 4, Order::C)?;
    /// let bytes = floats.reinterpret(4, 1)?;
    /// assert_eq!((bytes.shape(), bytes.strides()), (&[2, 12][..], &[12, 1][..]));
    /// # Ok::<(), ndbridge_layout::LayoutError>(())
    /// ```
    ///
    /// # Errors
    /// For another size: rank 0, a last axis whose items do not lie side by side, or sizes that do
    /// not divide.
    pub fn reinterpret(
        &self,
        item_bytes: usize,
        new_item_bytes: usize,
    ) -> Result<Self, LayoutError> {
        if item_bytes == new_item_bytes {
            return Ok(self.clone());
        }
        let Some(last) = self.ndim().checked_sub(1) else {
            return Err(LayoutError::ReinterpretRank0 { item_bytes, new_item_bytes });
        };
        self.check_side_by_side(last, item_bytes)?;
        let len = regrouped_len(self.shape[last], item_bytes, new_item_bytes)
            .ok_or_else(|| self.too_large(item_bytes))??;
        let mut reinterpreted = self.clone();
        reinterpreted.shape[last] = len;
        reinterpreted.strides[last] = new_item_bytes as isize;
        check_size(&reinterpreted.shape, new_item_bytes)?;
        Ok(reinterpreted)
    }

    fn check_side_by_side(&self, axis: usize, item_bytes: usize) -> Result<(), LayoutError> {
        let stride = self.strides[axis];
        let free = self.shape[axis] == 1 || self.is_empty();
        if free || usize::try_from(stride).ok() == Some(item_bytes) {
            return Ok(());
        }
        Err(LayoutError::ReinterpretStride { stride, item_bytes })
    }

    fn too_large(&self, item_bytes: usize) -> LayoutError {
        LayoutError::TooLarge { shape: self.shape().into(), item_bytes }
    }
}

/// How many new items `len` old ones make; `None` on overflow.
fn regrouped_len(len: usize, old: usize, new: usize) -> Option<Result<usize, LayoutError>> {
    let bytes = len.checked_mul(old)?;
    let divided = if new < old { old } else { bytes };
    if new == 0 || divided % new != 0 {
        let error = LayoutError::ReinterpretSize { bytes: divided, new_item_bytes: new };
        return Some(Err(error));
    }
    Some(Ok(bytes / new))
}
