//! Another shape over the same memory.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::contiguous::{Order, packed_strides};
use crate::error::LayoutError;
use crate::layout::Layout;
use crate::shape::{Shape, Strides};
use crate::size::check_size;
use crate::walk::steps_on;

impl Layout {
    /// The view with the same elements, in C order, in another shape (`a.reshape(shape)`); one
    /// length may be `-1`.
    ///
    /// ```
    /// use ndbridge_layout::{Layout, LayoutError, Order};
    /// let columns = Layout::contiguous(&[2, 6], 4, Order::C)?.transpose();
    /// assert_eq!(columns.reshape(&[3, -1, 2], 4)?.strides(), [8, 4, 24]);
    /// assert!(matches!(columns.reshape(&[12], 4), Err(LayoutError::NeedsCopy { .. })));
    /// # Ok::<(), LayoutError>(())
    /// ```
    ///
    /// # Errors
    /// Another number of elements, more than one `-1`, or [`LayoutError::NeedsCopy`] if no strides
    /// give that shape.
    pub fn reshape(&self, shape: &[isize], item_bytes: usize) -> Result<Self, LayoutError> {
        let resolved = self.resolve_shape(shape)?;
        if !shape.contains(&-1) && *resolved == *self.shape() {
            // As in NumPy, which otherwise gives new strides to axes of length 1.
            return Ok(self.clone());
        }
        self.reshaped(&resolved, item_bytes)
    }

    /// The lengths that `shape` stands for: checks the number of elements and infers a `-1`.
    ///
    /// # Errors
    /// Another number of elements, or more than one `-1`.
    pub fn resolve_shape(&self, shape: &[isize]) -> Result<Box<[usize]>, LayoutError> {
        let wrong_len = || LayoutError::ReshapeLen {
            from: self.shape().into(),
            len: self.len(),
            to: shape.into(),
        };
        let mut known = Shape::new();
        let mut unknown = None;
        for (axis, &len) in shape.iter().enumerate() {
            match usize::try_from(len) {
                Ok(len) => known.push(len),
                Err(_) if len != -1 => return Err(LayoutError::NegativeLen { axis, len }),
                Err(_) if unknown.is_some() => return Err(many_unknown(shape)),
                Err(_) => unknown = Some(axis),
            }
        }
        check_size(&known, 1).map_err(|error| match error {
            LayoutError::TooLarge { .. } => wrong_len(),
            other => other,
        })?;
        let product: usize = known.iter().product();
        match unknown {
            None if product == self.len() => {}
            Some(axis) if product > 0 && self.len().is_multiple_of(product) => {
                known.insert(axis, self.len() / product);
            }
            _ => return Err(wrong_len()),
        }
        Ok(known.as_slice().into())
    }

    /// As [`reshape`](Self::reshape) to a shape with as many elements.
    pub(crate) fn reshaped(&self, shape: &[usize], item_bytes: usize) -> Result<Self, LayoutError> {
        check_size(shape, 1)?;
        let strides = if self.is_contiguous(Order::C, item_bytes) {
            check_size(shape, item_bytes)?;
            packed_strides(shape, item_bytes, Order::C)
        } else {
            self.regroup(shape).ok_or_else(|| LayoutError::NeedsCopy {
                shape: self.shape().into(),
                strides: self.strides().into(),
                to: shape.into(),
            })?
        };
        Ok(Self { shape: Shape::from_slice(shape), strides, offset: self.offset })
    }

    /// Strides of the view of shape `new`, `None` if there are none: NumPy's
    /// `_attempt_nocopy_reshape`. There are elements, and as many in `new`.
    fn regroup(&self, new: &[usize]) -> Option<Strides> {
        let old: Vec<(usize, isize)> = self.long_axes().collect();
        let mut strides = Strides::with_capacity(new.len());
        let mut rest = old.as_slice();
        while strides.len() < new.len() && !rest.is_empty() {
            let (olds, news) = equal_groups(rest, &new[strides.len()..]);
            let (group, after) = rest.split_at(olds);
            let start = strides.len();
            push_group(&mut strides, mergeable(group)?, &new[start..start + news]);
            rest = after;
        }
        // Trailing axes of length 1. A layout of one element is packed and does not come here.
        let last = *strides.last()?;
        strides.resize(new.len(), last);
        Some(strides)
    }

    /// Length and stride of the axes that are not of length 1.
    fn long_axes(&self) -> impl Iterator<Item = (usize, isize)> {
        self.shape.iter().copied().zip(self.strides.iter().copied()).filter(|&(len, _)| len != 1)
    }
}

/// How many leading axes of both have the same number of elements: the fewest, at least one of
/// each.
fn equal_groups(old: &[(usize, isize)], new: &[usize]) -> (usize, usize) {
    let (mut olds, mut news) = (1, 1);
    let (mut old_len, mut new_len) = (old[0].0, new[0]);
    while old_len != new_len {
        if new_len < old_len {
            new_len *= new[news];
            news += 1;
        } else {
            old_len *= old[olds].0;
            olds += 1;
        }
    }
    (olds, news)
}

/// Stride of the last axis if the axes of the group step like one axis.
fn mergeable(group: &[(usize, isize)]) -> Option<isize> {
    let is_one = |pair: &[(usize, isize)]| steps_on(pair[0].1, pair[1].0, pair[1].1);
    let &(_, last) = group.last()?;
    group.windows(2).all(is_one).then_some(last)
}

/// Appends the strides of axes that step like one axis of stride `last`.
fn push_group(strides: &mut Strides, last: isize, shape: &[usize]) {
    let start = strides.len();
    strides.resize(start + shape.len(), last);
    for axis in (1..shape.len()).rev() {
        // Can only overflow into the stride of an axis of length 1, where it has no meaning.
        strides[start + axis - 1] = strides[start + axis].wrapping_mul(shape[axis] as isize);
    }
}

fn many_unknown(shape: &[isize]) -> LayoutError {
    let found = shape.iter().filter(|&&len| len == -1).count();
    LayoutError::ReshapeManyUnknown { found, to: shape.into() }
}
