//! All indices of some axes, one after the other.

use smallvec::SmallVec;

use super::pair::Axis;

/// The addresses of both sides at one index of some axes.
pub(super) struct Walk {
    pub(super) source: *const u8,
    pub(super) destination: *mut u8,
    index: SmallVec<[usize; 4]>,
}

impl Walk {
    /// At the `number`-th index of the axes, counted with the last axis fastest.
    pub(super) fn new(
        mut source: *const u8,
        mut destination: *mut u8,
        axes: &[Axis],
        number: usize,
    ) -> Self {
        let mut rest = number;
        let mut index = SmallVec::from_elem(0, axes.len());
        for (at, axis) in index.iter_mut().zip(axes).rev() {
            *at = rest % axis.len;
            rest /= axis.len;
            (source, destination) = axis.at(source, destination, *at);
        }
        Self { source, destination, index }
    }

    /// To the next index; from the last one to the first.
    #[inline]
    pub(super) fn advance(&mut self, axes: &[Axis]) {
        for (at, axis) in self.index.iter_mut().zip(axes).rev() {
            *at += 1;
            if *at < axis.len {
                (self.source, self.destination) = axis.at(self.source, self.destination, 1);
                return;
            }
            *at = 0;
            let back = Axis {
                source: axis.source.wrapping_neg(),
                destination: axis.destination.wrapping_neg(),
                ..*axis
            };
            (self.source, self.destination) = back.at(self.source, self.destination, axis.len - 1);
        }
    }
}
