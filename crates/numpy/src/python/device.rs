//! Memory of CUDA devices, in and out: what is asked of the driver, and in which order of streams.
//!
//! | from or to | ordered by |
//! |---|---|
//! | `__dlpack__(stream=s)` in | the producer makes our current stream wait |
//! | exchange table in, and out to torch | the library's current stream and ours wait for each other |
//! | `__cuda_array_interface__` in | our current stream waits for the stream named there |
//! | `__dlpack__(stream=s)` out | the consumer's stream is made to wait; -1: it sees to that itself |
//! | `__cuda_array_interface__` out | names our current stream, which was made to wait |

use ndbridge_storage::cuda::{self, Consumer, PointerKind, Stream, current_stream};
use ndbridge_storage::{BorrowKind, Device, Storage, StorageError};
use ndbridge_tensor::{Tensor, TensorError};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::error::{raised, to_py_err};
use crate::described::Described;
use crate::dlpack::{CUDA, DlExchange};

/// The stream that DLPack means by no stream.
pub(super) const LEGACY: i64 = 1;
/// The consumer wants nobody to wait.
const NO_WAIT: i64 = -1;

/// Whether arrays on CUDA devices can be taken here.
pub(super) fn is_supported() -> bool {
    cuda::is_available()
}

/// The handle of our current stream on a device, for a producer to make wait.
pub(super) fn own_stream(ordinal: usize) -> PyResult<usize> {
    Ok(current_stream(ordinal).map_err(as_exception)?.handle())
}

/// What a `__cuda_array_interface__` does not say: the device of an address.
pub(super) fn device_of(address: usize) -> PyResult<Device> {
    if address == 0 {
        return Ok(Device::Cuda(0));
    }
    let facts = cuda::pointer_facts(address).map_err(as_exception)?;
    match facts.kind {
        PointerKind::Device | PointerKind::Managed => Ok(Device::Cuda(facts.ordinal)),
        PointerKind::Pinned => Ok(Device::CudaHost),
        PointerKind::Unregistered => {
            let (device, len_bytes, facts) = (Device::Cuda(0), 0, facts.to_string());
            Err(as_exception(StorageError::WrongPointer { device, address, len_bytes, facts }))
        }
    }
}

/// Makes our current stream wait for a producer's, of which it has given the handle.
pub(super) fn after_stream(device: Device, handle: i64) -> PyResult<()> {
    let Device::Cuda(ordinal) = device else { return Ok(()) };
    let theirs = stream_of(ordinal, handle)?;
    let ours = current_stream(ordinal).map_err(as_exception)?;
    if ours == theirs || theirs.is_capturing().map_err(as_exception)? {
        // Work that is being recorded cannot be waited for: whoever captures makes his stream ours.
        return Ok(());
    }
    ours.wait_for(&theirs).map_err(as_exception)
}

/// Makes our current stream wait for the current stream of the library whose table this is.
pub(super) fn after_current_stream(table: &DlExchange, described: &Described) -> PyResult<()> {
    let Device::Cuda(ordinal) = described.device else { return Ok(()) };
    match their_stream(table, ordinal)? {
        Some(handle) => after_stream(described.device, handle),
        None => after_stream(described.device, LEGACY),
    }
}

/// The handle of the library's current stream, as DLPack counts them.
fn their_stream(table: &DlExchange, ordinal: usize) -> PyResult<Option<i64>> {
    let Some(current) = table.current_stream else { return Ok(None) };
    let mut handle = std::ptr::null_mut();
    // SAFETY: the table's own function, a device's numbers, a place for the result; attached.
    if unsafe { current(CUDA, ordinal as i32, &mut handle) } != 0 {
        // SAFETY: called with the interpreter attached, as everything here.
        let py = unsafe { Python::assume_attached() };
        return Err(raised(py, "current_work_stream"));
    }
    let handle = handle.addr() as i64;
    // Null is the legacy default stream where streams are pointers.
    Ok(Some(if handle == 0 { LEGACY } else { handle }))
}

/// Notes that memory of ours, which comes back, is ready in the order of our current stream.
pub(super) fn came_back(storage: &Storage) -> PyResult<()> {
    storage.note_ready().map_err(as_exception)
}

/// Makes the stream of a consumer, as DLPack counts them, wait for what the elements depend on.
///
/// # Errors
/// `ValueError` for 0, which may mean two streams, and for anything that is no stream.
pub(super) fn hand_over(tensor: &Tensor, stream: Option<i64>) -> PyResult<()> {
    let Device::Cuda(ordinal) = tensor.device() else {
        return cuda::hand_over_host_memory(tensor.storage()).map_err(as_exception);
    };
    let kind = if tensor.is_read_only() { BorrowKind::Read } else { BorrowKind::Write };
    let handed = match stream.unwrap_or(LEGACY) {
        NO_WAIT => tensor.storage().hand_over(Consumer::Waits, kind),
        handle => {
            let theirs = stream_of(ordinal, handle)?;
            tensor.storage().hand_over(Consumer::OnStream(&theirs), kind)
        }
    };
    handed.map_err(as_exception)
}

/// As [`hand_over`], to the library whose table this is.
pub(super) fn hand_over_to(table: Option<&DlExchange>, tensor: &Tensor) -> PyResult<()> {
    let stream = match (tensor.device(), table) {
        (Device::Cuda(ordinal), Some(table)) => their_stream(table, ordinal)?,
        _ => None,
    };
    hand_over(tensor, stream)
}

/// The handle of our current stream, after it was made to wait for what the elements depend on: for
/// consumers that order themselves after that stream. 0 for host memory, which is waited for.
///
/// # Errors
/// The driver's.
pub fn ready_on_own_stream(tensor: &Tensor) -> PyResult<usize> {
    let Device::Cuda(ordinal) = tensor.device() else {
        cuda::hand_over_host_memory(tensor.storage()).map_err(as_exception)?;
        return Ok(0);
    };
    let stream = current_stream(ordinal).map_err(as_exception)?;
    let kind = if tensor.is_read_only() { BorrowKind::Read } else { BorrowKind::Write };
    let consumer = Consumer::OnStream(&stream);
    tensor.storage().hand_over(consumer, kind).map_err(as_exception)?;
    Ok(stream.handle())
}

fn stream_of(ordinal: usize, handle: i64) -> PyResult<Stream> {
    let handle = usize::try_from(handle).map_err(|_| {
        let text = format!("stream {handle} is none: expected 1, 2 or a stream's handle");
        PyValueError::new_err(text)
    })?;
    // SAFETY: a stream that its owner names now, and that is used during this call only.
    unsafe { Stream::external(ordinal, handle) }.map_err(as_exception)
}

fn as_exception(error: StorageError) -> PyErr {
    to_py_err(TensorError::from(error))
}
