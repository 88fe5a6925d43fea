//! Basic indexing: integers, slices, new axes, the ellipsis.

use crate::error::LayoutError;
use crate::index::Index;
use crate::layout::{Layout, normalize, normalize_axis};
use crate::view::View;

impl Layout {
    /// The view `a[indices]` of NumPy's basic indexing; axes that are not named are kept whole.
    ///
    /// ```
    /// use ndbridge_layout::{Index, Layout, Order};
    /// let layout = Layout::contiguous(&[2, 3], 4, Order::C)?;
    /// let view = layout.index(&[Index::At(-1), Index::NewAxis, (1..9).into()])?; // [-1, None, 1:9]
    /// assert_eq!((view.shape(), view.strides(), view.offset()), (&[1, 2][..], &[0, 4][..], 16));
    /// # Ok::<(), ndbridge_layout::LayoutError>(())
    /// ```
    ///
    /// # Errors
    /// An index out of bounds, too many indices or ellipses, a step of 0, or too many axes.
    #[inline]
    pub fn index(&self, indices: &[Index]) -> Result<Self, LayoutError> {
        let unnamed = self.count_unnamed(indices)?;
        let ellipsis = [Index::Ellipsis];
        let implied: &[Index] = if indices.contains(&Index::Ellipsis) { &[] } else { &ellipsis };
        let mut view = View::new(self);
        let mut axis = 0;
        for &index in indices.iter().chain(implied) {
            axis += self.apply(index, axis, unnamed, &mut view)?;
        }
        view.finish()
    }

    /// The view without `axis`, at its element `index`; both may count from the end.
    ///
    /// # Errors
    /// No such axis or element.
    pub fn select(&self, axis: isize, index: isize) -> Result<Self, LayoutError> {
        let axis = normalize_axis(axis, self.ndim())?;
        let mut view = View::whole(self);
        self.take(axis, index, &mut view)?;
        view.remove(axis);
        view.finish()
    }

    /// The view of elements `start`, `start + step`, .. of one axis, with Python's meaning of a
    /// slice.
    ///
    /// # Errors
    /// No such axis, or a step of 0.
    pub fn slice_axis(
        &self,
        axis: isize,
        start: Option<isize>,
        stop: Option<isize>,
        step: isize,
    ) -> Result<Self, LayoutError> {
        let axis = normalize_axis(axis, self.ndim())?;
        let part = Bounded::new(self.shape[axis], start, stop, step)
            .ok_or(LayoutError::ZeroStep { axis })?;
        let mut view = View::whole(self);
        view.replace(axis, part.len, part.stride(self.strides[axis]));
        view.advance(self.strides[axis], part.start);
        view.finish()
    }

    /// How many axes no index names: those that the ellipsis stands for.
    #[inline]
    fn count_unnamed(&self, indices: &[Index]) -> Result<usize, LayoutError> {
        let ellipses = indices.iter().filter(|&&index| index == Index::Ellipsis).count();
        if ellipses > 1 {
            return Err(LayoutError::ManyEllipses { found: ellipses });
        }
        let new = indices.iter().filter(|&&index| index == Index::NewAxis).count();
        let (ndim, found) = (self.ndim(), indices.len() - ellipses - new);
        ndim.checked_sub(found).ok_or(LayoutError::TooManyIndices { ndim, found })
    }

    /// Applies one index from `axis` on; returns how many axes it consumed.
    #[inline]
    pub(crate) fn apply(
        &self,
        index: Index,
        axis: usize,
        unnamed: usize,
        view: &mut View<'_>,
    ) -> Result<usize, LayoutError> {
        match index {
            Index::At(index) => self.take(axis, index, view)?,
            Index::Slice { start, stop, step } => {
                let part = Bounded::new(self.shape[axis], start, stop, step)
                    .ok_or(LayoutError::ZeroStep { axis })?;
                view.push(part.len, part.stride(self.strides[axis]));
                view.advance(self.strides[axis], part.start);
            }
            Index::NewAxis => {
                view.push(1, 0);
                return Ok(0);
            }
            Index::Ellipsis => {
                (axis..axis + unnamed).for_each(|axis| view.push_axis(axis));
                return Ok(unnamed);
            }
        }
        Ok(1)
    }

    /// Moves `view` to one element of `axis`.
    #[inline]
    fn take(&self, axis: usize, index: isize, view: &mut View<'_>) -> Result<(), LayoutError> {
        let len = self.shape[axis];
        let from_start =
            normalize(index, len).ok_or(LayoutError::IndexOutOfBounds { axis, index, len })?;
        view.advance(self.strides[axis], from_start);
        Ok(())
    }
}

/// A slice brought into the bounds of its axis.
struct Bounded {
    start: usize,
    len: usize,
    step: isize,
}

impl Bounded {
    /// `slice(start, stop, step).indices(len)` of Python; `None` if the step is 0. Empty ones
    /// start at 0 with step 1, as in NumPy.
    fn new(len: usize, start: Option<isize>, stop: Option<isize>, step: isize) -> Option<Self> {
        if step == 0 {
            return None;
        }
        let last = if step < 0 { len as isize - 1 } else { len as isize };
        let start = start.map_or(if step < 0 { last } else { 0 }, |bound| clamp(bound, len, step));
        let stop = stop.map_or(if step < 0 { -1 } else { last }, |bound| clamp(bound, len, step));
        let span = if step < 0 { start - stop } else { stop - start };
        if span <= 0 {
            return Some(Self { start: 0, len: 0, step: 1 });
        }
        let len = (span as usize).div_ceil(step.unsigned_abs());
        Some(Self { start: start as usize, len, step: step.max(-isize::MAX) })
    }

    /// The product can only overflow where the slice has fewer than two elements, or the layout
    /// none; the stride then has no meaning and NumPy's product wraps as well.
    fn stride(&self, stride: isize) -> isize {
        stride.wrapping_mul(self.step)
    }
}

/// A bound of a Python slice, brought into `0..=len`, or `-1..len` for a negative step.
fn clamp(bound: isize, len: usize, step: isize) -> isize {
    let len = len as isize; // lengths fit isize
    let from_start = if bound < 0 { bound + len } else { bound };
    if step < 0 { from_start.clamp(-1, len - 1) } else { from_start.clamp(0, len) }
}
