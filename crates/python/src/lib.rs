#![doc = include_str!("../README.md")]

#[expect(unsafe_code, reason = "makes views of borrowed memory")]
mod arg;
#[expect(unsafe_code, reason = "takes structures out of capsules and puts them in")]
mod capsule;
#[expect(unsafe_code, reason = "calls torch's table of functions")]
mod consumers;
mod cuda_interface;
#[expect(unsafe_code, reason = "calls DLPack's table of functions, names streams of others")]
mod device;
mod dictionary;
mod dtypes;
mod error;
#[expect(unsafe_code, reason = "reads the view that an object's buffer fills")]
mod held_buffer;
mod hold;
mod import;
#[expect(unsafe_code, reason = "calls DLPack's table of functions, takes over foreign memory")]
mod incoming;
mod lender;
#[expect(unsafe_code, reason = "reads DLPack's table of functions and a list of what was seen")]
mod producer;
mod returned;
mod torch;

pub use arg::{
    Aligned, Any, AnyDType, AnyShape, Arg, ArgCow, ArgMut, Axes, AxisLen, COrder, Const,
    Constraint, Contiguous, DTypes, FOrder, Memory, NamedAxes, OneOf, Several, Shaped, Typed,
    TypedMut, Untyped, check_same_axes,
};
pub use capsule::{DlpackForm, to_dlpack, to_dlpack_on};
pub use consumers::{to_cupy, to_jax, to_tensorflow, to_torch};
pub use cuda_interface::cuda_array_interface;
#[doc(hidden)]
pub use device::attend;
pub use device::ready_on_own_stream;
pub use dtypes::dtype_from_python;
pub use error::ObjectError;
pub use held_buffer::memoryview_of;
pub use hold::{Detach, DetachMut, Freeze, Hold, hold, hold_with};
pub use import::{Found, find, find_by_dlpack, from_numpy, from_python, gather};
pub use lender::Lender;
pub use returned::{ToJax, ToMemoryView, ToNdbridge, ToNumpy, ToTensorFlow, ToTorch};

#[doc(inline)]
pub use ndbridge_interpreter::{
    ArrayError, ErrorClass, PythonGate, PythonOwner, check_interpreter, in_python_words,
    join_ledger, lend_host_memory, lend_to_python, python_owner, to_py_err,
};
#[doc(hidden)]
pub use ndbridge_interpreter::{settle, settle_copy, settle_move};
#[doc(inline)]
pub use ndbridge_numpy::python::{
    NdarrayError, array_interface, is_array, numpy_dtype, to_numpy, to_numpy_with_base,
};
