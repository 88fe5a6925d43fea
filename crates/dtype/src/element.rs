//! The Rust types that array elements can have.

use core::fmt::{Debug, Display};

use bytemuck::{CheckedBitPattern, NoUninit, Zeroable};
use float8::{F8E4M3, F8E5M2};
use half::{bf16, f16};
use num_complex::Complex;

use crate::DType;
use crate::convert::value::Value;

/// A Rust type that array elements can have; one for each [`DType`].
///
/// The trait is sealed: code may rely on there being no other types, and on the size and alignment
/// that [`DType`] states. `bool` is why an element is not `Pod`: bytes other than 0 and 1 must be
/// checked ([`CheckedBitPattern`]) before they are read.
///
/// ```
/// use ndbridge_dtype::{DType, Element, bf16};
///
/// fn dtype_of<T: Element>(_: &[T]) -> DType {
///     T::DTYPE
/// }
/// assert_eq!(dtype_of(&[bf16::ONE]), DType::BF16);
/// ```
pub trait Element:
    Value
    + Copy
    + Default
    + PartialEq
    + Debug
    + Display
    + Send
    + Sync
    + NoUninit
    + CheckedBitPattern
    + Zeroable
    + 'static
{
    /// The data type of arrays of this type.
    const DTYPE: DType;
}

macro_rules! element {
    ($($T:ty => $dtype:ident),* $(,)?) => {$(
        impl Element for $T {
            const DTYPE: DType = {
                assert!(size_of::<$T>() == DType::$dtype.item_bytes());
                assert!(align_of::<$T>() == DType::$dtype.align_bytes());
                DType::$dtype
            };
        }
    )*};
}

element! {
    bool => Bool,
    i8 => I8,
    i16 => I16,
    i32 => I32,
    i64 => I64,
    u8 => U8,
    u16 => U16,
    u32 => U32,
    u64 => U64,
    f16 => F16,
    bf16 => BF16,
    f32 => F32,
    f64 => F64,
    Complex<f32> => C64,
    Complex<f64> => C128,
    F8E4M3 => F8E4M3,
    F8E5M2 => F8E5M2,
}
