//! Slices written with ndarray's `s![]`.

use ndarray::SliceInfoElem;

use super::{Layout, LayoutError, View};
use crate::index::Index;

impl Layout {
    /// The view that `array.slice(s![..])` gives: one entry for each axis, bounds are not clamped,
    /// and a negative step means the range **reversed** (`s![1..4;-1]` is elements 3, 2, 1), unlike
    /// Python's.
    ///
    /// ```
    /// use ndarray::s;
    /// use ndbridge_tensor::{Layout, Order};
    /// let layout = Layout::contiguous(&[5], 1, Order::C)?;
    /// let view = layout.slice_ndarray(s![1..4;-1].as_ref())?;
    /// assert_eq!(view.offsets().collect::<Vec<_>>(), [3, 2, 1]);
    /// # Ok::<(), ndbridge_tensor::LayoutError>(())
    /// ```
    ///
    /// # Errors
    /// A bound or index outside its axis, where ndarray panics; a step of 0; another number of
    /// entries than axes.
    ///
    /// # Limitations
    /// An axis of fewer than two elements gets NumPy's stride, not ndarray's 0.
    pub fn slice_ndarray(&self, info: &[SliceInfoElem]) -> Result<Self, LayoutError> {
        let new = info.iter().filter(|elem| matches!(elem, SliceInfoElem::NewAxis)).count();
        if info.len() - new != self.ndim() {
            return Err(LayoutError::AxisCount { expected: self.ndim(), found: info.len() - new });
        }
        let mut axis = 0;
        let mut view = View::new(self);
        for &elem in info {
            axis += self.apply(self.numpy_index(elem, axis)?, axis, 0, &mut view)?;
        }
        view.finish()
    }

    fn numpy_index(&self, elem: SliceInfoElem, axis: usize) -> Result<Index, LayoutError> {
        match elem {
            SliceInfoElem::NewAxis => Ok(Index::NewAxis),
            SliceInfoElem::Index(index) => Ok(Index::At(index)),
            SliceInfoElem::Slice { start, end, step } => {
                let len = self.shape[axis];
                let start = bound(start, axis, len)?;
                let end = end.map_or(Ok(len), |end| bound(end, axis, len))?.max(start);
                Ok(range(start as isize, end as isize, step))
            }
        }
    }
}

/// A bound counted from 0.
fn bound(bound: isize, axis: usize, len: usize) -> Result<usize, LayoutError> {
    let error = LayoutError::SliceOutOfBounds { axis, bound, len };
    let from_start = if bound < 0 { len.checked_add_signed(bound) } else { Some(bound as usize) };
    from_start.filter(|&from_start| from_start <= len).ok_or(error)
}

/// Elements `start..end` from the front, or from the back for a negative step.
fn range(start: isize, end: isize, step: isize) -> Index {
    if step >= 0 {
        return Index::Slice { start: Some(start), stop: Some(end), step };
    }
    if start == end {
        return Index::Slice { start: Some(start), stop: Some(end), step: 1 };
    }
    let stop = (start > 0).then_some(start - 1);
    Index::Slice { start: Some(end - 1), stop, step }
}
