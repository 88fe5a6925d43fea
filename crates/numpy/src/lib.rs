#![doc = include_str!("../README.md")]

mod atomic;
mod error;
pub mod npy;
pub mod npz;
#[cfg(feature = "python")]
pub mod python;
mod reason;

pub use error::{NumpyError, Place};
pub use reason::FormatError;
