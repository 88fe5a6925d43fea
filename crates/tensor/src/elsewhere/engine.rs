//! What moves elements on a device.

use ndbridge_dtype::DType;
use ndbridge_layout::Walk;
use ndbridge_storage::{Backend, Device, Storage, StorageError, find_backend};

use crate::tensor::Tensor;

/// Elements on a device, as [`DeviceBytes`](ndbridge_storage::DeviceBytes) are bytes there: one side of a
/// walk, which has their shape and steps.
#[derive(Clone, Copy, Debug)]
pub struct DeviceElements<'s> {
    /// Whose memory it is.
    pub storage: &'s Storage,
    /// Element `[0, .., 0]`; the walk begins as many bytes further as it says.
    pub address: usize,
    /// Data type of the elements.
    pub dtype: DType,
}

/// A back end that knows what elements are: with this, tensors work on its devices.
///
/// Whatever the shapes and strides of two tensors, an engine sees their common [`Walk`]. Between devices,
/// and between a device and the host, only blocks of bytes travel ([`Backend::upload`] and its kin).
///
/// # Safety
/// As [`Backend`]: what is enqueued reads and writes the elements of the walk, and no other byte.
pub unsafe trait DeviceEngine: Backend {
    /// Enqueues a copy, on the thread's current queue of the device that both sides are on. Elements
    /// whose data types differ convert as [`ndbridge_dtype::convert`] has it.
    ///
    /// # Errors
    /// The driver's.
    ///
    /// # Safety
    /// Both sides reach memory of their storages only, without a byte in common; no byte of the
    /// destination is reached twice; the source is borrowed for reading, the destination for
    /// writing, or new. If the data types differ, addresses and steps are multiples of their
    /// alignment.
    unsafe fn copy(
        &self,
        walk: &Walk,
        from: DeviceElements<'_>,
        to: DeviceElements<'_>,
    ) -> Result<(), StorageError>;

    /// Enqueues the writing of `value`, the bytes of one element, to every element of the walk of one
    /// layout.
    ///
    /// # Errors
    /// The driver's.
    ///
    /// # Safety
    /// As [`copy`](Self::copy), for the destination.
    unsafe fn fill(
        &self,
        walk: &Walk,
        to: DeviceElements<'_>,
        value: &[u8],
    ) -> Result<(), StorageError>;
}

/// An engine as its back end gives it: what [`Backend::engine`] is downcast to.
#[derive(Clone, Copy)]
pub struct Engine(pub &'static dyn DeviceEngine);

/// The engine of a device that is named.
pub(super) fn engine_on(device: Device) -> Result<&'static dyn DeviceEngine, StorageError> {
    engine(find_backend(device)?, device)
}

/// The engine of the memory of a tensor off the plain host.
pub(super) fn engine_of(tensor: &Tensor) -> Result<&'static dyn DeviceEngine, StorageError> {
    let device = tensor.device();
    let backend = tensor.storage().backend().ok_or_else(|| StorageError::undriven(device))?;
    engine(backend, device)
}

fn engine(
    backend: &'static dyn Backend,
    device: Device,
) -> Result<&'static dyn DeviceEngine, StorageError> {
    let engine = backend.engine().and_then(|engine| engine.downcast_ref::<Engine>());
    engine.map(|engine| engine.0).ok_or_else(|| StorageError::undriven(device))
}
