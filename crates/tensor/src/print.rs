//! Tensors as text, in NumPy's words.
//!
//! The text is that of `np.array2string(a, separator=', ', prefix='tensor(')` with NumPy's default
//! options: eight digits of precision, lines of 75 characters, and past 1000 elements only three at
//! each end of an axis. Elements that are not shown are not read. bfloat16 and float8 print as the
//! float32 of the same value.

mod body;
mod decimal;
mod element;
mod fetched;
mod float;
#[cfg(test)]
mod tests;

use ndbridge_dtype::{DType, Scalar};
use ndbridge_layout::write_tuple;
use ndbridge_storage::Device;

use element::ElementFormat;
pub(crate) use fetched::Fetched;

const PREFIX: &str = "tensor(";
const LINE_WIDTH: usize = 75;
const THRESHOLD: usize = 1000;
const EDGE_ITEMS: usize = 3;

/// What to print: the elements come from `at`, which is called with indices inside of `shape` only.
pub(crate) struct Printed<'a> {
    pub(crate) shape: &'a [usize],
    pub(crate) dtype: DType,
    /// Where the elements are, unless on the host.
    pub(crate) device: Option<Device>,
    pub(crate) at: &'a dyn Fn(&[usize]) -> Scalar,
}

impl Printed<'_> {
    /// `tensor([1., 2.], dtype=float32)`; with the shape where the elements do not show it.
    pub(crate) fn repr(&self) -> String {
        let head = format!("{PREFIX}{},", self.body());
        let device = self.device.map_or_else(String::new, |device| format!(", device={device}"));
        let tail = format!("{}dtype={}{device})", self.shape_note(), self.dtype.name());
        let last_line = head.rsplit('\n').next().unwrap_or(&head).len();
        if last_line + tail.len() + 1 > LINE_WIDTH {
            return format!("{head}\n{:1$}{tail}", "", PREFIX.len());
        }
        format!("{head} {tail}")
    }

    /// The elements in brackets, as they stand after `tensor(`.
    fn body(&self) -> String {
        if self.shape.contains(&0) {
            return "[]".to_owned();
        }
        let values = self.shown_values();
        let format = ElementFormat::new(&values, self.dtype, self.shape.is_empty());
        let texts = values.iter().map(|&value| format.text(value));
        body::write(self.shape, self.is_elided(), texts)
    }

    fn shape_note(&self) -> String {
        if !self.is_elided() && !self.shape.contains(&0) {
            return String::new();
        }
        let mut note = "shape=".to_owned();
        // Cannot fail: a String takes all text.
        let _ = write_tuple(&mut note, self.shape);
        note + ", "
    }

    fn is_elided(&self) -> bool {
        is_elided(self.shape)
    }

    /// The values of the elements that are shown, in C order.
    fn shown_values(&self) -> Vec<Scalar> {
        let mut values = Vec::new();
        let mut index = vec![0; self.shape.len()];
        self.push_values(0, &mut index, &mut values);
        values
    }

    fn push_values(&self, axis: usize, index: &mut [usize], values: &mut Vec<Scalar>) {
        let Some(&len) = self.shape.get(axis) else {
            return values.push((self.at)(index));
        };
        for at in shown(len, self.is_elided()) {
            index[axis] = at;
            self.push_values(axis + 1, index, values);
        }
    }
}

/// The positions along an axis that are shown.
fn shown(len: usize, is_elided: bool) -> impl Iterator<Item = usize> {
    shown_parts(len, is_elided).flat_map(|(start, len)| start..start + len)
}

/// The parts of an axis that are shown, as first position and length.
fn shown_parts(len: usize, is_elided: bool) -> impl Iterator<Item = (usize, usize)> {
    let parts = match is_gapped(len, is_elided) {
        true => [Some((0, EDGE_ITEMS)), Some((len - EDGE_ITEMS, EDGE_ITEMS))],
        false => [Some((0, len)), None],
    };
    parts.into_iter().flatten()
}

/// Whether the middle of long axes is left out.
fn is_elided(shape: &[usize]) -> bool {
    shape.iter().fold(1, |len: usize, &axis| len.saturating_mul(axis)) > THRESHOLD
}

/// Whether `...` stands for the middle of an axis.
fn is_gapped(len: usize, is_elided: bool) -> bool {
    is_elided && len > 2 * EDGE_ITEMS
}
