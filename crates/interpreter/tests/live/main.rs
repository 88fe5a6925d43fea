//! The rules of this crate, in a process that is an interpreter itself; no array library is needed.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod alone;
#[expect(unsafe_code, reason = "ends the interpreter and starts another")]
mod ended;
mod errors;
mod gate;
#[expect(unsafe_code, reason = "takes its own tables for those of another module")]
mod joining;
#[expect(unsafe_code, reason = "makes tensors of foreign memory")]
mod known;
#[expect(unsafe_code, reason = "counts references")]
mod owners;
mod snippets;
#[expect(unsafe_code, reason = "starts and ends subinterpreters")]
mod subinterpreters;

use ndbridge_storage::BorrowError;
use ndbridge_tensor::{Tensor, TensorError};

use snippets::{names, said};

/// Why the gate refuses this thread; `None` if it lets it in.
fn refusal(tensor: &Tensor) -> Option<&'static str> {
    match tensor.read::<i32>() {
        Ok(_) => None,
        Err(TensorError::Borrow(BorrowError::Gate(error))) => Some(error.reason),
        Err(error) => panic!("{error}"),
    }
}
