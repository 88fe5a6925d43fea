//! Which casts are allowed, as NumPy's `can_cast` says.

use alloc::borrow::ToOwned;
use core::fmt;
use core::str::FromStr;

use crate::{DType, DTypeError};

/// How much a cast may change; each level allows what the one before allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Casting {
    /// Nothing changes.
    No,
    /// Only the byte order may change. A [`DType`] has none, so this equals `No`.
    Equiv,
    /// Values are kept. NumPy counts 64-bit integers to float64 and complex128 as safe.
    Safe,
    /// Safe, or within a kind: float64 to float32, int64 to int8, but not int8 to uint8.
    SameKind,
    /// Anything.
    Unsafe,
}

impl Casting {
    /// Every level, from the strictest.
    pub const ALL: [Casting; 5] =
        [Casting::No, Casting::Equiv, Casting::Safe, Casting::SameKind, Casting::Unsafe];

    /// NumPy's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Casting::No => "no",
            Casting::Equiv => "equiv",
            Casting::Safe => "safe",
            Casting::SameKind => "same_kind",
            Casting::Unsafe => "unsafe",
        }
    }
}

impl fmt::Display for Casting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Casting {
    type Err = DTypeError;

    fn from_str(text: &str) -> Result<Self, DTypeError> {
        let found = Self::ALL.into_iter().find(|casting| casting.name() == text);
        found.ok_or_else(|| DTypeError::UnknownCasting { text: text.to_owned() })
    }
}

/// Whether NumPy allows casting `from` one data type `to` another at a level.
///
/// ```
/// use ndbridge_dtype::{Casting, DType, can_cast};
///
/// assert!(can_cast(DType::F64, DType::F32, Casting::SameKind));
/// assert!(!can_cast(DType::F64, DType::F32, Casting::Safe));
/// ```
#[must_use]
pub const fn can_cast(from: DType, to: DType, casting: Casting) -> bool {
    match casting {
        Casting::No | Casting::Equiv => from as usize == to as usize,
        Casting::Safe => allowed(&SAFE, from, to),
        Casting::SameKind => allowed(&SAME_KIND, from, to),
        Casting::Unsafe => true,
    }
}

const fn allowed(table: &[(DType, &[u8; 17]); 17], from: DType, to: DType) -> bool {
    table[from as usize].1[to as usize] == b'1'
}

// Rows are the type cast from, columns the type cast to, both in the order of `DType::ALL`:
//   bool, int8 16 32 64, uint8 16 32 64, float16, bfloat16, float32, float64,
//   complex64, complex128, float8_e4m3fn, float8_e5m2.
// The rows and columns of bfloat16 and float8 are what ml_dtypes registers. They are uneven, and
// written down as they are: complex64 to bfloat16 is "same_kind", int8 to float8 is "safe".

const SAFE: [(DType, &[u8; 17]); 17] = [
    (DType::Bool, b"11111111111111111"),
    (DType::I8, b"01111000011111111"),
    (DType::I16, b"00111000000111100"),
    (DType::I32, b"00011000000010100"),
    (DType::I64, b"00001000000010100"),
    (DType::U8, b"00111111111111111"),
    (DType::U16, b"00011011100111100"),
    (DType::U32, b"00001001100010100"),
    (DType::U64, b"00000000100010100"),
    (DType::F16, b"00000000010111100"),
    (DType::BF16, b"00000000001111100"),
    (DType::F32, b"00000000000111100"),
    (DType::F64, b"00000000000010100"),
    (DType::C64, b"00000000000001100"),
    (DType::C128, b"00000000000000100"),
    (DType::F8E4M3, b"00000000000111110"),
    (DType::F8E5M2, b"00000000000111101"),
];

const SAME_KIND: [(DType, &[u8; 17]); 17] = [
    (DType::Bool, b"11111111111111111"),
    (DType::I8, b"01111000011111111"),
    (DType::I16, b"01111000011111111"),
    (DType::I32, b"01111000011111111"),
    (DType::I64, b"01111000011111111"),
    (DType::U8, b"01111111111111111"),
    (DType::U16, b"01111111111111111"),
    (DType::U32, b"01111111111111111"),
    (DType::U64, b"01111111111111111"),
    (DType::F16, b"00000000011111111"),
    (DType::BF16, b"00000000001111110"),
    (DType::F32, b"00000000011111111"),
    (DType::F64, b"00000000011111111"),
    (DType::C64, b"00000000001001110"),
    (DType::C128, b"00000000001001110"),
    (DType::F8E4M3, b"00000000001111110"),
    (DType::F8E5M2, b"00000000011111111"),
];

// INVARIANT: the rows stand in the order of `DType::ALL`; `allowed` looks them up by position.
const _: () = {
    let mut row = 0;
    while row < 17 {
        assert!(SAFE[row].0 as usize == row && SAME_KIND[row].0 as usize == row);
        assert!(DType::ALL[row] as usize == row);
        row += 1;
    }
};
