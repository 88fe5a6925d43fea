//! Two layouts of one shape, in their simplest common form.

use smallvec::SmallVec;

use super::Side;

/// An axis along which two sides of a copy are walked together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Count of elements.
    pub len: usize,
    /// Step of the source, in bytes.
    pub source: isize,
    /// Step of the destination, in bytes.
    pub destination: isize,
}

impl Axis {
    /// No axis: one element.
    pub(super) const ONE: Self = Self { len: 1, source: 0, destination: 0 };

    /// Both sides, `index` elements further.
    #[inline(always)]
    pub(super) fn at(self, from: *const u8, to: *mut u8, index: usize) -> (*const u8, *mut u8) {
        let index = index as isize;
        let from = from.wrapping_offset(self.source.wrapping_mul(index));
        (from, to.wrapping_offset(self.destination.wrapping_mul(index)))
    }

    /// Whether this axis and `inner` are one, on both sides.
    fn continues(self, inner: Self) -> bool {
        let whole = |step: isize| isize::try_from(inner.len).ok().and_then(|n| step.checked_mul(n));
        whole(inner.source) == Some(self.source)
            && whole(inner.destination) == Some(self.destination)
    }
}

/// Axes of length 1 dropped, destination walked upwards, axes ordered by the destination's steps
/// (largest first), neighbours merged where both sides go on without a gap.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(super) source: *const u8,
    pub(super) destination: *mut u8,
    // INVARIANT: every length is 2 or more.
    pub(super) axes: SmallVec<[Axis; 4]>,
}

impl Pair {
    /// `shape` has no axis of length 0.
    pub(crate) fn simplify(shape: &[usize], source: Side<'_>, destination: Side<'_>) -> Self {
        let (mut from, mut to) = (source.ptr.cast_const(), destination.ptr);
        let mut axes: SmallVec<[Axis; 4]> = SmallVec::new();
        for (axis, &len) in shape.iter().enumerate().filter(|&(_, &len)| len > 1) {
            let mut axis =
                Axis { len, source: source.strides[axis], destination: destination.strides[axis] };
            if axis.destination < 0 {
                from = from.wrapping_offset(axis.source.wrapping_mul(len as isize - 1));
                to = to.wrapping_offset(axis.destination.wrapping_mul(len as isize - 1));
                axis.source = axis.source.wrapping_neg();
                axis.destination = axis.destination.wrapping_neg();
            }
            axes.push(axis);
        }
        axes.sort_by_key(|axis| std::cmp::Reverse((axis.destination, axis.source.unsigned_abs())));
        merge(&mut axes);
        Self { source: from, destination: to, axes }
    }

    /// Every axis of two elements or more, the widest step of the destination first.
    pub(crate) fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// The first element of both sides.
    pub(crate) fn start(&self) -> (*const u8, *mut u8) {
        (self.source, self.destination)
    }
}

fn merge(axes: &mut SmallVec<[Axis; 4]>) {
    let mut merged: usize = 0;
    for next in 1..axes.len() {
        let inner = axes[next];
        let outer = axes[merged];
        if outer.continues(inner) {
            axes[merged] = Axis { len: outer.len * inner.len, ..inner };
        } else {
            merged += 1;
            axes[merged] = inner;
        }
    }
    axes.truncate(merged + 1);
}

#[cfg(test)]
mod tests {
    use ndbridge_dtype::DType;

    use super::{Axis, Pair, Side};

    fn pair(shape: &[usize], source: &[isize], destination: &[isize]) -> Pair {
        let side = |strides| Side { ptr: std::ptr::null_mut(), strides, dtype: DType::U8 };
        Pair::simplify(shape, side(source), side(destination))
    }

    #[test]
    fn contiguous_layouts_become_one_run() {
        let pair = pair(&[2, 1, 3, 4], &[12, 99, 4, 1], &[12, -7, 4, 1]);
        assert_eq!(pair.axes.as_slice(), [Axis { len: 24, source: 1, destination: 1 }]);
    }

    #[test]
    fn the_destination_decides_the_order() {
        let pair = pair(&[2, 3], &[3, 1], &[1, 2]);
        let [row, col] = [(3, 1, 2), (2, 3, 1)].map(|(len, source, destination)| Axis {
            len,
            source,
            destination,
        });
        assert_eq!(pair.axes.as_slice(), [row, col]);
    }

    #[test]
    fn a_reversed_destination_is_walked_upwards() {
        let pair = pair(&[4], &[1], &[-1]);
        assert_eq!(pair.axes.as_slice(), [Axis { len: 4, source: -1, destination: 1 }]);
        assert_eq!((pair.source as isize, pair.destination as isize), (3, -3));
    }
}
