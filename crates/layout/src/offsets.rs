//! Byte offsets of all elements, one by one: the slow obvious walk that others are tested against.

use core::iter::FusedIterator;

use crate::layout::Layout;
use crate::shape::Shape;

impl Layout {
    /// Byte offsets of all elements in C order (the last axis fastest).
    pub fn offsets(&self) -> Offsets<'_> {
        Offsets::new(self)
    }
}

/// Byte offsets of the elements of a layout in C order, from [`Layout::offsets`].
#[derive(Clone, Debug)]
pub struct Offsets<'a> {
    layout: &'a Layout,
    index: Shape,
    offset: usize,
    remaining: usize,
}

impl<'a> Offsets<'a> {
    fn new(layout: &'a Layout) -> Self {
        let index = Shape::from_elem(0, layout.ndim());
        Self { layout, index, offset: layout.offset, remaining: layout.len() }
    }

    /// To the next element; every step and every carry lands on an element, so the offset stays in
    /// range.
    fn step(&mut self) {
        for axis in (0..self.index.len()).rev() {
            let stride = self.layout.strides[axis];
            self.index[axis] += 1;
            if self.index[axis] < self.layout.shape[axis] {
                self.offset = self.offset.wrapping_add_signed(stride);
                return;
            }
            let back = stride.wrapping_mul(self.index[axis] as isize - 1);
            self.offset = self.offset.wrapping_sub(back as usize);
            self.index[axis] = 0;
        }
    }
}

impl Iterator for Offsets<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let offset = self.offset;
        self.remaining = self.remaining.checked_sub(1)?;
        if self.remaining > 0 {
            self.step();
        }
        Some(offset)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Offsets<'_> {}
impl FusedIterator for Offsets<'_> {}
