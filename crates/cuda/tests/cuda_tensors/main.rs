//! Tensors on CUDA devices, on the emulated driver or, with `NDBRIDGE_GPU=real`, on the machine's.
//!
//! At the end of every test on the emulated driver there must be no violation: no race, no use of
//! freed memory, no read of bytes that nothing wrote.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its parts too")]

mod assign;
mod copies;
mod crossing;
mod large;
mod sequences;
#[path = "../../../tensor/tests/zoo/mod.rs"]
mod zoo;

use ndbridge_tensor::{CopyOrder, Tensor};

/// The same view of a copy of the storage on a device.
fn twin(tensor: &Tensor, ordinal: usize) -> Tensor {
    let there = zoo::bytes_tensor(tensor.storage()).cuda(ordinal).unwrap();
    let layout = tensor.layout().clone();
    Tensor::from_parts(there.storage().clone(), tensor.dtype(), layout).unwrap()
}

/// The bytes of every element in C order, of a tensor wherever it is.
fn bytes_of_elements(tensor: &Tensor) -> Vec<Vec<u8>> {
    zoo::element_bytes(&tensor.cpu().unwrap().copy(CopyOrder::C).unwrap())
}
