//! Tensors as text, like NumPy's `repr`.

use std::fmt;

/// Writes `(2, 3)`, `(2,)` or `()` as Python does.
pub(crate) fn write_tuple<T: fmt::Display>(f: &mut impl fmt::Write, items: &[T]) -> fmt::Result {
    f.write_str("(")?;
    for (i, item) in items.iter().enumerate() {
        let before = if i == 0 { "" } else { ", " };
        write!(f, "{before}{item}")?;
    }
    f.write_str(if items.len() == 1 { ",)" } else { ")" })
}
