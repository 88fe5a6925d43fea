//! Waiting for devices, without the interpreter.
//!
//! What a stream does may need Python: a host function of another library's. Who waits for the stream
//! and holds the interpreter would wait for ever. So what is to be borrowed is waited for before, while
//! other threads run Python; the borrow itself finds nothing to wait for then.

use ndbridge_storage::{BorrowKind, Device, Storage, StorageError, find_backend};
use ndbridge_tensor::Tensor;
use pyo3::prelude::*;

use crate::error::to_py_err;
use crate::interpreter::is_attached;

/// Waits, while other threads run Python, until no device copies this page-locked memory in a way that a
/// borrow of `kind` conflicts with. Nothing happens to other memory.
///
/// # Errors
/// The driver's.
#[inline]
pub fn settle(py: Python<'_>, tensor: &Tensor, kind: BorrowKind) -> PyResult<()> {
    match tensor.device() {
        Device::CudaHost => wait_for(py, &[(tensor.storage(), kind)], &[]),
        _ => Ok(()),
    }
}

/// Waits, while other threads run Python, for what a copy from `source` to `target` waits for on the host:
/// one that crosses from one place to another, or touches page-locked memory.
///
/// # Errors
/// The driver's; an error while a stream is captured that would have to be waited for.
pub fn settle_copy(
    py: Python<'_>,
    source: &Tensor,
    target: &Tensor,
    non_blocking: bool,
) -> PyResult<()> {
    let (from, to) = (source.device(), target.device());
    let stays = from == to || from.is_host() && to.is_host();
    // Such a copy waits for nothing but other copies of its page-locked side.
    let goes_on = non_blocking && (from == Device::CudaHost || to == Device::CudaHost);
    if stays || goes_on {
        settle(py, source, BorrowKind::Read)?;
        return settle(py, target, BorrowKind::Write);
    }
    let uses = [(source.storage(), BorrowKind::Read), (target.storage(), BorrowKind::Write)];
    wait_for(py, &uses, &[from, to])
}

/// Waits, while other threads run Python, for what a copy of `source` to new memory on `to` waits for.
///
/// # Errors
/// As [`settle_copy`].
#[inline]
pub fn settle_move(
    py: Python<'_>,
    source: &Tensor,
    to: Device,
    non_blocking: bool,
) -> PyResult<()> {
    match (source.device(), to) {
        (Device::Cpu, Device::Cpu) => Ok(()),
        (from, to) => settle_crossing(py, source, from, to, non_blocking),
    }
}

fn settle_crossing(
    py: Python<'_>,
    source: &Tensor,
    from: Device,
    to: Device,
    non_blocking: bool,
) -> PyResult<()> {
    // A copy to the host goes to page-locked memory then.
    let goes_on = non_blocking && (from == Device::CudaHost || to.is_host());
    if from == to || from.is_host() && to.is_host() || goes_on {
        return settle(py, source, BorrowKind::Read);
    }
    wait_for(py, &[(source.storage(), BorrowKind::Read)], &[from, to])
}

/// Waits for the uses of these, and for our current streams of these devices.
fn wait_for(py: Python<'_>, uses: &[(&Storage, BorrowKind)], devices: &[Device]) -> PyResult<()> {
    let waited = py.detach(|| {
        uses.iter().try_for_each(|(storage, kind)| storage.wait_for_devices(*kind))?;
        let devices = devices.iter().filter(|device| !device.is_host());
        devices.copied().try_for_each(|device| find_backend(device)?.synchronize(device))
    });
    waited.map_err(|error| to_py_err(error.into()))
}

/// Runs what may wait for a device, or for another thread that does, while other threads run Python.
///
/// # Errors
/// As `work`.
pub fn waiting<R: Send>(work: impl FnOnce() -> Result<R, StorageError> + Send) -> PyResult<R> {
    let done = match is_attached() {
        true => Python::attach(|py| py.detach(work)),
        false => work(),
    };
    done.map_err(|error| to_py_err(error.into()))
}

/// As [`waiting`], for back ends that wait unasked.
pub fn letting_go(work: &mut (dyn FnMut() + Send)) {
    match is_attached() {
        true => Python::attach(|py| py.detach(work)),
        false => work(),
    }
}
