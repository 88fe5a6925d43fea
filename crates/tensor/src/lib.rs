#![doc = include_str!("../README.md")]

mod bool_check;
mod build;
mod bytes;
#[cfg(doctest)]
mod compile_fail;
mod convert;
mod copy;
mod count;
mod device;
#[expect(unsafe_code, reason = "reads and writes elements at checked offsets")]
mod element_access;
#[expect(unsafe_code, reason = "reads elements that it has borrowed")]
mod elements;
mod elsewhere;
mod equal;
mod error;
#[expect(unsafe_code, reason = "builds ndarray views over storage that is borrowed for them")]
mod guard;
#[expect(unsafe_code, reason = "shares the memory behind ndarray's owned and shared arrays")]
mod ndarray_io;
mod ndarray_slice;
#[expect(unsafe_code, reason = "makes tensors of memory on its caller's word")]
mod outside;
mod overlap;
mod plan;
mod print;
#[expect(unsafe_code, reason = "makes ndarray views on its caller's word")]
mod raw_elements;
mod receipt;
#[expect(unsafe_code, reason = "per-element atomic access to memory that others write")]
mod shared;
mod team;
mod tensor;
mod views;

pub use bytes::Bytes;
pub use count::{CopyCount, NoCopy, PendingCopy, copies, no_copy};
pub use elsewhere::{DeviceElements, DeviceEngine, Engine};
pub use equal::array_equal;
pub use error::TensorError;
pub use guard::{BytesGuard, ReadGuard, WriteGuard};
pub use ndarray_io::IntoArrayError;
pub use outside::Outside;
pub use overlap::shares_memory;
pub use plan::{CopyRule, Facts, Plan, Refusal, Request, plan};
pub use raw_elements::RawElements;
pub use receipt::{Action, CopyReason, CopyReasons, Receipt};
pub use shared::SharedView;
pub use team::{num_threads, set_num_threads};
pub use tensor::{CopyOrder, Tensor};

pub use ndbridge_dtype::{self as dtype, DType, Element, Scalar};
pub use ndbridge_layout::{
    self as layout, Index, Layout, LayoutError, MAX_NDIM, Offsets, Order, Parts, Split, Walk,
    WalkAxis, broadcast_shapes,
};
pub use ndbridge_storage::{self as storage, Device, Storage};
