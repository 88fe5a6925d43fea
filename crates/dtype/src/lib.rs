//! Data types of n-dimensional arrays: names, casting and promotion tables, value conversion.
//!
//! - [`DType`]: one of seventeen data types. [`Element`]: the Rust type of each. [`match_dtype!`]
//!   goes from the first to the second.
//! - [`str::parse`] and [`parse_type_string`] read what NumPy reads. What cannot be carried is
//!   [`Refused`] by name, with the call that leads to something that can.
//! - [`can_cast`], [`promote_types`], [`result_type`] answer as NumPy with `ml_dtypes` does,
//!   [`promote_types_torch`] as torch does.
//! - [`convert`] makes one value of another; [`Scalar`] holds a value of any type.
//!
//! # Conversion
//!
//! [`convert`] gives what NumPy's `astype` gives where that is defined. C leaves some conversions
//! undefined, and there NumPy's answer depends on the processor and on the length of the array;
//! here one rule holds on every platform. A value never depends on its neighbours.
//!
//! | from | to | becomes |
//! |---|---|---|
//! | any | bool | false for zero, else true; NaN is true; a complex number is zero if both parts are |
//! | bool | any | 0 or 1 |
//! | integer | integer | wraps: the low bits are kept |
//! | float | integer | the fraction is cut off. **Outside the type's bounds: the nearest bound. NaN: 0** (both undefined in C) |
//! | integer, float | float | the nearest value, ties to even, rounded **once** |
//! | complex | real | the real part is converted, the imaginary part dropped |
//! | real | complex | the imaginary part is 0 |
//!
//! A float too large for a float type becomes infinity, or NaN in float8_e4m3fn, which has no
//! infinity (as in `ml_dtypes`; torch saturates there). Subnormal numbers and the sign of zero are kept.
//!
//! A NaN stays a NaN of the same sign. Its payload is no part of the promise, except that a
//! conversion of a type to itself keeps every bit.
//!
//! # Where this is not NumPy
//!
//! `ml_dtypes` converts float64 and wide integers to bfloat16 and float8 by way of float32, which
//! rounds twice: it makes 1 + 2⁻⁸ + 2⁻⁴⁰ into 1.0 as bfloat16, although 1.0078125 is nearer. Here it
//! becomes 1.0078125. The difference is at most one unit in the last place, next to a tie.
//!
//! ```
//! use ndbridge_dtype::{bf16, convert};
//!
//! let just_above_a_tie = 1.003_906_250_000_909_5; // 1 + 2⁻⁸ + 2⁻⁴⁰
//! assert_eq!(convert::<f64, bf16>(just_above_a_tie).to_f64(), 1.0078125);
//! ```
#![forbid(unsafe_code)]
#![no_std]

extern crate alloc;

mod casting;
mod convert;
mod dispatch;
mod dtype;
mod element;
mod error;
mod parse;
mod promote;
mod refused;
mod result_type;
mod scalar;

/// The README's example is a test too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use casting::{Casting, can_cast};
pub use convert::{convert, convert_slice, convert_slice_uninit};
pub use dtype::{ByteOrder, DType, Kind};
pub use element::Element;
pub use error::DTypeError;
pub use parse::parse_type_string;
pub use promote::{promote_types, promote_types_torch};
pub use refused::Refused;
pub use result_type::{Operand, result_type};
pub use scalar::Scalar;

pub use float8::{F8E4M3, F8E5M2};
pub use half::{bf16, f16};
pub use num_complex::Complex;
