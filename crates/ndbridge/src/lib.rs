#![doc = include_str!("../README.md")]

pub use ndbridge_dtype as dtype;
pub use ndbridge_storage as storage;
pub use ndbridge_tensor as tensor;

#[cfg(feature = "dlpack")]
pub use ndbridge_dlpack as dlpack;
#[cfg(feature = "numpy")]
pub use ndbridge_numpy::npy;
#[cfg(feature = "npz")]
pub use ndbridge_numpy::npz;
#[cfg(feature = "python")]
pub use {ndbridge_python as python, ndbridge_python::same_axes};

#[cfg(feature = "cuda")]
pub use ndbridge_cuda as cuda;

pub use ndbridge_dtype::{
    ByteOrder, Casting, DType, Element, Scalar, can_cast, promote_types, promote_types_torch,
};
pub use ndbridge_storage::{Access, Device, Storage};
pub use ndbridge_tensor::{
    CopyOrder, CopyReason, CopyRule, Index, Layout, Order, Parts, Plan, ReadGuard, Receipt,
    Request, SharedView, Tensor, TensorError, WriteGuard, array_equal, copies, no_copy,
    num_threads, plan, set_num_threads, shares_memory,
};
