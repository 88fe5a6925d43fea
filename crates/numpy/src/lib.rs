#![doc = include_str!("../README.md")]

#[cfg(feature = "npy")]
mod error;
#[cfg(all(feature = "npy", feature = "python"))]
mod exceptions;
#[cfg(feature = "npy")]
pub mod npy;
#[cfg(feature = "npz")]
pub mod npz;
#[cfg(feature = "python")]
pub mod python;
#[cfg(feature = "npy")]
mod reason;
#[cfg(feature = "npy")]
#[cfg_attr(not(feature = "npz"), expect(dead_code, reason = "archives need it"))]
mod room;

#[cfg(feature = "npy")]
pub use error::{NumpyError, Place};
#[cfg(feature = "npy")]
pub use reason::FormatError;
