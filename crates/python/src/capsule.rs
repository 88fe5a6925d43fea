//! DLPack structures in Python capsules.

use std::ffi::{CStr, c_void};

use ndbridge_dlpack::{
    DlDevice, DlManaged, DlManagedVersioned, DlpackError, Exported, ManagedOwner, VERSION,
    device_of_code,
};
use ndbridge_interpreter::{intern, join_ledger, lend_to_python};
use ndbridge_storage::Device;
use ndbridge_tensor::Tensor;
use pyo3::Borrowed;
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};

use crate::device;
use crate::error::ObjectError;

const LEGACY: &CStr = c"dltensor";
const VERSIONED: &CStr = c"dltensor_versioned";
const USED_LEGACY: &CStr = c"used_dltensor";
const USED_VERSIONED: &CStr = c"used_dltensor_versioned";

/// Takes the structure out of a capsule, which is then used up.
///
/// # Errors
/// `BufferError` if the capsule holds no structure, or was used already.
pub(crate) fn take(capsule: &Bound<'_, PyAny>) -> PyResult<ManagedOwner> {
    if let Some(owner) = take_unused(capsule) {
        return Ok(owner.map_err(ObjectError::from)?);
    }
    let what = match capsule.cast::<PyCapsule>() {
        Ok(_) => "a capsule that holds no DLPack tensor, or was used already",
        Err(_) => "no capsule",
    };
    Err(PyBufferError::new_err(format!("expected a new DLPack capsule, got {what}")))
}

fn take_unused(capsule: &Bound<'_, PyAny>) -> Option<Result<ManagedOwner, DlpackError>> {
    if let Some(managed) = take_named(capsule, VERSIONED, USED_VERSIONED) {
        // SAFETY: the capsule was not used, so this structure is nobody else's to delete; from now
        // on it is used.
        return Some(unsafe { ManagedOwner::versioned(managed.cast::<DlManagedVersioned>()) });
    }
    let managed = take_named(capsule, LEGACY, USED_LEGACY)?;
    // SAFETY: as above.
    Some(unsafe { ManagedOwner::legacy(managed.cast::<DlManaged>()) })
}

fn take_named(
    capsule: &Bound<'_, PyAny>,
    name: &'static CStr,
    used: &'static CStr,
) -> Option<*mut c_void> {
    let capsule = capsule.as_ptr();
    // SAFETY: any object may be asked; the name is a constant.
    if unsafe { ffi::PyCapsule_IsValid(capsule, name.as_ptr()) } == 0 {
        return None;
    }
    // SAFETY: a valid capsule of this name.
    let managed = unsafe { ffi::PyCapsule_GetPointer(capsule, name.as_ptr()) };
    // SAFETY: as above; the new name is a constant, too. Nothing can fail in between.
    unsafe { ffi::PyCapsule_SetName(capsule, used.as_ptr()) };
    Some(managed)
}

/// Whether `object` is a capsule.
pub(crate) fn is_capsule(object: &Bound<'_, PyAny>) -> bool {
    object.is_exact_instance_of::<PyCapsule>()
}

/// Asks an object with `__dlpack__` for a structure, ready in the order of our current stream if the
/// memory is on a device.
///
/// # Errors
/// `TypeError` if the memory is on a device that cannot be used; what the object raises.
pub(crate) fn ask(object: &Bound<'_, PyAny>) -> PyResult<ManagedOwner> {
    let py = object.py();
    let device = device_of(object)?;
    let method = object.getattr(intern!(py, "__dlpack__"))?;
    let options = PyDict::new(py);
    options.set_item(intern!(py, "max_version"), (VERSION.major, VERSION.minor))?;
    if let Some(stream) = device::own_stream(device)? {
        options.set_item(intern!(py, "stream"), stream)?;
    }
    let capsule = match method.call((), Some(&options)) {
        // Producers from before version 1 know no keywords but the stream.
        Err(error) if error.is_instance_of::<PyTypeError>(py) => {
            options.del_item(intern!(py, "max_version"))?;
            method.call((), Some(&options))?
        }
        answer => answer?,
    };
    take(&capsule)
}

fn device_of(object: &Bound<'_, PyAny>) -> PyResult<Device> {
    let py = object.py();
    let Some(method) = object.getattr_opt(intern!(py, "__dlpack_device__"))? else {
        return Ok(Device::Cpu);
    };
    let (kind, id): (i32, i32) = method.call0()?.extract()?;
    match device_of_code(DlDevice { kind, id }) {
        Ok(device) if device.is_host() || device.is_driven() => Ok(device),
        _ => Err(ObjectError::OnDevice { kind, id }.into()),
    }
}

/// What a consumer asks of a DLPack structure.
#[derive(Clone, Copy, Debug, Default)]
pub struct DlpackForm {
    /// The newest version that it understands; `None`: only the legacy form.
    pub max_version: Option<(u32, u32)>,
    /// The tensor is a copy that nobody else holds.
    pub is_copied: bool,
    /// Pinned memory is to be named as plain host memory.
    pub as_host: bool,
}

/// A capsule with the structure of `tensor`, whose memory is lent to Python, in the form that a
/// consumer asks for.
///
/// # Errors
/// `BufferError` for what DLPack, or the older form of it, cannot express, and while a guard of the
/// memory is alive.
pub fn to_dlpack<'py>(
    py: Python<'py>,
    tensor: &Tensor,
    form: DlpackForm,
) -> PyResult<Bound<'py, PyAny>> {
    let exported = lent(py, tensor)?;
    let exported = if form.as_host { exported.as_host() } else { exported };
    if form.max_version.is_some_and(|(major, _)| major >= 1) {
        let managed = exported.into_versioned(form.is_copied);
        return capsule_of(py, managed.cast(), VERSIONED, drop_versioned);
    }
    let managed = exported.into_legacy().map_err(ObjectError::from)?;
    capsule_of(py, managed.cast(), LEGACY, drop_legacy)
}

/// As [`to_dlpack`], once the stream of the consumer, as DLPack counts them, waits for what the
/// elements depend on; that is for memory on a device.
///
/// # Errors
/// As [`to_dlpack`]; `ValueError` for a stream that is none, or that may mean two.
pub fn to_dlpack_on<'py>(
    py: Python<'py>,
    tensor: &Tensor,
    stream: Option<i64>,
    form: DlpackForm,
) -> PyResult<Bound<'py, PyAny>> {
    device::hand_over(tensor, stream)?;
    to_dlpack(py, tensor, form)
}

/// A legacy capsule for a consumer that never writes, such as TensorFlow and JAX.
///
/// # Errors
/// As [`to_dlpack`], but read-only memory goes out as well.
pub(crate) fn to_reader<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    capsule_of(py, lent(py, tensor)?.as_host().into_legacy_for_reader().cast(), LEGACY, drop_legacy)
}

/// A versioned capsule for ndbridge, which takes elements wherever they lie.
///
/// # Errors
/// As [`to_dlpack`].
pub(crate) fn to_ndbridge<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    lend_to_python(tensor)?;
    let exported = Exported::new_unaligned(tensor).map_err(ObjectError::from)?;
    capsule_of(py, exported.into_versioned(false).cast(), VERSIONED, drop_versioned)
}

/// The structure of `tensor`, whose memory is lent to Python.
///
/// # Errors
/// `BufferError` for what DLPack cannot express, and while a guard of the memory is alive.
#[track_caller]
pub(crate) fn lent(py: Python<'_>, tensor: &Tensor) -> PyResult<Exported> {
    join_ledger(py)?;
    lend_to_python(tensor)?;
    Ok(Exported::new(tensor).map_err(ObjectError::from)?)
}

fn capsule_of<'py>(
    py: Python<'py>,
    managed: *mut c_void,
    name: &'static CStr,
    destructor: ffi::PyCapsule_Destructor,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: a structure that nobody else deletes; name and destructor are constants.
    let capsule = unsafe { ffi::PyCapsule_New(managed, name.as_ptr(), Some(destructor)) };
    // SAFETY: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, capsule) }
}

/// # Safety
/// Called by the interpreter with a capsule that goes away.
unsafe extern "C" fn drop_versioned(capsule: *mut ffi::PyObject) {
    // SAFETY: the interpreter calls with a live capsule, on an attached thread.
    unsafe { drop_unused(capsule) }
}

/// # Safety
/// Called by the interpreter with a capsule that goes away.
unsafe extern "C" fn drop_legacy(capsule: *mut ffi::PyObject) {
    // SAFETY: as above.
    unsafe { drop_unused(capsule) }
}

/// Deletes the structure of a capsule that nobody used.
///
/// # Safety
/// `capsule` is live, and the thread attached.
unsafe fn drop_unused(capsule: *mut ffi::PyObject) {
    // SAFETY: attached, as the caller promised.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: a live object.
    let capsule = unsafe { Borrowed::from_ptr(py, capsule) };
    // A used capsule holds nothing to delete.
    drop(take_unused(&capsule));
}
