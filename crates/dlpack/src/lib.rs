//! DLPack: arrays that cross between libraries as one C structure and a function that frees it.
//!
//! ```text
//! DlManagedVersioned                           a Tensor made of it
//! ┌─────────────────────────────┐              ┌─────────────────────────────┐
//! │ version, flags (READ_ONLY)  │              │ owner: calls `deleter` once │
//! │ deleter ────────────────────┼──────────────┤                             │
//! │ tensor: data, byte_offset ──┼──► bytes ◄───┤ address, extent             │
//! │         shape, strides      │              │ a copy of shape and strides │
//! └─────────────────────────────┘              └─────────────────────────────┘
//! ```
//!
//! Nothing here knows Python. The header is checked as a whole before anything is believed, and a
//! structure that is refused is deleted, once. Nothing is read of memory that is described; its
//! addresses must be such as a program can have ([`Device::check_addresses`]). Unknown flags and newer
//! minor versions are let pass, as the version's promise has it; of another major version only the
//! deleter is used.
//!
//! DLPack counts strides in elements and knows no bytes in between, so a field of a record cannot go
//! out. Nor can elements off their alignment: a producer owes its consumers addresses that are
//! multiples of the element's size.
//!
//! A legacy structure cannot say whether its memory may be written: such tensors are of
//! [`Mutability::Unknown`](crate::dlpack::Mutability), are not written, and go out as they came. A
//! structure that was made here is known by its deleter, and gives a view of its own storage.
//!
//! [`Device::check_addresses`]: ndbridge_storage::Device::check_addresses
//!
//! Source: `dlpack.h` 1.3 of the DLPack project.

#[expect(unsafe_code, reason = "says that a table of functions may be shared")]
mod abi;
mod error;
#[expect(unsafe_code, reason = "hands structures to foreign code and frees them when asked to")]
mod export;
#[expect(unsafe_code, reason = "reads structures of foreign code and takes over their memory")]
mod import;

#[cfg(feature = "python")]
#[expect(unsafe_code, reason = "reads the axes of headers")]
mod plain;

pub use abi::{
    CPU, CUDA, CUDA_HOST, CUDA_MANAGED, DlDataType, DlDevice, DlExchange, DlExchangeHeader,
    DlManaged, DlManagedVersioned, DlSetError, DlTensor, DlVersion, IS_COPIED, READ_ONLY, VERSION,
};
pub use error::DlpackError;
pub use export::{Exported, HeaderAxes, device_of, dtype_code};
pub use import::{ManagedOwner, from_managed, from_managed_versioned, read_prototype};
pub use ndbridge_storage::Mutability;

#[cfg(feature = "python")]
pub(crate) use {
    import::{describe, device_of_code},
    plain::PlainHeader,
};
