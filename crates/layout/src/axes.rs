//! Views that reorder, reverse, drop or add whole axes.

use crate::error::LayoutError;
use crate::layout::{Layout, normalize_axis, normalize_distinct};
use crate::shape::MAX_NDIM;
use crate::view::View;

impl Layout {
    /// Axis `i` of the view is axis `axes[i]` (`np.transpose(a, axes)`).
    ///
    /// # Errors
    /// If `axes` does not name each axis once.
    #[inline]
    pub fn permute(&self, axes: &[isize]) -> Result<Self, LayoutError> {
        if axes.len() != self.ndim() {
            return Err(LayoutError::AxisCount { expected: self.ndim(), found: axes.len() });
        }
        let mut view = View::new(self);
        for axis in normalize_distinct(axes, self.ndim())? {
            view.push_axis(axis);
        }
        view.finish()
    }

    /// All axes in reverse order (`a.T`).
    #[inline]
    pub fn transpose(&self) -> Self {
        let mut transposed = self.clone();
        transposed.shape.reverse();
        transposed.strides.reverse();
        transposed
    }

    /// Axes `first` and `second` exchanged.
    ///
    /// # Errors
    /// No such axis.
    pub fn swap_axes(&self, first: isize, second: isize) -> Result<Self, LayoutError> {
        let first = normalize_axis(first, self.ndim())?;
        let second = normalize_axis(second, self.ndim())?;
        let mut swapped = self.clone();
        swapped.shape.swap(first, second);
        swapped.strides.swap(first, second);
        Ok(swapped)
    }

    /// The elements of each of `axes` in reverse order (`np.flip(a, axes)`).
    ///
    /// # Errors
    /// No such axis, or one named twice.
    pub fn flip(&self, axes: &[isize]) -> Result<Self, LayoutError> {
        let mut view = View::whole(self);
        for axis in normalize_distinct(axes, self.ndim())? {
            let (len, stride) = (self.shape[axis], self.strides[axis]);
            if len > 0 {
                // Only a stride without meaning can be isize::MIN: an axis of one element, a layout
                // of none.
                view.replace(axis, len, stride.wrapping_neg());
                view.advance(stride, len - 1);
            }
        }
        view.finish()
    }

    /// Without the axes of length 1: all of them, or those named.
    ///
    /// # Errors
    /// No such axis, one named twice, or one whose length is not 1.
    pub fn squeeze(&self, axes: Option<&[isize]>) -> Result<Self, LayoutError> {
        let named = axes.map(|axes| normalize_distinct(axes, self.ndim())).transpose()?;
        let mut view = View::new(self);
        for axis in 0..self.ndim() {
            let len = self.shape[axis];
            match named.as_ref().map(|named| named.contains(&axis)) {
                Some(true) if len != 1 => return Err(LayoutError::SqueezeLen { axis, len }),
                Some(true) => {}
                None if len == 1 => {}
                _ => view.push_axis(axis),
            }
        }
        view.finish()
    }

    /// With a new axis of length 1 that becomes axis `axis` of the view (`np.expand_dims`), which
    /// may count from its end. `item_bytes` only decides the stride of that axis, as NumPy sets it.
    ///
    /// # Errors
    /// No such axis, or too many axes.
    pub fn unsqueeze(&self, axis: isize, item_bytes: usize) -> Result<Self, LayoutError> {
        if self.ndim() == MAX_NDIM {
            return Err(LayoutError::TooManyAxes { found: MAX_NDIM + 1 });
        }
        let axis = normalize_axis(axis, self.ndim() + 1)?;
        let mut shape = self.shape.clone();
        shape.insert(axis, 1);
        self.reshaped(&shape, item_bytes)
    }

    /// The elements whose indices on the two axes differ by `offset`, as the last axis of the view
    /// (`np.diagonal(a, offset, first, second)`).
    ///
    /// # Errors
    /// No such axis, or both the same.
    pub fn diagonal(
        &self,
        offset: isize,
        first: isize,
        second: isize,
    ) -> Result<Self, LayoutError> {
        let both = normalize_distinct(&[first, second], self.ndim())?;
        let (first, second) = (both[0], both[1]);
        let mut view = View::new(self);
        (0..self.ndim()).filter(|axis| !both.contains(axis)).for_each(|axis| view.push_axis(axis));
        let mut lens = [self.shape[first], self.shape[second]];
        let skipped = usize::from(offset >= 0); // a positive offset starts later on the second axis
        lens[skipped] = lens[skipped].saturating_sub(offset.unsigned_abs());
        view.advance(self.strides[both[skipped]], offset.unsigned_abs());
        // The sum can only overflow where the diagonal has fewer than two elements.
        view.push(lens[0].min(lens[1]), self.strides[first].wrapping_add(self.strides[second]));
        view.finish()
    }
}
