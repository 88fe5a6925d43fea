#![doc = include_str!("../README.md")]

mod atomic;
mod error;
pub mod npy;
pub mod npz;
mod reason;

pub use error::{NumpyError, Place};
pub use reason::FormatError;
