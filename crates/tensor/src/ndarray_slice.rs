//! Slices written with ndarray's `s![]`.

use ndarray::SliceInfoElem;
use ndbridge_layout::{Index, Layout, LayoutError};
use smallvec::SmallVec;

/// The view that `array.slice(s![..])` gives: one entry for each axis, bounds are not clamped, and a
/// negative step means the range **reversed** (`s![1..4;-1]` is elements 3, 2, 1), unlike Python's.
///
/// An axis of fewer than two elements gets NumPy's stride, not ndarray's 0.
///
/// # Errors
/// A bound or index outside its axis, where ndarray panics; a step of 0; another number of entries
/// than axes.
pub(crate) fn sliced(layout: &Layout, info: &[SliceInfoElem]) -> Result<Layout, LayoutError> {
    let new = info.iter().filter(|elem| matches!(elem, SliceInfoElem::NewAxis)).count();
    if info.len() - new != layout.ndim() {
        return Err(LayoutError::AxisCount { expected: layout.ndim(), found: info.len() - new });
    }
    let mut axis = 0;
    let mut indices = SmallVec::<[Index; 4]>::with_capacity(info.len());
    for &elem in info {
        indices.push(numpy_index(elem, axis, layout.shape())?);
        axis += usize::from(!matches!(elem, SliceInfoElem::NewAxis));
    }
    layout.index(&indices)
}

fn numpy_index(elem: SliceInfoElem, axis: usize, shape: &[usize]) -> Result<Index, LayoutError> {
    match elem {
        SliceInfoElem::NewAxis => Ok(Index::NewAxis),
        SliceInfoElem::Index(index) => Ok(Index::At(index)),
        SliceInfoElem::Slice { start, end, step } => {
            let len = shape[axis];
            let start = bound(start, axis, len)?;
            let end = end.map_or(Ok(len), |end| bound(end, axis, len))?.max(start);
            Ok(range(start as isize, end as isize, step))
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

#[cfg(test)]
mod tests;
