//! Live arrays of Python's libraries, in and out: shared both ways, or refused.
//!
//! | to | call |
//! |---|---|
//! | take an argument for the time of a call | [`Arg`], [`ArgMut`], [`ArgCow`] |
//! | keep an array | [`from_python`], [`from_numpy`] |
//! | hand a tensor out | [`to_numpy`], [`to_torch`], [`to_tensorflow`], [`to_jax`], [`to_dlpack`]; as return values [`ToNumpy`] and its kin |
//! | compute without the GIL | [`Detach`], [`DetachMut`], [`hold`] |
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
//! Other libraries' arrays are held by the DLPack structure, the export or the object that they gave.

#[cfg(Py_GIL_DISABLED)]
compile_error!(
    "ndbridge lends no memory to or from a Python without a GIL, whose threads may write an array at \
     any time: build for one that has a GIL (python3.14, not python3.14t), or without the feature `python`"
);

#[expect(unsafe_code, reason = "declares NumPy's C structures and looks up its C functions")]
mod api;
#[expect(unsafe_code, reason = "makes views of borrowed memory")]
mod arg;
#[expect(unsafe_code, reason = "reads the C structure of ndarray objects")]
mod array;
mod array_interface;
#[expect(unsafe_code, reason = "calls a variadic function of the interpreter")]
mod call;
#[expect(unsafe_code, reason = "takes structures out of capsules and puts them in")]
mod capsule;
#[expect(unsafe_code, reason = "calls torch's table of functions")]
mod consumers;
mod cuda_interface;
#[expect(unsafe_code, reason = "calls DLPack's table of functions, names streams of others")]
mod device;
mod dtypes;
mod error;
#[expect(unsafe_code, reason = "makes ndarray objects over a tensor's memory")]
mod export;
#[expect(unsafe_code, reason = "changes flags of ndarray objects")]
mod frozen;
mod gate;
#[expect(unsafe_code, reason = "reads the view that an object's buffer fills")]
mod held_buffer;
mod hold;
mod import;
#[expect(unsafe_code, reason = "calls DLPack's table of functions, takes over foreign memory")]
mod incoming;
#[expect(unsafe_code, reason = "looks up a function of the interpreter, asks for thread states")]
mod interpreter;
mod known_memory;
#[expect(unsafe_code, reason = "hands the table of a ledger from module to module")]
mod ledger_capsule;
mod lender;
mod once;
mod owner;
#[expect(unsafe_code, reason = "changes a flag of ndarray objects")]
mod pins;
#[expect(unsafe_code, reason = "reads DLPack's table of functions and a list of what was seen")]
mod producer;
#[expect(unsafe_code, reason = "gives up references on the interpreter's own word")]
mod reference;
mod returned;
#[expect(unsafe_code, reason = "C functions in rust-numpy's borrow table")]
mod rust_numpy;
mod torch;

/// NumPy's functions, if they and the ledger of the process were found already.
#[inline]
fn ready(py: pyo3::Python<'_>) -> Option<&'static api::NumpyApi> {
    api::NumpyApi::loaded(py).filter(|_| interpreter::is_served(py))
}

pub use arg::{
    Aligned, Any, AnyDType, AnyShape, Arg, ArgCow, ArgMut, Axes, AxisLen, COrder, Const,
    Constraint, Contiguous, DTypes, FOrder, Memory, NamedAxes, OneOf, Several, Shaped, Typed,
    TypedMut, Untyped, check_same_axes,
};
pub use array::is_array;
pub use array_interface::array_interface;
pub use capsule::{DlpackForm, to_dlpack, to_dlpack_on};
pub use consumers::{to_cupy, to_jax, to_tensorflow, to_torch};
pub use cuda_interface::cuda_array_interface;
pub use device::ready_on_own_stream;
pub use dtypes::{dtype_from_python, numpy_dtype};
pub use error::{ArrayError, in_python_words, to_py_err};
pub use export::{lend_host_memory, lend_to_python, to_numpy, to_numpy_with_base};
pub use gate::PythonGate;
pub use held_buffer::memoryview_of;
pub use hold::{Detach, DetachMut, Freeze, Hold, hold, hold_with};
pub use import::{Found, find, find_by_dlpack, from_numpy, from_python, gather};
pub use interpreter::check_interpreter;
pub use ledger_capsule::join_ledger;
pub(crate) use ledger_capsule::join_ledger_if_attached;
pub use lender::Lender;
pub use owner::{PythonOwner, python_owner};
pub use returned::{ToJax, ToMemoryView, ToNdbridge, ToNumpy, ToTensorFlow, ToTorch};
