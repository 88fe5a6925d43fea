//! Data types of NumPy and torch that cannot be carried, and what to do about each.

use core::fmt;

use crate::DType;

/// A sort of array element that exists elsewhere and cannot be carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refused {
    /// References to Python objects.
    Object,
    /// Text of fixed length (`U`), four bytes a character.
    Text,
    /// Text of any length (`StringDType`).
    VariableText,
    /// Byte strings of fixed length (`S`).
    Bytes,
    /// Points in time (`datetime64`).
    Datetime,
    /// Spans of time (`timedelta64`).
    Timedelta,
    /// Raw bytes (`V`).
    Void,
    /// Records with fields, or elements that are arrays.
    Structured,
    /// C `long double`: 80 or 128 bits by platform.
    LongDouble,
    /// Complex of C `long double`.
    ComplexLongDouble,
    /// Complex of two 16-bit floats.
    ComplexHalf,
    /// A float8 format other than `float8_e4m3fn` and `float8_e5m2`.
    OtherFloat8,
    /// Integers or floats of fewer than 8 bits.
    SubByte,
    /// torch's quantized integers.
    Quantized,
}

impl Refused {
    /// The data type as which NumPy can view the same memory, if there is one.
    ///
    /// ```
    /// use ndbridge_dtype::{DType, Refused};
    ///
    /// assert_eq!(Refused::Datetime.view(), Some(DType::I64));
    /// assert_eq!(Refused::LongDouble.view(), None);
    /// ```
    #[must_use]
    pub const fn view(self) -> Option<DType> {
        match self {
            Refused::Datetime | Refused::Timedelta => Some(DType::I64),
            Refused::Text => Some(DType::U32),
            Refused::Bytes | Refused::Void | Refused::OtherFloat8 | Refused::SubByte => {
                Some(DType::U8)
            }
            Refused::ComplexHalf => Some(DType::F16),
            Refused::Object
            | Refused::VariableText
            | Refused::Structured
            | Refused::LongDouble
            | Refused::ComplexLongDouble
            | Refused::Quantized => None,
        }
    }

    /// The call that leads to a data type that can be carried.
    #[must_use]
    pub const fn way_out(self) -> &'static str {
        match self {
            Refused::Object => "call astype(\"float64\") or another numeric dtype (copies)",
            Refused::Text => "call view(\"uint32\") for its code points",
            Refused::VariableText => "call astype(\"S\").view(\"uint8\") for its bytes (copies)",
            Refused::Bytes => "call view(\"uint8\")",
            Refused::Datetime => "call view(\"int64\") for the count of its unit",
            Refused::Timedelta => "call view(\"int64\") for the count of its unit",
            Refused::Void => {
                "call view(\"uint8\"), or view of the dtype it was \
                 (numpy.save writes bfloat16 as V2 and float8_e4m3fn as V1)"
            }
            Refused::Structured => "take one field, as in array[\"name\"] (shares)",
            Refused::LongDouble => "call astype(\"float64\") (copies)",
            Refused::ComplexLongDouble => "call astype(\"complex128\") (copies)",
            Refused::ComplexHalf => "call view(\"float16\") for its parts, or torch.view_as_real",
            Refused::OtherFloat8 => "call view(\"uint8\"), or astype(\"float32\") (copies)",
            Refused::SubByte => "call astype(\"int8\") or astype(\"float32\") (copies)",
            Refused::Quantized => "call int_repr() or dequantize() (copies)",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Refused::Object => "Python objects",
            Refused::Text => "text",
            Refused::VariableText => "text of variable length",
            Refused::Bytes => "byte strings",
            Refused::Datetime => "points in time",
            Refused::Timedelta => "spans of time",
            Refused::Void => "raw bytes",
            Refused::Structured => "structured",
            Refused::LongDouble => "C long double",
            Refused::ComplexLongDouble => "complex of C long double",
            Refused::ComplexHalf => "complex of 16-bit floats",
            Refused::OtherFloat8 => "a float8 other than e4m3fn and e5m2",
            Refused::SubByte => "less than a byte",
            Refused::Quantized => "quantized",
        })
    }
}
