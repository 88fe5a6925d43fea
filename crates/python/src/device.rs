//! Memory of devices, in and out: what is asked of its back end, and in which order of streams.
//!
//! | from or to | ordered by |
//! |---|---|
//! | `__dlpack__(stream=s)` in | the producer makes our current stream wait |
//! | exchange table in, and out to torch | the library's current stream and ours wait for each other |
//! | `__cuda_array_interface__` in | our current stream waits for the stream named there |
//! | `__dlpack__(stream=s)` out | the consumer's stream is made to wait; -1: it sees to that itself |
//! | `__cuda_array_interface__` out | names our current stream, which was made to wait |

use std::sync::atomic::{AtomicBool, Ordering};

use ndbridge_dlpack::DlExchange;
use ndbridge_interpreter::{letting_go, raised, to_py_err, waiting};
use ndbridge_storage::{
    Backend, BorrowKind, Consumer, Device, Storage, StorageError, Surroundings, find_backend,
};
use ndbridge_tensor::{Outside, Tensor, TensorError};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::consumers::torchs_stream;
use crate::error::ObjectError;

/// The consumer wants nobody to wait.
const NO_WAIT: i64 = -1;

/// The handle of our current stream on a device, for a producer to make wait; `None` for the host.
pub(crate) fn own_stream(device: Device) -> PyResult<Option<usize>> {
    if device.is_host() {
        return Ok(None);
    }
    let queue = backend_of(device).and_then(|backend| backend.queue(device));
    queue.map(Some).map_err(as_exception)
}

/// What a `__cuda_array_interface__` does not say: the device of an address.
pub(crate) fn device_of(address: usize) -> PyResult<Device> {
    let first = Device::Cuda(0);
    if address == 0 {
        return Ok(first);
    }
    backend_of(first).and_then(|backend| backend.device_of(address)).map_err(as_exception)
}

fn backend_of(device: Device) -> Result<&'static dyn Backend, StorageError> {
    attend();
    find_backend(device)
}

/// Tells the back end of CUDA, if this build has one, what a Python program is: it lets go of the
/// interpreter while it waits, and ends no capture of torch's.
pub fn attend() {
    // No `Once`: a child would wait for ever for a thread that it does not have. Told twice is told.
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    if IS_TOLD.load(Ordering::Relaxed) {
        return;
    }
    if let Ok(backend) = find_backend(Device::Cuda(0)) {
        backend.wait_within(Surroundings { queue_of: torchs_stream, letting_go });
    }
    IS_TOLD.store(true, Ordering::Relaxed);
}

/// Makes our current stream wait for a producer's, of which it has given the handle; without a handle,
/// for the stream of code that names none.
pub(crate) fn after_stream(device: Device, handle: Option<i64>) -> PyResult<()> {
    if device.is_host() {
        return Ok(());
    }
    let theirs = handle.map_or(Ok(Consumer::OnDefaultQueue), on_queue)?;
    let backend = backend_of(device).map_err(as_exception)?;
    // SAFETY: a stream that its owner names now, and that is used during this call only.
    waiting(|| unsafe { backend.wait_for(device, theirs) })
}

/// Makes our current stream wait for the current stream of the library whose table this is.
pub(crate) fn after_current_stream(table: &DlExchange, outside: &Outside) -> PyResult<()> {
    if outside.device.is_host() {
        return Ok(());
    }
    after_stream(outside.device, their_stream(table, outside.device)?)
}

/// The handle of the library's current stream, as DLPack counts them; `None` if it names none.
pub(crate) fn their_stream(table: &DlExchange, device: Device) -> PyResult<Option<i64>> {
    let Some(current) = table.current_stream else { return Ok(None) };
    let device = ndbridge_dlpack::device_of(device).map_err(ObjectError::from)?;
    let mut handle = std::ptr::null_mut();
    // SAFETY: the table's own function, a device's numbers, a place for the result; attached.
    if unsafe { current(device.kind, device.id, &mut handle) } != 0 {
        // SAFETY: called with the interpreter attached, as everything here.
        let py = unsafe { Python::assume_attached() };
        return Err(raised(py, "current_work_stream"));
    }
    // Null is the default stream where streams are pointers.
    Ok(Some(handle.addr() as i64).filter(|&handle| handle != 0))
}

/// Notes that memory of ours, which comes back, is ready in the order of our current stream.
pub(crate) fn came_back(storage: &Storage) -> PyResult<()> {
    match storage.device().is_host() {
        true => Ok(()),
        false => waiting(|| storage.note_ready()),
    }
}

/// Makes the stream of a consumer, as DLPack counts them, wait for what the elements depend on.
///
/// # Errors
/// `ValueError` for 0, which may mean two streams, and for anything that is no stream.
pub(crate) fn hand_over(tensor: &Tensor, stream: Option<i64>) -> PyResult<()> {
    let to = match stream {
        _ if tensor.device().is_host() => Consumer::Waits,
        None => Consumer::OnDefaultQueue,
        Some(NO_WAIT) => Consumer::Waits,
        Some(handle) => on_queue(handle)?,
    };
    hand_over_to_queue(tensor, to)
}

/// As [`hand_over`], to the library whose table this is.
pub(crate) fn hand_over_to(table: Option<&DlExchange>, tensor: &Tensor) -> PyResult<()> {
    let stream = match table {
        Some(table) if !tensor.device().is_host() => their_stream(table, tensor.device())?,
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
    let Some(queue) = own_stream(tensor.device())? else {
        hand_over(tensor, None)?;
        return Ok(0);
    };
    hand_over_to_queue(tensor, Consumer::OnQueue(queue))?;
    Ok(queue)
}

fn hand_over_to_queue(tensor: &Tensor, to: Consumer) -> PyResult<()> {
    let kind = if tensor.is_read_only() { BorrowKind::Read } else { BorrowKind::Write };
    if tensor.device() == Device::Cpu {
        return Ok(());
    }
    attend();
    // SAFETY: a stream that its owner names now, and that is used during this call only.
    waiting(|| unsafe { tensor.storage().hand_over(to, kind) })
}

fn on_queue(handle: i64) -> PyResult<Consumer> {
    usize::try_from(handle).map(Consumer::OnQueue).map_err(|_| {
        let text = format!("stream {handle} is none: expected 1, 2 or a stream's handle");
        PyValueError::new_err(text)
    })
}

fn as_exception(error: StorageError) -> PyErr {
    to_py_err(TensorError::from(error))
}
