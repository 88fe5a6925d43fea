//! Writing into memory of a device, or from there into host memory.

use ndbridge_dtype::{Scalar, match_dtype};
use ndbridge_storage::BorrowKind;

use super::crossing::{self, Target, enqueue_copy};
use crate::copy::{Source, gapless};
use crate::error::TensorError;
use crate::receipt::CopyReason;
use crate::tensor::{CopyOrder, Tensor};

/// Copies the elements of `source` to `destination`, of the same shape and without a byte in
/// common; one of them is on a device.
#[track_caller]
pub(crate) fn assign_disjoint(
    destination: &Tensor,
    source: &Tensor,
    non_blocking: bool,
) -> Result<(), TensorError> {
    if destination.is_empty() {
        return Ok(());
    }
    let (from, device) = (source.device(), destination.device());
    if from == device {
        let _read = source.borrow_anywhere(BorrowKind::Read)?;
        let _write = destination.borrow_anywhere(BorrowKind::Write)?;
        return enqueue_copy(source, destination);
    }
    if from.is_host() && same_block(source, destination) {
        let _write = destination.borrow_anywhere(BorrowKind::Write)?;
        return crossing::upload(source, destination, non_blocking);
    }
    if device.is_host() && same_block(source, destination) {
        return crossing::download_into(source, destination, non_blocking);
    }
    // By way of a copy where the destination is.
    if from.is_host() && source.dtype() != destination.dtype() {
        // The device takes every byte but 0 for true: they are looked at here.
        drop(Source::borrow_values(source)?);
    }
    let dtype = if device.is_host() { destination.dtype() } else { source.dtype() };
    let aside = crossing::copy_to(
        source,
        Target {
            call: "assign",
            reasons: CopyReason::Device.into(),
            device,
            dtype,
            order: CopyOrder::Keep,
            non_blocking: non_blocking && !device.is_host(),
        },
    )?;
    destination.assign_disjoint(&aside)
}

/// Whether the elements of both lie in one block, in the same order.
fn same_block(source: &Tensor, destination: &Tensor) -> bool {
    let item_bytes = source.dtype().item_bytes();
    let Ok(packed) = gapless(destination, item_bytes, CopyOrder::Keep) else { return false };
    let same_type = source.dtype() == destination.dtype();
    same_type && source.layout().steps_as(&packed) && destination.layout().steps_as(&packed)
}

/// Writes `value`, which the data type can hold, to every element of a tensor on a device.
#[track_caller]
pub(crate) fn fill(tensor: &Tensor, value: Scalar) -> Result<(), TensorError> {
    let bytes: Vec<u8> = match_dtype!(tensor.dtype(), T => {
        bytemuck::bytes_of(&value.checked_to_element::<T>()?).to_vec()
    });
    let _write = tensor.borrow_anywhere(BorrowKind::Write)?;
    crossing::enqueue_fill(tensor, &bytes)
}
