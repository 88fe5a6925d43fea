#![doc = include_str!("../README.md")]

mod access;
mod alloc;
#[expect(unsafe_code, reason = "declares what the implementers promise")]
pub mod backend;
mod borrow;
mod borrowing;
mod device;
#[expect(unsafe_code, reason = "takes the word of a back end for its memory")]
mod driven;
mod error;
#[expect(unsafe_code, reason = "takes the word of the caller for a pointer")]
mod foreign;
mod lent_borrow;
#[expect(unsafe_code, reason = "a file mapping is memory that the file system can change")]
mod map;
mod owner;
mod replace;
#[expect(unsafe_code, reason = "holds the pointer: shares it between threads, looks at its bytes")]
mod storage;

pub use access::{Access, Mutability};
pub use alloc::{
    ALIGN_BYTES, CacheStats, Filling, UninitStorage, cache_stats, empty_cache, set_cache_limit,
};
pub use backend::{Backend, Consumer, DeviceBytes, Notes, Surroundings, backend_of, find_backend};
pub use borrow::{Borrow, OwnedBorrow};
pub use device::{Device, DeviceError, OtherDevice};
pub use driven::Allocated;
#[doc(hidden)]
pub use error::to_host;
pub use error::{BorrowError, StorageError};
pub use foreign::{Foreign, ForeignAccess};
pub use lent_borrow::LentBorrow;
pub use replace::replace_file;
pub use storage::{Storage, WeakStorage};

pub use ndbridge_ledger::{self as ledger, BorrowKind, Gate, GateError, MapMode, fork, gate};

pub use ndbridge_layout::{
    self as layout, DEFAULT_BUDGET, Footprint, Overlap, Region, RegionError, may_overlap,
    reaches_a_byte_twice,
};
