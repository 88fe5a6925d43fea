//! One format for floats: NumPy's `FloatingFormat`.

use super::decimal::{Decimal, Width, positional};

const PRECISION: usize = 8;

/// Which numbers are written with a sign.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// Negative ones.
    Minus,
    /// All: imaginary parts.
    Always,
}

pub(super) struct FloatFormat {
    width: Width,
    sign: Sign,
    exponent: Option<Exponent>,
    /// Characters before the point.
    pad_left: usize,
    /// Characters after the point.
    pad_right: usize,
}

/// `d.ddde+dd`
struct Exponent {
    /// Digits after the point.
    precision: usize,
    /// Digits of the exponent.
    digits: usize,
}

impl FloatFormat {
    /// The format for `values`: an exponent where they are very large, small or far apart.
    pub(super) fn new(values: &[f64], width: Width, sign: Sign) -> Self {
        let mut format = Self { width, sign, exponent: None, pad_left: 0, pad_right: 0 };
        let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        if needs_exponent(&finite, width) {
            format.fit_exponents(&finite);
        } else {
            format.fit_positions(&finite);
        }
        format.fit_non_finite(values);
        format
    }

    pub(super) fn text(&self, value: f64) -> String {
        if !value.is_finite() {
            return format!("{:>1$}", self.non_finite(value), self.pad_left + self.pad_right + 1);
        }
        let sign = self.sign_of(value);
        match &self.exponent {
            Some(exponent) => {
                let text = exponent.text(value.abs(), self.width);
                let point = text.find('.').unwrap_or(0);
                let left = self.pad_left;
                format!("{:>left$}{}", format!("{sign}{}", &text[..point]), &text[point..])
            }
            None => {
                let (before, after) = positional(value.abs(), self.width, PRECISION);
                let before = format!("{sign}{before}");
                let (left, right) = (self.pad_left, self.pad_right);
                format!("{before:>left$}.{after:<right$}")
            }
        }
    }

    fn sign_of(&self, value: f64) -> &'static str {
        match self.sign {
            _ if value.is_sign_negative() => "-",
            Sign::Always => "+",
            Sign::Minus => "",
        }
    }

    fn non_finite(&self, value: f64) -> String {
        // The sign of a NaN is not shown.
        let sign = self.sign_of(if value.is_nan() { 1.0 } else { value });
        format!("{sign}{}", if value.is_nan() { "nan" } else { "inf" })
    }

    fn fit_exponents(&mut self, finite: &[f64]) {
        let decimals =
            finite.iter().map(|value| Decimal::scientific(value.abs(), self.width, PRECISION));
        let (fractions, exponents): (Vec<usize>, Vec<usize>) =
            decimals.map(|d| (d.digits.len() - 1, exponent_digits(d.exponent))).unzip();
        let precision = fractions.into_iter().max().unwrap_or(0);
        let digits = exponents.into_iter().max().unwrap_or(0);
        self.exponent = Some(Exponent { precision, digits });
        self.pad_left =
            finite.iter().map(|&value| 1 + self.sign_of(value).len()).max().unwrap_or(0);
        self.pad_right = digits + 2 + precision;
    }

    fn fit_positions(&mut self, finite: &[f64]) {
        for &value in finite {
            let (before, after) = positional(value.abs(), self.width, PRECISION);
            self.pad_left = self.pad_left.max(self.sign_of(value).len() + before.len());
            self.pad_right = self.pad_right.max(after.len());
        }
    }

    /// Leaves room for `nan` and `inf`.
    fn fit_non_finite(&mut self, values: &[f64]) {
        let signed = self.sign == Sign::Always || values.contains(&f64::NEG_INFINITY);
        let room = "inf".len() + usize::from(signed);
        if values.iter().any(|value| !value.is_finite()) {
            self.pad_left = self.pad_left.max(room.saturating_sub(self.pad_right + 1));
        }
    }
}

impl Exponent {
    fn text(&self, magnitude: f64, width: Width) -> String {
        let Decimal { digits, exponent } = Decimal::filled(magnitude, width, self.precision);
        let (first, rest) = digits.split_at(1);
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{first}.{rest}e{sign}{:01$}", exponent.unsigned_abs(), self.digits)
    }
}

/// Digits that an exponent takes, at least two.
fn exponent_digits(exponent: i32) -> usize {
    if exponent.abs() > 99 { 3 } else { 2 }
}

/// NumPy's rule, computed in the precision of the elements.
fn needs_exponent(finite: &[f64], width: Width) -> bool {
    let magnitudes = || finite.iter().map(|value| value.abs()).filter(|&value| value != 0.0);
    let (Some(largest), Some(smallest)) =
        (magnitudes().reduce(f64::max), magnitudes().reduce(f64::min))
    else {
        return false;
    };
    let limit = match width {
        Width::F16 => 1e3,
        Width::F32 => 1e6,
        Width::F64 => 1e8,
    };
    largest >= limit || smallest < width.round(0.0001) || width.round(largest / smallest) > 1000.0
}
