//! Memory of tensors, lent to Python.

use ndbridge_storage::{Access, BorrowKind, Consumer, Device};
use ndbridge_tensor::{Tensor, TensorError};
use pyo3::prelude::*;

use crate::error::{ArrayError, to_py_err};
use crate::gate::PythonGate;
use crate::known_memory;
use crate::ledger_capsule::join_ledger_attached;
use crate::waits::waiting;

/// Hands the memory of `tensor` to Python: from now on, for good, it is borrowed only by threads
/// that are attached to the interpreter.
///
/// # Errors
/// `BufferError` while a guard of the memory is alive; as [`join_ledger`](crate::join_ledger).
#[inline]
#[track_caller]
pub fn lend_to_python(tensor: &Tensor) -> PyResult<()> {
    join_ledger_attached()?;
    let storage = tensor.storage();
    let lent = match storage.access() {
        Access::Private | Access::Mapped => storage.lend(PythonGate::shared()),
        Access::Lent | Access::Frozen => storage.check_gate(),
    };
    lent.map_err(|error| ArrayError::from(TensorError::from(error)))?;
    known_memory::remember(storage);
    Ok(())
}

/// As [`lend_to_python`], for protocols that tell nobody of devices: refuses their memory, and waits
/// for copies of devices to this.
///
/// # Errors
/// `TypeError` for memory of a device; as [`lend_to_python`].
#[track_caller]
pub fn lend_host_memory(tensor: &Tensor) -> PyResult<()> {
    check_host(tensor)?;
    lend_to_python(tensor)
}

/// Refuses memory that is not the host's own.
///
/// # Errors
/// `TypeError`.
#[inline]
pub fn check_host(tensor: &Tensor) -> PyResult<()> {
    if tensor.device().is_host() {
        // The host reads it from now on, and asks nobody.
        let kind = if tensor.is_read_only() { BorrowKind::Read } else { BorrowKind::Write };
        if tensor.device() == Device::Cpu {
            return Ok(());
        }
        // SAFETY: names no stream.
        return waiting(|| unsafe { tensor.storage().hand_over(Consumer::Waits, kind) });
    }
    Err(on_device(tensor))
}

#[cold]
fn on_device(tensor: &Tensor) -> PyErr {
    let (device, copy_bytes) = (tensor.device(), tensor.size_bytes());
    to_py_err(TensorError::OnDevice { device, copy_bytes })
}
