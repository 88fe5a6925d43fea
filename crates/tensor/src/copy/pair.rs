//! Two layouts of one shape, in their simplest common form.

use smallvec::SmallVec;

use super::Side;

/// An axis of both sides: its length and the step of each, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    pub(crate) len: usize,
    pub(crate) source: isize,
    pub(crate) destination: isize,
}

impl Axis {
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
    source: *const u8,
    destination: *mut u8,
    // INVARIANT: no length is 0.
    outer: SmallVec<[Axis; 4]>,
    run: Axis,
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
        let mut outer = merge(&axes);
        let run = outer.pop().unwrap_or(Axis { len: 1, source: 0, destination: 0 });
        Self { source: from, destination: to, outer, run }
    }

    /// The innermost axis.
    pub(super) fn run(&self) -> Axis {
        self.run
    }

    /// Every axis of two elements or more, the widest step of the destination first.
    #[cfg(feature = "cuda")]
    pub(crate) fn axes(&self) -> SmallVec<[Axis; 8]> {
        let run = Some(self.run).filter(|run| run.len > 1);
        self.outer.iter().copied().chain(run).collect()
    }

    /// The first element of both sides.
    #[cfg(feature = "cuda")]
    pub(crate) fn start(&self) -> (*const u8, *mut u8) {
        (self.source, self.destination)
    }

    /// Calls `visit` with the first source and destination address of every run.
    pub(super) fn for_each_run(&self, mut visit: impl FnMut(*const u8, *mut u8)) {
        let mut index: SmallVec<[usize; 4]> = SmallVec::from_elem(0, self.outer.len());
        let (mut source, mut destination) = (self.source, self.destination);
        loop {
            visit(source, destination);
            let Some(axis) = self.advance(&mut index) else { return };
            // The axes inside of `axis` went back to their start.
            for inner in &self.outer[axis + 1..] {
                let back = 1 - inner.len as isize;
                source = source.wrapping_offset(inner.source.wrapping_mul(back));
                destination = destination.wrapping_offset(inner.destination.wrapping_mul(back));
            }
            source = source.wrapping_offset(self.outer[axis].source);
            destination = destination.wrapping_offset(self.outer[axis].destination);
        }
    }

    /// Counts `index` up by one; the axis that went forward, or `None` at the end.
    fn advance(&self, index: &mut [usize]) -> Option<usize> {
        for axis in (0..self.outer.len()).rev() {
            index[axis] += 1;
            if index[axis] < self.outer[axis].len {
                return Some(axis);
            }
            index[axis] = 0;
        }
        None
    }
}

fn merge(axes: &[Axis]) -> SmallVec<[Axis; 4]> {
    let mut merged: SmallVec<[Axis; 4]> = SmallVec::new();
    for &inner in axes {
        match merged.last_mut() {
            Some(outer) if outer.continues(inner) => {
                *outer = Axis { len: outer.len * inner.len, ..inner };
            }
            _ => merged.push(inner),
        }
    }
    merged
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
        assert!(pair.outer.is_empty());
        assert_eq!(pair.run, Axis { len: 24, source: 1, destination: 1 });
    }

    #[test]
    fn the_destination_decides_the_order() {
        let pair = pair(&[2, 3], &[3, 1], &[1, 2]);
        assert_eq!(pair.outer.as_slice(), [Axis { len: 3, source: 1, destination: 2 }]);
        assert_eq!(pair.run, Axis { len: 2, source: 3, destination: 1 });
    }

    #[test]
    fn a_reversed_destination_is_walked_upwards() {
        let pair = pair(&[4], &[1], &[-1]);
        assert_eq!(pair.run, Axis { len: 4, source: -1, destination: 1 });
        assert_eq!((pair.source as isize, pair.destination as isize), (3, -3));
    }
}
