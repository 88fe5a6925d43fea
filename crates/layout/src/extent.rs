//! How far elements reach from the first one.

use core::borrow::Borrow;
use core::ops::Range;

/// The bytes of elements of these lengths and steps, counted from where element `[0, .., 0]` begins:
/// from the lowest to past the highest. `0..0` without elements; `None` past `isize`.
///
/// ```
/// use ndbridge_layout::extent;
/// assert_eq!(extent(&[2, 3], [16, -4], 4), Some(-8..20));
/// assert_eq!(extent(&[2, 0], [16, -4], 4), Some(0..0));
/// assert_eq!(extent(&[3], [isize::MAX], 1), None);
/// ```
#[inline]
pub fn extent<S: Borrow<isize>>(
    shape: &[usize],
    strides: impl IntoIterator<Item = S>,
    item_bytes: usize,
) -> Option<Range<isize>> {
    match reach(shape, strides) {
        Reach::Within(low, high) => Some(low..high.checked_add(isize::try_from(item_bytes).ok()?)?),
        Reach::None => Some(0..0),
        Reach::Outside => None,
    }
}

/// Where elements begin, in bytes from the first one.
pub(crate) enum Reach {
    /// From the lowest, 0 or less, to the highest, 0 or more.
    Within(isize, isize),
    /// There are no elements.
    None,
    /// Past `isize`.
    Outside,
}

#[inline(always)]
pub(crate) fn reach<S: Borrow<isize>>(
    shape: &[usize],
    strides: impl IntoIterator<Item = S>,
) -> Reach {
    let (mut low, mut high) = (0_isize, 0_isize);
    for (&len, stride) in shape.iter().zip(strides) {
        if len == 0 {
            return Reach::None;
        }
        let last = isize::try_from(len - 1).ok();
        let far = last.and_then(|last| last.checked_mul(*stride.borrow()));
        let side = if far < Some(0) { &mut low } else { &mut high };
        match far.and_then(|far| side.checked_add(far)) {
            Some(sum) => *side = sum,
            None if shape.contains(&0) => return Reach::None,
            None => return Reach::Outside,
        }
    }
    Reach::Within(low, high)
}
