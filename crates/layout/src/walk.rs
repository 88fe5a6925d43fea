//! Two layouts of one shape, walked together.

use core::cmp::Reverse;

use smallvec::SmallVec;

/// An axis along which two sides are walked together, one of them read, the other written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkAxis {
    /// Count of elements.
    pub len: usize,
    /// Step of the source, in bytes.
    pub source: isize,
    /// Step of the destination, in bytes.
    pub destination: isize,
}

impl WalkAxis {
    /// No axis: one element.
    pub const ONE: Self = Self { len: 1, source: 0, destination: 0 };

    /// Bytes from the first element to the one at `index`: of the source, of the destination.
    #[inline(always)]
    #[must_use]
    pub const fn offsets(self, index: usize) -> (isize, isize) {
        let index = index as isize;
        (self.source.wrapping_mul(index), self.destination.wrapping_mul(index))
    }

    /// The same elements from the last to the first.
    #[inline]
    #[must_use]
    pub const fn reversed(self) -> Self {
        let (source, destination) = (self.source.wrapping_neg(), self.destination.wrapping_neg());
        Self { source, destination, ..self }
    }

    /// Whether this axis and `inner` are one, on both sides.
    #[inline]
    fn continues(self, inner: Self) -> bool {
        steps_on(self.source, inner.len, inner.source)
            && steps_on(self.destination, inner.len, inner.destination)
    }
}

/// The axes of a [`Walk`].
#[doc(hidden)]
pub type WalkAxes = SmallVec<[WalkAxis; 4]>;

/// The way over all elements of one or two layouts of a shape, in the fewest axes that reach them.
///
/// Axes of length 1 are dropped. The destination is walked upwards. Its widest step comes first; of
/// equal ones, the source's widest. Neighbours are one axis where both sides go on as they step.
///
/// Why it is not a [`Layout`](crate::Layout): an axis has two steps, and no index of the shape leads
/// to its elements any more. Why not a [`Footprint`](crate::Footprint): that is the set of the bytes,
/// whose axes have no pairs of elements to keep.
///
/// ```
/// use ndbridge_layout::{Walk, WalkAxis};
/// // A matrix whose rows come last first, copied to a contiguous one: rows of 3 x 4 bytes.
/// let walk = Walk::of_pair(&[2, 1, 3], &[-12, 0, 4], &[12, 12, 4]).expect("elements");
/// assert_eq!(walk.axes(), [
///     WalkAxis { len: 2, source: -12, destination: 12 },
///     WalkAxis { len: 3, source: 4, destination: 4 },
/// ]);
/// // Both sides alike are one run.
/// let walk = Walk::of_one(&[2, 1, 3], &[12, 0, 4]).expect("elements");
/// assert!(walk.is_block(4, 4));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Bytes from the source's element `[0, .., 0]` to the one where the walk begins.
    pub source_start: isize,
    /// Bytes from the destination's element `[0, .., 0]` to the one where the walk begins.
    pub destination_start: isize,
    // INVARIANT: every length is 2 or more, the destination's steps descend and none is negative.
    axes: WalkAxes,
}

impl Walk {
    /// The walk of two layouts that exist, by their strides in bytes, one for each length; `None`
    /// if there are no elements.
    #[inline]
    #[must_use]
    pub fn of_pair(shape: &[usize], source: &[isize], destination: &[isize]) -> Option<Self> {
        if shape.contains(&0) {
            return None;
        }
        let mut walk = Self { source_start: 0, destination_start: 0, axes: WalkAxes::new() };
        for ((&len, &source), &destination) in shape.iter().zip(source).zip(destination) {
            if len > 1 {
                walk.push(WalkAxis { len, source, destination });
            }
        }
        walk.axes.sort_by_key(|axis| Reverse((axis.destination, axis.source.unsigned_abs())));
        join(&mut walk.axes);
        Some(walk)
    }

    /// The walk of one layout, which is both sides.
    #[inline]
    #[must_use]
    pub fn of_one(shape: &[usize], strides: &[isize]) -> Option<Self> {
        Self::of_pair(shape, strides, strides)
    }

    #[inline]
    fn push(&mut self, axis: WalkAxis) {
        if axis.destination >= 0 {
            return self.axes.push(axis);
        }
        let (source, destination) = axis.offsets(axis.len - 1);
        self.source_start = self.source_start.wrapping_add(source);
        self.destination_start = self.destination_start.wrapping_add(destination);
        self.axes.push(axis.reversed());
    }

    /// Every axis of two elements or more, the widest step of the destination first.
    #[inline]
    #[must_use]
    pub fn axes(&self) -> &[WalkAxis] {
        &self.axes
    }

    /// The axes, to be changed.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn into_axes(self) -> WalkAxes {
        self.axes
    }

    /// Whether the elements, of so many bytes on each side, are one block on both sides, in the same
    /// order.
    #[inline]
    #[must_use]
    pub fn is_block(&self, source_item_bytes: usize, destination_item_bytes: usize) -> bool {
        let items = (source_item_bytes as isize, destination_item_bytes as isize);
        match self.axes.as_slice() {
            [] => true,
            [run] => (run.source, run.destination) == items,
            _ => false,
        }
    }
}

/// Whether an axis of this stride goes on where `len` steps of the `inner` stride end.
#[inline]
pub(crate) fn steps_on(stride: isize, len: usize, inner: isize) -> bool {
    isize::try_from(len).ok().and_then(|len| inner.checked_mul(len)) == Some(stride)
}

#[inline]
fn join(axes: &mut WalkAxes) {
    let mut joined: usize = 0;
    for next in 1..axes.len() {
        let (outer, inner) = (axes[joined], axes[next]);
        if outer.continues(inner) {
            axes[joined] = WalkAxis { len: outer.len * inner.len, ..inner };
        } else {
            joined += 1;
            axes[joined] = inner;
        }
    }
    axes.truncate(joined + 1);
}

/// A place on a walk: one index of some axes.
///
/// ```
/// use ndbridge_layout::{WalkAxis, WalkCursor};
/// let axis = |len, source, destination| WalkAxis { len, source, destination };
/// let axes = [axis(2, 4, 12), axis(3, 8, 4)];
/// let mut cursor = WalkCursor::at(&axes, 2); // index [0, 2]
/// assert_eq!(cursor.offsets(&axes), (16, 8));
/// assert_eq!(cursor.advance(&axes), (-12, 4)); // to index [1, 0]
/// assert_eq!(cursor.offsets(&axes), (4, 12));
/// ```
#[derive(Clone, Debug)]
pub struct WalkCursor {
    index: SmallVec<[usize; 4]>,
}

impl WalkCursor {
    /// At the `number`-th index of the axes, counted with the last axis fastest.
    #[must_use]
    pub fn at(axes: &[WalkAxis], number: usize) -> Self {
        let mut rest = number;
        let mut index = SmallVec::from_elem(0, axes.len());
        for (index, axis) in index.iter_mut().zip(axes).rev() {
            *index = rest % axis.len;
            rest /= axis.len;
        }
        Self { index }
    }

    /// Bytes from where the axes begin to here: of the source, of the destination.
    #[inline]
    #[must_use]
    pub fn offsets(&self, axes: &[WalkAxis]) -> (isize, isize) {
        let offsets = self.index.iter().zip(axes).map(|(&index, axis)| axis.offsets(index));
        offsets.fold((0, 0), |all, one| (all.0.wrapping_add(one.0), all.1.wrapping_add(one.1)))
    }

    /// To the next index of the axes it was made for, from the last one to the first: how many bytes
    /// further that is on both sides.
    #[inline(always)]
    pub fn advance(&mut self, axes: &[WalkAxis]) -> (isize, isize) {
        let (mut source, mut destination) = (0_isize, 0_isize);
        for (index, axis) in self.index.iter_mut().zip(axes).rev() {
            *index += 1;
            if *index < axis.len {
                return (
                    source.wrapping_add(axis.source),
                    destination.wrapping_add(axis.destination),
                );
            }
            *index = 0;
            let back = axis.offsets(axis.len - 1);
            source = source.wrapping_sub(back.0);
            destination = destination.wrapping_sub(back.1);
        }
        (source, destination)
    }
}
