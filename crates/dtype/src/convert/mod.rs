//! Value conversion between all pairs of element types.

mod round;
mod small_float;
mod truncate;
pub(crate) mod value;

use core::mem::MaybeUninit;

use crate::Element;

/// The value as another type, as NumPy's `astype` converts it; the [crate docs](crate#conversion)
/// have the rules.
///
/// ```
/// use ndbridge_dtype::{convert, f16};
///
/// assert_eq!(convert::<i64, u8>(300), 44); // integers wrap
/// assert_eq!(convert::<f32, u8>(300.7), 255); // floats truncate and saturate
/// assert_eq!(convert::<f32, i32>(f32::NAN), 0);
/// assert_eq!(convert::<f64, f16>(65520.0), f16::INFINITY); // nearest, ties to even
/// ```
#[inline(always)]
#[must_use]
pub fn convert<S: Element, D: Element>(value: S) -> D {
    value.cast_to()
}

/// Converts each element of `source` into the element of `target` at the same index.
///
/// # Panics
/// If the lengths differ.
///
/// ```
/// let mut bytes = [0u8; 3];
/// ndbridge_dtype::convert_slice(&[-1.0, 2.9, 256.0], &mut bytes);
/// assert_eq!(bytes, [0, 2, 255]);
/// ```
pub fn convert_slice<S: Element, D: Element>(source: &[S], target: &mut [D]) {
    assert_eq!(source.len(), target.len(), "source and target differ in length");
    for (to, &from) in target.iter_mut().zip(source) {
        *to = convert(from);
    }
}

/// [`convert_slice`] into memory that was never written. Afterwards all of `target` is initialized.
///
/// # Panics
/// If the lengths differ.
pub fn convert_slice_uninit<S: Element, D: Element>(source: &[S], target: &mut [MaybeUninit<D>]) {
    assert_eq!(source.len(), target.len(), "source and target differ in length");
    for (to, &from) in target.iter_mut().zip(source) {
        to.write(convert(from));
    }
}
