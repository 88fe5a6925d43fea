//! Decimal digits of floats: NumPy's Dragon4 calls, by way of the standard library.
//!
//! The digits are the fewest that tell the number from its neighbours of the same type; where these
//! are more than the precision allows, the exact value is rounded to it, half to even.

use ndbridge_dtype::{DType, f16};

/// How precise a float is; its neighbours decide how many digits it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    F16,
    F32,
    F64,
}

impl Width {
    /// Of the floats (or parts of complex numbers) of a data type; those NumPy does not have print
    /// as float32.
    pub(super) fn of(dtype: DType) -> Self {
        match dtype {
            DType::F16 => Self::F16,
            DType::F64 | DType::C128 => Self::F64,
            _ => Self::F32,
        }
    }

    /// `value` rounded to this width.
    pub(super) fn round(self, value: f64) -> f64 {
        match self {
            Self::F16 => f16::from_f64(value).to_f64(),
            Self::F32 => f64::from(value as f32),
            Self::F64 => value,
        }
    }
}

/// `d.ddd` times a power of ten.
pub(super) struct Decimal {
    /// At least one digit; the point stands after the first.
    pub(super) digits: String,
    pub(super) exponent: i32,
}

impl Decimal {
    /// The shortest digits of a finite number that is not negative, at most `precision` after the
    /// point.
    pub(super) fn scientific(magnitude: f64, width: Width, precision: usize) -> Self {
        let shortest = Self::shortest(magnitude, width);
        if shortest.digits.len() <= precision + 1 {
            return shortest;
        }
        Self::exact(magnitude, precision).trimmed()
    }

    /// Exactly `precision` digits after the point, of the exact value where the shortest digits are
    /// fewer or more.
    pub(super) fn filled(magnitude: f64, width: Width, precision: usize) -> Self {
        let shortest = Self::shortest(magnitude, width);
        if shortest.digits.len() == precision + 1 {
            return shortest;
        }
        Self::exact(magnitude, precision)
    }

    /// The exact value rounded to `precision` digits after the point.
    fn exact(magnitude: f64, precision: usize) -> Self {
        Self::parse(&format!("{magnitude:.precision$e}"))
    }

    /// The fewest digits that read back. The standard library finds how many; where the number lies
    /// halfway between two such decimals it takes the upper one, NumPy the even one.
    fn shortest(magnitude: f64, width: Width) -> Self {
        let shortest = match width {
            Width::F64 => Self::parse(&format!("{magnitude:e}")),
            Width::F32 => Self::parse(&format!("{:e}", magnitude as f32)),
            Width::F16 => return Self::shortest_f16(magnitude),
        };
        let even = Self::exact(magnitude, shortest.digits.len() - 1);
        if even.reads_back(magnitude, width) { even } else { shortest }
    }

    /// Tries one digit after the other; five always do.
    fn shortest_f16(magnitude: f64) -> Self {
        let mut short = (0..4).flat_map(|precision| {
            let nearest = Self::exact(magnitude, precision);
            // A power of two lies closer to its neighbour below, so the next decimal above may read
            // back where the nearest one does not: 0.015625 is 0.01563.
            let half_unit = 0.5 * 10_f64.powi(nearest.exponent - precision as i32);
            [nearest, Self::exact(magnitude + half_unit, precision)]
        });
        let found = short.find(|decimal| decimal.reads_back(magnitude, Width::F16));
        found.unwrap_or_else(|| Self::exact(magnitude, 4)).trimmed()
    }

    fn reads_back(&self, magnitude: f64, width: Width) -> bool {
        let (first, rest) = self.digits.split_at(1);
        let text = format!("{first}.{rest}e{}", self.exponent);
        match width {
            Width::F32 => text.parse().is_ok_and(|read: f32| f64::from(read) == magnitude),
            _ => text.parse().is_ok_and(|read| width.round(read) == magnitude),
        }
    }

    /// Reads what `{:e}` writes.
    fn parse(text: &str) -> Self {
        let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
        Self { digits: digits.replace('.', ""), exponent: exponent.parse().unwrap_or(0) }
    }

    fn trimmed(mut self) -> Self {
        let len = self.digits.trim_end_matches('0').len().max(1);
        self.digits.truncate(len);
        self
    }

    /// The digits before and after the point, without an exponent.
    fn positional(&self) -> (String, String) {
        let digits = &self.digits;
        let Ok(whole) = usize::try_from(self.exponent + 1) else {
            let zeros = "0".repeat((-1 - self.exponent) as usize);
            return ("0".to_owned(), format!("{zeros}{digits}"));
        };
        if whole == 0 {
            return ("0".to_owned(), digits.clone());
        }
        let (before, after) = digits.split_at(whole.min(digits.len()));
        (format!("{before:0<whole$}"), after.to_owned())
    }
}

/// The digits before and after the point of a finite number that is not negative, at most
/// `precision` after it and no trailing zeros.
pub(super) fn positional(magnitude: f64, width: Width, precision: usize) -> (String, String) {
    let (before, after) = Decimal::shortest(magnitude, width).positional();
    if after.len() <= precision {
        return (before, after);
    }
    let text = format!("{magnitude:.precision$}");
    let (before, after) = text.split_once('.').unwrap_or((&text, ""));
    (before.to_owned(), after.trim_end_matches('0').to_owned())
}
