//! The one place where a view of a layout is put together and checked.

use crate::error::LayoutError;
use crate::layout::Layout;
use crate::shape::{Shape, Strides};
use crate::size::check_size;

/// A view of a layout under construction.
pub(crate) struct View<'a> {
    base: &'a Layout,
    shape: Shape,
    strides: Strides,
    // `None` once it left 0..=isize::MAX, which only happens where the view ends up without
    // elements.
    offset: Option<usize>,
}

impl<'a> View<'a> {
    /// No axes yet, at the offset of `base`.
    #[inline]
    pub(crate) fn new(base: &'a Layout) -> Self {
        Self { base, shape: Shape::new(), strides: Strides::new(), offset: Some(base.offset) }
    }

    /// All axes of `base`.
    #[inline]
    pub(crate) fn whole(base: &'a Layout) -> Self {
        Self { shape: base.shape.clone(), strides: base.strides.clone(), ..Self::new(base) }
    }

    #[inline]
    pub(crate) fn push(&mut self, len: usize, stride: isize) {
        self.shape.push(len);
        self.strides.push(stride);
    }

    /// Appends an axis of `base` as it is.
    #[inline]
    pub(crate) fn push_axis(&mut self, axis: usize) {
        self.push(self.base.shape[axis], self.base.strides[axis]);
    }

    #[inline]
    pub(crate) fn replace(&mut self, axis: usize, len: usize, stride: isize) {
        self.shape[axis] = len;
        self.strides[axis] = stride;
    }

    #[inline]
    pub(crate) fn remove(&mut self, axis: usize) {
        self.shape.remove(axis);
        self.strides.remove(axis);
    }

    /// Moves the first element by `steps` strides.
    #[inline]
    pub(crate) fn advance(&mut self, stride: isize, steps: usize) {
        self.offset = self.offset.and_then(|offset| {
            let bytes = stride.checked_mul(isize::try_from(steps).ok()?)?;
            offset.checked_add_signed(bytes)
        });
    }

    /// The layout, checked anew although every operation argues that it stays within its base.
    #[inline]
    pub(crate) fn finish(self) -> Result<Layout, LayoutError> {
        check_size(&self.shape, 1)?;
        let empty = self.shape.contains(&0);
        let offset = if empty { Some(self.base.offset) } else { self.offset };
        let (shape, strides) = (self.shape, self.strides);
        let layout = Layout { shape, strides, offset: offset.unwrap_or(usize::MAX) };
        match layout.checked_reach(0) {
            Some(_) => Ok(layout),
            None => Err(layout.out_of_range()),
        }
    }
}
