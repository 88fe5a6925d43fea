//! Brackets, separators and line breaks: NumPy's `_formatArray`.

use super::shown::{EDGE_ITEMS, is_gapped, shown};

pub(super) const PREFIX: &str = "tensor(";
pub(super) const LINE_WIDTH: usize = 75;

const SEPARATOR: &str = ", ";
const GAP: &str = "...";

/// The nested lists of the texts, which come in C order, one for each element that is shown.
pub(super) fn write(
    shape: &[usize],
    is_elided: bool,
    texts: impl Iterator<Item = String>,
) -> String {
    Body { shape, is_elided, texts }.axis(0)
}

struct Body<'a, I> {
    shape: &'a [usize],
    is_elided: bool,
    texts: I,
}

impl<I: Iterator<Item = String>> Body<'_, I> {
    fn axis(&mut self, axis: usize) -> String {
        if axis == self.shape.len() {
            return self.texts.next().unwrap_or_default();
        }
        let items = self.items(axis);
        let indent = PREFIX.len() + axis + 1;
        let text = if axis + 1 == self.shape.len() {
            wrapped(&items, indent, LINE_WIDTH.saturating_sub(axis + 1))
        } else {
            let line_breaks = "\n".repeat(self.shape.len() - axis - 1);
            items.join(&format!(",{line_breaks}{:indent$}", ""))
        };
        format!("[{text}]")
    }

    /// The texts of the items of an axis, and the gap between them.
    fn items(&mut self, axis: usize) -> Vec<String> {
        let len = self.shape[axis];
        let mut items: Vec<String> =
            shown(len, self.is_elided).map(|_| self.axis(axis + 1)).collect();
        if is_gapped(len, self.is_elided) {
            items.insert(EDGE_ITEMS, GAP.to_owned());
        }
        items
    }
}

/// Words with separators on lines that start `indent` into the page and end before `width`.
fn wrapped(words: &[String], indent: usize, width: usize) -> String {
    let mut text = String::new();
    let mut column = indent;
    for (i, word) in words.iter().enumerate() {
        if column + word.len() > width && column > indent {
            text.truncate(text.trim_end().len());
            text.push_str(&format!("\n{:indent$}", ""));
            column = indent;
        }
        let separator = if i + 1 < words.len() { SEPARATOR } else { "" };
        text.push_str(word);
        text.push_str(separator);
        column += word.len() + separator.len();
    }
    text
}
