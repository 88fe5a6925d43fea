//! One value of any data type.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;

use num_complex::Complex;
use num_traits::ToPrimitive;

use crate::{DType, DTypeError, Element, Kind, convert};

/// One value of any data type, without loss.
///
/// Only what a value is counts: a NaN comes back with its sign, but maybe another payload.
///
/// ```
/// use ndbridge_dtype::{Scalar, bf16};
///
/// let scalar = Scalar::from_element(bf16::from_f32(1.5));
/// assert_eq!(scalar, Scalar::Float(1.5));
/// assert_eq!(scalar.to_element::<i32>(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// A value of [`Kind::Bool`].
    Bool(bool),
    /// A value of [`Kind::Int`].
    Int(i64),
    /// A value of [`Kind::UInt`].
    UInt(u64),
    /// A value of [`Kind::Float`].
    Float(f64),
    /// A value of [`Kind::Complex`].
    Complex(Complex<f64>),
}

impl Scalar {
    /// The value of an element.
    #[inline]
    #[must_use]
    pub fn from_element<T: Element>(element: T) -> Self {
        match T::DTYPE.kind() {
            Kind::Bool => Scalar::Bool(convert(element)),
            Kind::Int => Scalar::Int(convert(element)),
            Kind::UInt => Scalar::UInt(convert(element)),
            Kind::Float => Scalar::Float(convert(element)),
            Kind::Complex => Scalar::Complex(convert(element)),
        }
    }

    /// The value as an element, as [`convert`] converts it: integers wrap, floats to integers
    /// saturate, complex to real drops the imaginary part.
    #[inline]
    #[must_use]
    pub fn to_element<T: Element>(self) -> T {
        match self {
            Scalar::Bool(value) => convert(value),
            Scalar::Int(value) => convert(value),
            Scalar::UInt(value) => convert(value),
            Scalar::Float(value) => convert(value),
            Scalar::Complex(value) => convert(value),
        }
    }

    /// The value as an element, unless [`fits`](Self::fits) says that it would become another.
    ///
    /// # Errors
    /// As [`fits`](Self::fits).
    ///
    /// ```
    /// use ndbridge_dtype::Scalar;
    ///
    /// assert_eq!(Scalar::Int(200).checked_to_element::<u8>()?, 200);
    /// assert!(Scalar::Int(-1).checked_to_element::<u8>().is_err());
    /// # Ok::<(), ndbridge_dtype::DTypeError>(())
    /// ```
    pub fn checked_to_element<T: Element>(self) -> Result<T, DTypeError> {
        self.fits(T::DTYPE).map(|()| self.to_element())
    }

    /// Whether NumPy would put this value, as a Python number, into an array of `dtype`.
    ///
    /// Rounding is no loss here: 1.5 fits int8 (as 1), 1e300 fits float16 (as infinity).
    ///
    /// # Errors
    /// [`DTypeError::OutOfBounds`] for an integer that `dtype` cannot hold, or a float whose whole
    /// part it cannot, which no integer type can for NaN and infinities;
    /// [`DTypeError::ComplexToReal`] for a complex value unless `dtype` is complex or bool.
    pub fn fits(self, dtype: DType) -> Result<(), DTypeError> {
        if let (Scalar::Complex(_), Kind::Int | Kind::UInt | Kind::Float) = (self, dtype.kind()) {
            return Err(DTypeError::ComplexToReal { value: self, dtype });
        }
        match dtype.kind() {
            Kind::Int | Kind::UInt if !self.whole_part_is_in(dtype) => {
                Err(DTypeError::OutOfBounds { value: self, dtype })
            }
            _ => Ok(()),
        }
    }

    fn whole_part_is_in(self, dtype: DType) -> bool {
        match self {
            Scalar::Bool(_) => true,
            Scalar::Int(value) => integer_is_in(value.into(), dtype),
            Scalar::UInt(value) => integer_is_in(value.into(), dtype),
            // Saturation keeps a value out of bounds out of bounds: i128 holds twice each bound.
            Scalar::Float(value) => value.is_finite() && integer_is_in(value as i128, dtype),
            Scalar::Complex(_) => false,
        }
    }

    /// The sort of its value.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Scalar::Bool(_) => Kind::Bool,
            Scalar::Int(_) => Kind::Int,
            Scalar::UInt(_) => Kind::UInt,
            Scalar::Float(_) => Kind::Float,
            Scalar::Complex(_) => Kind::Complex,
        }
    }
}

/// Whether an integer is within the bounds of an integer data type.
fn integer_is_in(value: i128, dtype: DType) -> bool {
    match dtype {
        DType::I8 => value.to_i8().is_some(),
        DType::I16 => value.to_i16().is_some(),
        DType::I32 => value.to_i32().is_some(),
        DType::I64 => value.to_i64().is_some(),
        DType::U8 => value.to_u8().is_some(),
        DType::U16 => value.to_u16().is_some(),
        DType::U32 => value.to_u32().is_some(),
        _ => value.to_u64().is_some(),
    }
}

impl fmt::Display for Scalar {
    /// As Python prints it: `True`, `3`, `1.0`, `nan`, `(1+2j)`. (Where two shortest decimals are
    /// equally near, as for 2⁻²⁵, Rust and Python choose different last digits.)
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Bool(value) => f.pad(if *value { "True" } else { "False" }),
            Scalar::Int(value) => fmt::Display::fmt(value, f),
            Scalar::UInt(value) => fmt::Display::fmt(value, f),
            Scalar::Float(value) => f.pad(&python_float(*value)),
            Scalar::Complex(value) => f.pad(&python_complex(*value)),
        }
    }
}

/// Python's `repr` of a float: the shortest digits that read back, as a number with a point or an
/// exponent from 1e16 and below 1e-4.
fn python_float(value: f64) -> String {
    let magnitude = value.abs();
    if value.is_nan() {
        "nan".to_owned()
    } else if magnitude != 0.0 && value.is_finite() && !(1e-4..1e16).contains(&magnitude) {
        python_exponent(value)
    } else {
        // `{:?}` keeps a digit after the point.
        format!("{value:?}")
    }
}

/// Rust writes `1e-7` where Python writes `1e-07`.
fn python_exponent(value: f64) -> String {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
    format!("{digits}e{sign}{exponent:0>2}")
}

fn python_complex(value: Complex<f64>) -> String {
    let part = |value: f64| {
        let text = python_float(value);
        text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
    };
    let imaginary = part(value.im);
    if value.re == 0.0 && value.re.is_sign_positive() {
        return format!("{imaginary}j");
    }
    let sign = if imaginary.starts_with('-') { "" } else { "+" };
    format!("({}{sign}{imaginary}j)", part(value.re))
}
