#![doc = include_str!("../README.md")]

mod atomic;
#[expect(unsafe_code, reason = "makes tensors of memory on its caller's word")]
mod described;
pub mod dlpack;
mod error;
pub mod npy;
pub mod npz;
#[cfg(feature = "python")]
pub mod python;
mod reason;
mod room;

pub use error::{NumpyError, Place};
pub use reason::FormatError;
