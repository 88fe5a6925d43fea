//! Data types of n-dimensional arrays: names, casting and promotion tables, value conversion.
#![forbid(unsafe_code)]

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
