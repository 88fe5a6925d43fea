//! One format for all elements of a tensor, so that columns align.

use ndbridge_dtype::{DType, Scalar};

use super::decimal::Width;
use super::float::{FloatFormat, Sign};

pub(super) enum ElementFormat {
    Bool { is_rank0: bool },
    Int { width: usize },
    Float(FloatFormat),
    Complex { re: FloatFormat, im: FloatFormat },
}

impl ElementFormat {
    /// The format for `values`, all of data type `dtype`.
    pub(super) fn new(values: &[Scalar], dtype: DType, is_rank0: bool) -> Self {
        let width = Width::of(dtype);
        match values.first() {
            Some(Scalar::Bool(_)) => Self::Bool { is_rank0 },
            Some(Scalar::Float(_)) => {
                let values: Vec<f64> = values.iter().map(|value| parts(value).0).collect();
                Self::Float(FloatFormat::new(&values, width, Sign::Minus))
            }
            Some(Scalar::Complex(_)) => {
                let (re, im): (Vec<_>, Vec<_>) = values.iter().map(parts).unzip();
                Self::Complex {
                    re: FloatFormat::new(&re, width, Sign::Minus),
                    im: FloatFormat::new(&im, width, Sign::Always),
                }
            }
            _ => Self::Int {
                width: values.iter().map(|value| integer(value).len()).max().unwrap_or(0),
            },
        }
    }

    pub(super) fn text(&self, value: Scalar) -> String {
        match self {
            Self::Bool { is_rank0 } => {
                let width = if *is_rank0 { 0 } else { "False".len() };
                format!("{:>width$}", if value == Scalar::Bool(true) { "True" } else { "False" })
            }
            Self::Int { width } => format!("{:>width$}", integer(&value)),
            Self::Float(format) => format.text(parts(&value).0),
            Self::Complex { re, im } => {
                let (real, imaginary) = parts(&value);
                let (re, im) = (re.text(real), im.text(imaginary));
                let digits = im.trim_end();
                format!("{re}{digits}j{}", &im[digits.len()..])
            }
        }
    }
}

fn integer(value: &Scalar) -> String {
    match value {
        Scalar::Int(value) => value.to_string(),
        Scalar::UInt(value) => value.to_string(),
        _ => String::new(), // all values are of one data type
    }
}

/// Real and imaginary part.
fn parts(value: &Scalar) -> (f64, f64) {
    match value {
        Scalar::Float(value) => (*value, 0.0),
        Scalar::Complex(value) => (value.re, value.im),
        _ => (0.0, 0.0), // all values are of one data type
    }
}
