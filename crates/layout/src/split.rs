//! One axis cut into parts.

use crate::error::LayoutError;
use crate::layout::{Layout, normalize_axis};

/// How to cut an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts<'a> {
    /// Into so many parts, the first ones longer by one element where it does not come out even
    /// (`np.array_split`).
    Sections(usize),
    /// Before each of these elements, with Python's meaning of slice bounds.
    At(&'a [isize]),
}

/// The parts of a layout, from [`Layout::split`].
#[derive(Clone, Debug)]
pub struct Split<'a> {
    layout: &'a Layout,
    axis: usize,
    parts: Parts<'a>,
    next: usize,
}

impl Layout {
    /// The parts of one axis, as views (`np.array_split`).
    ///
    /// ```
    /// use ndbridge_layout::{Layout, Order, Parts};
    /// let layout = Layout::contiguous(&[7], 1, Order::C)?;
    /// let lens = layout.split(Parts::Sections(3), 0)?.map(|part| part.len());
    /// assert_eq!(lens.collect::<Vec<_>>(), [3, 2, 2]);
    /// # Ok::<(), ndbridge_layout::LayoutError>(())
    /// ```
    ///
    /// # Errors
    /// No such axis, or no sections.
    pub fn split<'a>(&'a self, parts: Parts<'a>, axis: isize) -> Result<Split<'a>, LayoutError> {
        let axis = normalize_axis(axis, self.ndim())?;
        match parts {
            Parts::Sections(0) => Err(LayoutError::NoSections),
            _ => Ok(Split { layout: self, axis, parts, next: 0 }),
        }
    }
}

impl Split<'_> {
    fn total(&self) -> usize {
        match self.parts {
            Parts::Sections(sections) => sections,
            Parts::At(cuts) => cuts.len() + 1,
        }
    }

    /// First element of part `part` and first of the next one.
    fn bounds(&self, part: usize) -> (isize, Option<isize>) {
        match self.parts {
            Parts::At(cuts) => {
                let start = part.checked_sub(1).map_or(0, |before| cuts[before]);
                (start, cuts.get(part).copied())
            }
            Parts::Sections(sections) => {
                let len = self.layout.shape[self.axis];
                let start =
                    |part: usize| (part * (len / sections) + part.min(len % sections)) as isize;
                (start(part), Some(start(part + 1)))
            }
        }
    }
}

impl Iterator for Split<'_> {
    type Item = Layout;

    fn next(&mut self) -> Option<Layout> {
        let part = self.next;
        if part == self.total() {
            return None;
        }
        self.next += 1;
        let (start, stop) = self.bounds(part);
        // Cannot fail: the axis exists and the step is 1.
        self.layout.slice_axis(self.axis as isize, Some(start), stop, 1).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let remaining = self.total() - self.next;
        (remaining, Some(remaining))
    }
}

impl ExactSizeIterator for Split<'_> {}
