//! Every pair of element types, by double dispatch: the source calls the method of the target that
//! is named after the source.

use float8::{F8E4M3, F8E5M2};
use half::{bf16, f16};
use num_complex::Complex;

use super::round::{ToOddF32, f32_to_f64, f64_to_f32};
use super::small_float::{self, narrow, widen};
use super::truncate::Truncate;

/// A type that every element type converts to. Public in a private module: it seals `Element`.
///
/// Generic code sees these methods on every `T: Element`; no name here is one of `num_traits`.
pub trait Value: Copy {
    fn cast_from_bool(value: bool) -> Self;
    fn cast_from_i8(value: i8) -> Self;
    fn cast_from_i16(value: i16) -> Self;
    fn cast_from_i32(value: i32) -> Self;
    fn cast_from_i64(value: i64) -> Self;
    fn cast_from_u8(value: u8) -> Self;
    fn cast_from_u16(value: u16) -> Self;
    fn cast_from_u32(value: u32) -> Self;
    fn cast_from_u64(value: u64) -> Self;
    fn cast_from_f32(value: f32) -> Self;
    fn cast_from_f64(value: f64) -> Self;

    #[inline(always)]
    fn cast_from_f16(value: f16) -> Self {
        Self::cast_from_f32(widen(value.to_bits().into(), small_float::F16))
    }
    #[inline(always)]
    fn cast_from_bf16(value: bf16) -> Self {
        Self::cast_from_f32(widen(value.to_bits().into(), small_float::BF16))
    }
    #[inline(always)]
    fn cast_from_f8e4m3(value: F8E4M3) -> Self {
        Self::cast_from_f32(widen(value.to_bits().into(), small_float::F8E4M3))
    }
    #[inline(always)]
    fn cast_from_f8e5m2(value: F8E5M2) -> Self {
        Self::cast_from_f32(widen(value.to_bits().into(), small_float::F8E5M2))
    }
    #[inline(always)]
    fn cast_from_c64(value: Complex<f32>) -> Self {
        Self::cast_from_f32(value.re)
    }
    #[inline(always)]
    fn cast_from_c128(value: Complex<f64>) -> Self {
        Self::cast_from_f64(value.re)
    }

    /// Calls the method of `D` that is named after `Self`.
    fn cast_to<D: Value>(self) -> D;
}

macro_rules! convert_with {
    ($method:ident) => {
        #[inline(always)]
        fn cast_to<D: Value>(self) -> D {
            D::$method(self)
        }
    };
}

/// `value as Self` from each source: integers wrap, or become the nearest float.
macro_rules! cast_from {
    ($($method:ident: $S:ty),*) => {$(
        #[inline(always)]
        fn $method(value: $S) -> Self {
            value as Self
        }
    )*};
}

macro_rules! int_value {
    ($($T:ty: $method:ident),*) => {$(
        impl Value for $T {
            cast_from!(
                cast_from_bool: bool, cast_from_i8: i8, cast_from_i16: i16, cast_from_i32: i32,
                cast_from_i64: i64, cast_from_u8: u8, cast_from_u16: u16, cast_from_u32: u32,
                cast_from_u64: u64
            );
            #[inline(always)]
            fn cast_from_f32(value: f32) -> Self {
                Self::truncate_from(value)
            }
            #[inline(always)]
            fn cast_from_f64(value: f64) -> Self {
                Self::truncate_from(value)
            }
            convert_with!($method);
        }
    )*};
}
int_value!(
    i8: cast_from_i8, i16: cast_from_i16, i32: cast_from_i32, i64: cast_from_i64,
    u8: cast_from_u8, u16: cast_from_u16, u32: cast_from_u32, u64: cast_from_u64
);

/// True unless zero; NaN is true.
macro_rules! nonzero_from {
    ($($method:ident: $S:ty),*) => {$(
        #[inline(always)]
        fn $method(value: $S) -> Self {
            value != <$S>::default()
        }
    )*};
}

impl Value for bool {
    nonzero_from!(
        cast_from_bool: bool, cast_from_i8: i8, cast_from_i16: i16, cast_from_i32: i32,
        cast_from_i64: i64, cast_from_u8: u8, cast_from_u16: u16, cast_from_u32: u32,
        cast_from_u64: u64, cast_from_f32: f32, cast_from_f64: f64,
        cast_from_c64: Complex<f32>, cast_from_c128: Complex<f64>
    );
    convert_with!(cast_from_bool);
}

impl Value for f32 {
    cast_from!(
        cast_from_i8: i8, cast_from_i16: i16, cast_from_i32: i32, cast_from_i64: i64,
        cast_from_u8: u8, cast_from_u16: u16, cast_from_u32: u32, cast_from_u64: u64
    );
    #[inline(always)]
    fn cast_from_bool(value: bool) -> Self {
        f32::from(u8::from(value))
    }
    #[inline(always)]
    fn cast_from_f32(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn cast_from_f64(value: f64) -> Self {
        f64_to_f32(value)
    }
    convert_with!(cast_from_f32);
}

impl Value for f64 {
    cast_from!(
        cast_from_i8: i8, cast_from_i16: i16, cast_from_i32: i32, cast_from_i64: i64,
        cast_from_u8: u8, cast_from_u16: u16, cast_from_u32: u32, cast_from_u64: u64
    );
    #[inline(always)]
    fn cast_from_bool(value: bool) -> Self {
        f64::from(u8::from(value))
    }
    #[inline(always)]
    fn cast_from_f32(value: f32) -> Self {
        f32_to_f64(value)
    }
    #[inline(always)]
    fn cast_from_f64(value: f64) -> Self {
        value
    }
    convert_with!(cast_from_f64);
}

macro_rules! narrow_from {
    ($Bits:ty, $format:expr; $($method:ident: $S:ty),*) => {$(
        #[inline(always)]
        fn $method(value: $S) -> Self {
            Self::from_bits(narrow(value.to_odd_f32(), $format) as $Bits)
        }
    )*};
}

macro_rules! small_float_value {
    ($T:ident, $Bits:ty, $format:expr, $method:ident) => {
        impl Value for $T {
            narrow_from!($Bits, $format;
                cast_from_i8: i8, cast_from_i16: i16, cast_from_i32: i32, cast_from_i64: i64,
                cast_from_u8: u8, cast_from_u16: u16, cast_from_u32: u32, cast_from_u64: u64,
                cast_from_f32: f32, cast_from_f64: f64
            );
            #[inline(always)]
            fn cast_from_bool(value: bool) -> Self {
                Self::cast_from_u8(value.into())
            }
            // The identity keeps every bit of a NaN.
            #[inline(always)]
            fn $method(value: Self) -> Self {
                value
            }
            convert_with!($method);
        }
    };
}
small_float_value!(f16, u16, small_float::F16, cast_from_f16);
small_float_value!(bf16, u16, small_float::BF16, cast_from_bf16);
small_float_value!(F8E4M3, u8, small_float::F8E4M3, cast_from_f8e4m3);
small_float_value!(F8E5M2, u8, small_float::F8E5M2, cast_from_f8e5m2);

macro_rules! real_from {
    ($Part:ty; $($method:ident: $S:ty),*) => {$(
        #[inline(always)]
        fn $method(value: $S) -> Self {
            Self::new(<$Part>::$method(value), 0.0)
        }
    )*};
}

macro_rules! complex_value {
    ($Part:ident, $method:ident) => {
        impl Value for Complex<$Part> {
            real_from!($Part;
                cast_from_bool: bool, cast_from_i8: i8, cast_from_i16: i16, cast_from_i32: i32,
                cast_from_i64: i64, cast_from_u8: u8, cast_from_u16: u16, cast_from_u32: u32,
                cast_from_u64: u64, cast_from_f32: f32, cast_from_f64: f64
            );
            #[inline(always)]
            fn cast_from_c64(value: Complex<f32>) -> Self {
                Self::new($Part::cast_from_f32(value.re), $Part::cast_from_f32(value.im))
            }
            #[inline(always)]
            fn cast_from_c128(value: Complex<f64>) -> Self {
                Self::new($Part::cast_from_f64(value.re), $Part::cast_from_f64(value.im))
            }
            convert_with!($method);
        }
    };
}
complex_value!(f32, cast_from_c64);
complex_value!(f64, cast_from_c128);
