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
    if shape.contains(&0) {
        return Some(0..0);
    }
    let (mut low, mut high) = (0_isize, isize::try_from(item_bytes).ok()?);
    for (&len, stride) in shape.iter().zip(strides) {
        let reach = isize::try_from(len - 1).ok()?.checked_mul(*stride.borrow())?;
        let side = if reach < 0 { &mut low } else { &mut high };
        *side = side.checked_add(reach)?;
    }
    Some(low..high)
}
