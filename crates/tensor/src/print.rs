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
mod shown;
#[cfg(test)]
mod tests;

use std::fmt;

use ndbridge_dtype::{DType, Scalar};
use ndbridge_layout::write_tuple;
use ndbridge_storage::Device;

use self::body::{LINE_WIDTH, PREFIX};
use self::element::ElementFormat;
use self::fetched::Fetched;
use self::shown::{is_elided, shown};
use crate::elements::Elements;
use crate::error::TensorError;
use crate::tensor::Tensor;

/// As NumPy prints arrays: `tensor([1., 2.], dtype=float32)`, with an ellipsis for many elements.
/// Of a tensor on a device the elements that are shown are copied, and the text says where it is.
/// Elements that cannot be read now are replaced by the reason.
impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shape, dtype) = (self.shape(), self.dtype());
        match self.printed() {
            Ok(text) => f.write_str(&text),
            Err(error) => write!(f, "tensor(<{error}>, shape={shape:?}, dtype={dtype})"),
        }
    }
}

impl Tensor {
    /// The values with shape and data type, as `Display` shows them; long axes are shortened.
    ///
    /// `Display` cannot fail, and says an error's text in place of the values; who has better words for
    /// it asks here.
    ///
    /// ```
    /// use ndbridge_tensor::Tensor;
    /// let tensor = Tensor::from_vec(vec![1_i16, 2]);
    /// assert_eq!(tensor.printed()?, "tensor([1, 2], dtype=int16)");
    /// let guard = tensor.write::<i16>()?;
    /// assert!(tensor.printed().is_err());
    /// # drop(guard);
    /// # Ok::<(), ndbridge_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// While the elements are borrowed for writing, for a `bool` that is none, and the driver's.
    pub fn printed(&self) -> Result<String, TensorError> {
        let (shape, dtype) = (self.shape(), self.dtype());
        if self.device().is_host() {
            let elements = Elements::of(self)?;
            return Ok(Printed { shape, dtype, device: None, at: &|at| elements.at(at) }.repr());
        }
        let fetched = Fetched::of(self)?;
        // A bool that is none is told of here, as it is on the host.
        fetched.check()?;
        let at = |index: &[usize]| fetched.at(index);
        Ok(Printed { shape, dtype, device: Some(self.device()), at: &at }.repr())
    }
}

/// What to print: the elements come from `at`, which is called with indices inside of `shape` only.
struct Printed<'a> {
    shape: &'a [usize],
    dtype: DType,
    /// Where the elements are, unless on the host.
    device: Option<Device>,
    at: &'a dyn Fn(&[usize]) -> Scalar,
}

impl Printed<'_> {
    /// `tensor([1., 2.], dtype=float32)`; with the shape where the elements do not show it.
    fn repr(&self) -> String {
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
