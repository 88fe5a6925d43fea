#![doc = include_str!("../README.md")]

#[expect(unsafe_code, reason = "says that a table of functions may be shared")]
mod abi;
mod error;
#[expect(unsafe_code, reason = "hands structures to foreign code and frees them when asked to")]
mod export;
#[expect(unsafe_code, reason = "reads structures of foreign code and takes over their memory")]
mod import;
#[expect(unsafe_code, reason = "reads the axes of headers")]
mod plain;

pub use abi::{
    CPU, CUDA, CUDA_HOST, CUDA_MANAGED, DlDataType, DlDevice, DlExchange, DlExchangeHeader,
    DlManaged, DlManagedVersioned, DlSetError, DlTensor, DlVersion, IS_COPIED, READ_ONLY, VERSION,
};
pub use error::DlpackError;
pub use export::{Exported, HeaderAxes, device_of, dtype_code};
pub use import::{
    ManagedOwner, describe, device_of_code, from_managed, from_managed_versioned, read_prototype,
};
pub use ndbridge_storage::Mutability;
pub use plain::PlainHeader;
