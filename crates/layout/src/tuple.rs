//! Shapes as Python prints them.

use core::fmt;

/// Writes `(2, 3)`, `(2,)` or `()`.
///
/// ```
/// let mut text = String::new();
/// ndbridge_layout::write_tuple(&mut text, &[2])?;
/// assert_eq!(text, "(2,)");
/// # Ok::<(), std::fmt::Error>(())
/// ```
///
/// # Errors
/// Those of `f`.
pub fn write_tuple<T: fmt::Display>(f: &mut impl fmt::Write, items: &[T]) -> fmt::Result {
    f.write_str("(")?;
    for (i, item) in items.iter().enumerate() {
        let before = if i == 0 { "" } else { ", " };
        write!(f, "{before}{item}")?;
    }
    f.write_str(if items.len() == 1 { ",)" } else { ")" })
}
