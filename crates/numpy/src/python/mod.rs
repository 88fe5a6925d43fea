//! Live NumPy arrays: their C structure, what keeps their memory in its place, tensors as arrays.
//!
//! ```text
//! ndarray object            what a Tensor made of it holds
//! ┌───────────────┐         ┌──────────────────────────────┐
//! │ data ─────────┼──bytes──┤ address, extent              │
//! │ shape, strides│         │ a copy of shape and strides  │
//! │ base ─► owner │◄────────┤ a reference to the ndarray   │
//! │ weakrefs      │◄────────┤ a weak reference as well     │
//! └───────────────┘         └──────────────────────────────┘
//! ```
//!
//! The reference keeps the memory alive. The weak references, one for the array and one for each
//! array it is a view of, make NumPy refuse every `resize`, also with `refcheck=False`, which would
//! move the memory away. A buffer at the end of the chain (`bytearray`, `mmap`) is held by an export.
//!
//! Arrays of all libraries, as arguments and to keep, are `ndbridge-python`'s.

#[doc(hidden)]
#[expect(unsafe_code, reason = "declares NumPy's C structures and looks up its C functions")]
pub mod api;
#[doc(hidden)]
#[expect(unsafe_code, reason = "reads the C structure of ndarray objects")]
pub mod array;
#[doc(hidden)]
pub mod array_interface;
mod dtypes;
mod error;
#[expect(unsafe_code, reason = "makes ndarray objects over a tensor's memory")]
mod export;
#[doc(hidden)]
#[expect(unsafe_code, reason = "changes flags of ndarray objects")]
pub mod frozen;
#[doc(hidden)]
#[expect(unsafe_code, reason = "changes a flag of ndarray objects")]
pub mod pins;
#[expect(unsafe_code, reason = "C functions in rust-numpy's borrow table")]
mod rust_numpy;

pub use array::is_array;
pub use array_interface::array_interface;
pub use dtypes::{dtype_of_numpy, numpy_dtype};
pub use error::NdarrayError;
pub use export::{to_numpy, to_numpy_with_base};

/// NumPy's functions, if they and the ledger of the process were found already.
#[doc(hidden)]
#[inline]
pub fn ready(py: pyo3::Python<'_>) -> Option<&'static api::NumpyApi> {
    api::NumpyApi::loaded(py).filter(|_| ndbridge_interpreter::is_served(py))
}
