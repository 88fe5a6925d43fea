//! `DType`: which type the elements of an array have.

use core::fmt;

/// Which type the elements of an array have.
///
/// ```
/// use ndbridge_dtype::{DType, Kind};
///
/// let dtype: DType = "float16".parse()?;
/// assert_eq!(dtype, DType::F16);
/// assert_eq!((dtype.kind(), dtype.item_bytes()), (Kind::Float, 2));
/// assert_eq!(dtype.to_string(), "float16");
/// # Ok::<(), ndbridge_dtype::DTypeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DType {
    /// One byte, 0 or 1.
    Bool,
    /// 8-bit signed integer.
    I8,
    /// 16-bit signed integer.
    I16,
    /// 32-bit signed integer.
    I32,
    /// 64-bit signed integer.
    I64,
    /// 8-bit unsigned integer.
    U8,
    /// 16-bit unsigned integer.
    U16,
    /// 32-bit unsigned integer.
    U32,
    /// 64-bit unsigned integer.
    U64,
    /// IEEE 754 half precision: 5 exponent bits, 10 mantissa bits.
    F16,
    /// The upper half of an `f32`: 8 exponent bits, 7 mantissa bits.
    BF16,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
    /// Two `f32`: real part, imaginary part.
    C64,
    /// Two `f64`: real part, imaginary part.
    C128,
    /// `float8_e4m3fn`: 4 exponent bits, 3 mantissa bits, one NaN, no infinity, at most 448.
    F8E4M3,
    /// `float8_e5m2`: 5 exponent bits, 2 mantissa bits, infinities and NaN, at most 57344.
    F8E5M2,
}

/// The sort of values a [`DType`] holds, from the narrowest to the widest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// True or false.
    Bool,
    /// Unsigned integer.
    UInt,
    /// Signed integer.
    Int,
    /// Real floating point.
    Float,
    /// Complex floating point.
    Complex,
}

/// What there is to know about a dtype that is not in its values.
#[derive(Clone, Copy)]
struct Facts {
    name: &'static str,
    kind: Kind,
    item_bytes: usize,
    component_bytes: usize,
    /// Little-endian and big-endian type strings of NumPy.
    type_strings: Option<[&'static str; 2]>,
}

const fn facts(
    name: &'static str,
    kind: Kind,
    item_bytes: usize,
    type_strings: Option<[&'static str; 2]>,
) -> Facts {
    let component_bytes = if matches!(kind, Kind::Complex) { item_bytes / 2 } else { item_bytes };
    Facts { name, kind, item_bytes, component_bytes, type_strings }
}

impl DType {
    /// Every data type, in the order of declaration.
    pub const ALL: [DType; 17] = [
        DType::Bool,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::U64,
        DType::F16,
        DType::BF16,
        DType::F32,
        DType::F64,
        DType::C64,
        DType::C128,
        DType::F8E4M3,
        DType::F8E5M2,
    ];

    /// By number: one load where the data type is known only when the program runs.
    const FACTS: &'static [Facts; Self::ALL.len()] = &{
        let mut table = [Self::Bool.row(); Self::ALL.len()];
        let mut number = 0;
        while number < table.len() {
            table[number] = Self::ALL[number].row();
            number += 1;
        }
        table
    };

    #[inline]
    const fn facts(self) -> &'static Facts {
        &Self::FACTS[self as usize]
    }

    const fn row(self) -> Facts {
        match self {
            DType::Bool => facts("bool", Kind::Bool, 1, Some(["|b1"; 2])),
            DType::I8 => facts("int8", Kind::Int, 1, Some(["|i1"; 2])),
            DType::I16 => facts("int16", Kind::Int, 2, Some(["<i2", ">i2"])),
            DType::I32 => facts("int32", Kind::Int, 4, Some(["<i4", ">i4"])),
            DType::I64 => facts("int64", Kind::Int, 8, Some(["<i8", ">i8"])),
            DType::U8 => facts("uint8", Kind::UInt, 1, Some(["|u1"; 2])),
            DType::U16 => facts("uint16", Kind::UInt, 2, Some(["<u2", ">u2"])),
            DType::U32 => facts("uint32", Kind::UInt, 4, Some(["<u4", ">u4"])),
            DType::U64 => facts("uint64", Kind::UInt, 8, Some(["<u8", ">u8"])),
            DType::F16 => facts("float16", Kind::Float, 2, Some(["<f2", ">f2"])),
            DType::BF16 => facts("bfloat16", Kind::Float, 2, None),
            DType::F32 => facts("float32", Kind::Float, 4, Some(["<f4", ">f4"])),
            DType::F64 => facts("float64", Kind::Float, 8, Some(["<f8", ">f8"])),
            DType::C64 => facts("complex64", Kind::Complex, 8, Some(["<c8", ">c8"])),
            DType::C128 => facts("complex128", Kind::Complex, 16, Some(["<c16", ">c16"])),
            DType::F8E4M3 => facts("float8_e4m3fn", Kind::Float, 1, None),
            DType::F8E5M2 => facts("float8_e5m2", Kind::Float, 1, None),
        }
    }

    /// The name that NumPy (with `ml_dtypes`), torch and JAX give it, such as `"float32"`.
    #[inline]
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// The data type of that [`name`](Self::name) exactly; `parse` knows aliases too.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// Size of an element in bytes.
    #[inline]
    #[must_use]
    pub const fn item_bytes(self) -> usize {
        self.facts().item_bytes
    }

    /// Alignment in bytes that Rust needs to refer to an element.
    #[inline]
    #[must_use]
    pub const fn align_bytes(self) -> usize {
        match self.component_bytes() {
            1 => align_of::<u8>(),
            2 => align_of::<u16>(),
            4 => align_of::<f32>(),
            // 4 on some 32-bit platforms.
            _ => align_of::<f64>(),
        }
    }

    /// Size in bytes of what is reversed when byte order changes: half an element if complex.
    #[inline]
    #[must_use]
    pub const fn component_bytes(self) -> usize {
        self.facts().component_bytes
    }

    /// The sort of values it holds.
    #[inline]
    #[must_use]
    pub const fn kind(self) -> Kind {
        self.facts().kind
    }

    /// NumPy's type string, such as `"<f4"`; `None` for bfloat16 and float8, for which NumPy itself
    /// has none.
    ///
    /// ```
    /// use ndbridge_dtype::{ByteOrder, DType};
    ///
    /// assert_eq!(DType::C64.type_string(ByteOrder::Big), Some(">c8"));
    /// assert_eq!(DType::U8.type_string(ByteOrder::Big), Some("|u1")); // one byte has no order
    /// assert_eq!(DType::BF16.type_string(ByteOrder::Little), None);
    /// ```
    #[must_use]
    pub const fn type_string(self, order: ByteOrder) -> Option<&'static str> {
        match (self.facts().type_strings, order) {
            (Some([little, _]), ByteOrder::Little) => Some(little),
            (Some([_, big]), ByteOrder::Big) => Some(big),
            (None, _) => None,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which byte of a number comes first in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// The least significant byte.
    Little,
    /// The most significant byte.
    Big,
}

impl ByteOrder {
    /// The order of the machine that this was compiled for.
    pub const NATIVE: ByteOrder =
        if cfg!(target_endian = "big") { ByteOrder::Big } else { ByteOrder::Little };
}

impl fmt::Display for ByteOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ByteOrder::Little => "little-endian",
            ByteOrder::Big => "big-endian",
        })
    }
}
