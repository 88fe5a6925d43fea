#![doc = include_str!("../README.md")]

#[cfg(Py_GIL_DISABLED)]
compile_error!(
    "ndbridge lends no memory to or from a Python without a GIL, whose threads may write an array at \
     any time: build for one that has a GIL (python3.14, not python3.14t), or without the feature `python`"
);

#[expect(unsafe_code, reason = "calls a variadic function of the interpreter")]
mod call;
mod error;
mod gate;
#[expect(unsafe_code, reason = "looks up a function of the interpreter, asks for thread states")]
mod interpreter;
mod known_memory;
#[expect(unsafe_code, reason = "hands the table of a ledger from module to module")]
mod ledger_capsule;
#[expect(unsafe_code, reason = "hands memory of devices over")]
mod lend;
#[doc(hidden)]
pub mod once;
mod owner;
#[expect(unsafe_code, reason = "gives up references on the interpreter's own word")]
mod reference;
mod waits;

pub use error::{ArrayError, ErrorClass, in_python_words, to_py_err};
pub use gate::PythonGate;
pub use interpreter::check_interpreter;
pub use ledger_capsule::join_ledger;
pub use lend::{lend_host_memory, lend_to_python};
pub use owner::{PythonOwner, python_owner};

// For the crates above this one.
#[doc(hidden)]
pub use {
    call::call,
    error::{holder, raised, type_name},
    interpreter::is_served,
    known_memory::storage_of,
    ledger_capsule::{OtherChecker, join_ledger_if_attached, set_default},
    lend::check_host,
    reference::{Reference, give_up_parked},
    waits::{letting_go, settle, settle_copy, settle_move, waiting},
};
