//! Axes of length 1 stretched without a copy.

use alloc::boxed::Box;

use crate::error::LayoutError;
use crate::layout::Layout;
use crate::shape::{MAX_NDIM, Shape};
use crate::size::check_size;
use crate::view::View;

impl Layout {
    /// The view of shape `shape` in which axes of length 1, and missing leading ones, are repeated
    /// by a stride of 0 (`np.broadcast_to`).
    ///
    /// # Errors
    /// If the shapes do not fit, or the result has more than `isize::MAX` elements.
    pub fn broadcast_to(&self, shape: &[usize]) -> Result<Self, LayoutError> {
        let mismatch = || LayoutError::Broadcast { from: self.shape().into(), to: shape.into() };
        let new = shape.len().checked_sub(self.ndim()).ok_or_else(mismatch)?;
        let mut view = View::new(self);
        shape[..new].iter().for_each(|&len| view.push(len, 0));
        for ((&to, &len), &stride) in shape[new..].iter().zip(&self.shape).zip(&self.strides) {
            if len != 1 && len != to {
                return Err(mismatch());
            }
            view.push(to, if len == 1 { 0 } else { stride });
        }
        view.finish()
    }

    /// [`broadcast_to`](Self::broadcast_to) with torch's `expand` meaning of `-1`: the axis keeps
    /// its length.
    ///
    /// # Errors
    /// As `broadcast_to`; a negative length other than `-1`; a `-1` for an axis that is new.
    pub fn expand(&self, shape: &[isize]) -> Result<Self, LayoutError> {
        let new = shape.len().saturating_sub(self.ndim());
        let len = |(axis, &len): (usize, &isize)| match usize::try_from(len) {
            Ok(len) => Ok(len),
            Err(_) if len != -1 => Err(LayoutError::NegativeLen { axis, len }),
            Err(_) if axis < new => Err(LayoutError::ExpandNewAxis { axis }),
            Err(_) => Ok(self.shape.get(axis - new).copied().unwrap_or(1)),
        };
        let shape = shape.iter().enumerate().map(len).collect::<Result<Shape, _>>()?;
        self.broadcast_to(&shape)
    }
}

/// The shape that all `shapes` broadcast to (`np.broadcast_shapes`); `[]` for none.
///
/// ```
/// use ndbridge_layout::broadcast_shapes;
/// assert_eq!(*broadcast_shapes(&[&[3, 1], &[4], &[1, 1, 1]])?, [1, 3, 4]);
/// # Ok::<(), ndbridge_layout::LayoutError>(())
/// ```
///
/// # Errors
/// If two lengths of an axis differ and neither is 1, or there are too many axes or elements.
pub fn broadcast_shapes(shapes: &[&[usize]]) -> Result<Box<[usize]>, LayoutError> {
    let mut all = Shape::new();
    for &shape in shapes {
        if shape.len() > MAX_NDIM {
            return Err(LayoutError::TooManyAxes { found: shape.len() });
        }
        let missing = shape.len().saturating_sub(all.len());
        all.insert_many(0, core::iter::repeat_n(1, missing));
        let first = all.len() - shape.len();
        for axis in 0..shape.len() {
            match (all[first + axis], shape[axis]) {
                (here, there) if here == there || there == 1 => {}
                (1, there) => all[first + axis] = there,
                _ => {
                    return Err(LayoutError::BroadcastShapes {
                        first: all.as_slice().into(),
                        second: shape.into(),
                    });
                }
            }
        }
    }
    check_size(&all, 1)?;
    Ok(all.as_slice().into())
}
