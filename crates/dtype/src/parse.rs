//! Reading the names and type strings that NumPy accepts.

use alloc::borrow::ToOwned;
use core::ffi::c_long;
use core::str::FromStr;

use crate::{ByteOrder, DType, DTypeError, Refused};

impl FromStr for DType {
    type Err = DTypeError;

    /// Reads a name (`"float32"`), an alias of NumPy (`"single"`, `"int"`, `"?"`) or a type string
    /// (`"<f4"`) with NumPy's meaning: `"float"` is float64, `"f8"` counts bytes, and C's `long`
    /// has its size on this machine.
    ///
    /// # Errors
    /// [`DTypeError::ForeignByteOrder`] for a type string in the other byte order,
    /// [`DTypeError::Refused`] for what cannot be carried, else [`DTypeError::Unknown`].
    fn from_str(text: &str) -> Result<Self, DTypeError> {
        if let Some(dtype) = DType::from_name(text).or_else(|| from_alias(text)) {
            return Ok(dtype);
        }
        if let Some(kind) = refused_name(text) {
            return Err(DTypeError::Refused { text: text.to_owned(), kind });
        }
        match parse_type_string(text)? {
            (dtype, ByteOrder::NATIVE) => Ok(dtype),
            (dtype, order) => {
                Err(DTypeError::ForeignByteOrder { text: text.to_owned(), dtype, order })
            }
        }
    }
}

/// Reads a type string of NumPy (`"<f4"`, `">i8"`, `"|b1"`) into data type and byte order.
///
/// Without `<` or `>` the order is that of this machine, as it is for elements of one byte.
/// `"<f1"` is float8_e5m2: `ml_dtypes` gives that type string to no other type.
///
/// # Errors
/// [`DTypeError::Refused`] for what cannot be carried, else [`DTypeError::Unknown`].
///
/// ```
/// use ndbridge_dtype::{ByteOrder, DType, parse_type_string};
///
/// assert_eq!(parse_type_string(">f8")?, (DType::F64, ByteOrder::Big));
/// assert_eq!(parse_type_string("u2")?, (DType::U16, ByteOrder::NATIVE));
/// let error = parse_type_string("<M8[ns]").unwrap_err().to_string();
/// assert!(error.contains("view(\"int64\")"));
/// # Ok::<(), ndbridge_dtype::DTypeError>(())
/// ```
pub fn parse_type_string(text: &str) -> Result<(DType, ByteOrder), DTypeError> {
    let (order, code) = split_order(text);
    if let Some(dtype) = from_code(code) {
        let order = if dtype.component_bytes() == 1 { ByteOrder::NATIVE } else { order };
        return Ok((dtype, order));
    }
    let text = text.to_owned();
    Err(match refused_code(code) {
        Some(kind) => DTypeError::Refused { text, kind },
        None => DTypeError::Unknown { text },
    })
}

fn split_order(text: &str) -> (ByteOrder, &str) {
    match text.as_bytes().first() {
        Some(b'<') => (ByteOrder::Little, &text[1..]),
        Some(b'>') => (ByteOrder::Big, &text[1..]),
        Some(b'=' | b'|') => (ByteOrder::NATIVE, &text[1..]),
        _ => (ByteOrder::NATIVE, text),
    }
}

const C_LONG: DType = if size_of::<c_long>() == 8 { DType::I64 } else { DType::I32 };
const C_UNSIGNED_LONG: DType = if size_of::<c_long>() == 8 { DType::U64 } else { DType::U32 };
const POINTER: DType = if size_of::<isize>() == 8 { DType::I64 } else { DType::I32 };
const UNSIGNED_POINTER: DType = if size_of::<isize>() == 8 { DType::U64 } else { DType::U32 };

fn from_alias(name: &str) -> Option<DType> {
    Some(match name {
        "bool_" => DType::Bool,
        "byte" => DType::I8,
        "short" => DType::I16,
        "intc" => DType::I32,
        "longlong" => DType::I64,
        "long" => C_LONG,
        "int" | "int_" | "intp" => POINTER,
        "ubyte" => DType::U8,
        "ushort" => DType::U16,
        "uintc" => DType::U32,
        "ulonglong" => DType::U64,
        "ulong" => C_UNSIGNED_LONG,
        "uint" | "uintp" => UNSIGNED_POINTER,
        "half" => DType::F16,
        "single" => DType::F32,
        "double" | "float" => DType::F64,
        "csingle" => DType::C64,
        "cdouble" | "complex" => DType::C128,
        _ => return None,
    })
}

/// A type string without its byte order: kind and size in bytes, or NumPy's one-letter code.
fn from_code(code: &str) -> Option<DType> {
    Some(match code {
        "b1" | "?" => DType::Bool,
        "i1" | "b" => DType::I8,
        "i2" | "h" => DType::I16,
        "i4" | "i" => DType::I32,
        "i8" | "q" => DType::I64,
        "l" => C_LONG,
        "n" | "p" => POINTER,
        "u1" | "B" => DType::U8,
        "u2" | "H" => DType::U16,
        "u4" | "I" => DType::U32,
        "u8" | "Q" => DType::U64,
        "L" => C_UNSIGNED_LONG,
        "N" | "P" => UNSIGNED_POINTER,
        "f1" => DType::F8E5M2,
        "f2" | "e" => DType::F16,
        "f4" | "f" => DType::F32,
        "f8" | "d" => DType::F64,
        "c8" | "F" => DType::C64,
        "c16" | "D" => DType::C128,
        _ => return None,
    })
}

fn refused_name(name: &str) -> Option<Refused> {
    // `datetime64[ns]` and the like.
    let family = name.split_once('[').map_or(name, |(family, _unit)| family);
    Some(match family {
        "object" | "object_" => Refused::Object,
        "str" | "str_" | "unicode" => Refused::Text,
        "StringDType" | "StringDType()" | "string" => Refused::VariableText,
        "bytes" | "bytes_" => Refused::Bytes,
        "datetime64" => Refused::Datetime,
        "timedelta64" => Refused::Timedelta,
        "void" => Refused::Void,
        "longdouble" | "float128" | "float96" => Refused::LongDouble,
        "clongdouble" | "complex256" | "complex192" => Refused::ComplexLongDouble,
        "complex32" | "bcomplex32" | "chalf" => Refused::ComplexHalf,
        "float8_e3m4" | "float8_e4m3" | "float8_e4m3b11fnuz" | "float8_e4m3fnuz"
        | "float8_e5m2fnuz" | "float8_e8m0fnu" => Refused::OtherFloat8,
        "int1" | "int2" | "int4" | "uint1" | "uint2" | "uint4" | "float4_e2m1fn"
        | "float6_e2m3fn" | "float6_e3m2fn" => Refused::SubByte,
        "qint8" | "quint8" | "qint32" | "quint4x2" | "quint2x4" => Refused::Quantized,
        _ => return None,
    })
}

fn refused_code(code: &str) -> Option<Refused> {
    if code.contains([',', '(', '{']) || code.starts_with('[') {
        return Some(Refused::Structured);
    }
    let (kind, size) = code.split_at_checked(1)?;
    let (size, unit) = size.split_once('[').unwrap_or((size, ""));
    if !size.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(match (kind, size, unit) {
        ("O", "" | "4" | "8", "") => Refused::Object,
        ("U", _, "") => Refused::Text,
        ("T", _, "") => Refused::VariableText,
        ("S" | "a" | "c", "", "") | ("S" | "a", _, "") => Refused::Bytes,
        ("M", "" | "8", _) => Refused::Datetime,
        ("m", "" | "8", _) => Refused::Timedelta,
        ("V", _, "") => Refused::Void,
        ("g", "", "") | ("f", "10" | "12" | "16", "") => Refused::LongDouble,
        ("G", "", "") | ("c", "20" | "24" | "32", "") => Refused::ComplexLongDouble,
        ("c", "4", "") => Refused::ComplexHalf,
        _ => return None,
    })
}
