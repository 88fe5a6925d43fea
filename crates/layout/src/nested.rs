//! The rule by which ndarray knows that no element is reached twice.

use crate::walk::Walk;

/// Whether each axis steps over all that the axes with narrower steps reach, so that no element lies
/// among those of another index. What has no elements is nested.
///
/// Sufficient, not necessary, for no byte to be reached twice: ndarray asks for it of arrays that are
/// written. [`reaches_a_byte_twice`](crate::reaches_a_byte_twice) is exact.
///
/// ```
/// use ndbridge_layout::is_nested;
/// assert!(is_nested(&[2, 3], &[4, -8]));
/// assert!(!is_nested(&[2, 3], &[4, 0]));
/// assert!(!is_nested(&[3, 2], &[8, 12])); // bytes 0, 8, 16 and 12, 20, 28: they interleave
/// ```
#[inline]
#[must_use]
pub fn is_nested(shape: &[usize], strides: &[isize]) -> bool {
    let axes = shape.iter().zip(strides).rev();
    // Most arrays are, in the order that their axes have.
    each_clears(axes.map(|(&len, stride)| (len, stride.unsigned_abs())))
        || Walk::of_one(shape, strides).is_none_or(|walk| {
            let axes = walk.axes().iter().rev();
            each_clears(axes.map(|axis| (axis.len, axis.destination.unsigned_abs())))
        })
}

/// Whether each step is wider than what the axes before it reach.
#[inline(always)]
fn each_clears(mut axes: impl Iterator<Item = (usize, usize)>) -> bool {
    let mut reach = 0_usize;
    axes.all(|(len, step)| {
        let clears = step > reach || len <= 1;
        reach = reach.saturating_add(step.saturating_mul(len.saturating_sub(1)));
        clears
    })
}
