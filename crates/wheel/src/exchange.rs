//! `Tensor.__dlpack_c_exchange_api__`: DLPack's table of C functions, for consumers in a hurry.
//!
//! Consumers of the table are known to pass over the mark on read-only memory, so that it is not
//! given to them. ndbridge in other modules heeds it; its table, `Tensor.__ndbridge_exchange_api__`,
//! gives all memory, wherever the elements lie.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use ndbridge::dlpack::{
    DlExchange, DlExchangeHeader, DlManagedVersioned, DlSetError, DlTensor, DlpackError, Exported,
    VERSION, from_managed_versioned, read_prototype,
};
use ndbridge::python::{ObjectError, PythonGate, join_ledger, lend_to_python, ready_on_own_stream};
use ndbridge::storage::{ForeignAccess, Mutability, backend_of};
use ndbridge::{Device, Tensor, TensorError};
use pyo3::exceptions::{PyBufferError, PySystemError};
use pyo3::prelude::*;
use pyo3::{Borrowed, ffi};

use crate::tensor::PyTensor;

static FOR_ALL: DlExchange = DlExchange {
    header: DlExchangeHeader { version: VERSION, previous: ptr::null_mut() },
    allocate: Some(allocate),
    from_object: Some(from_object),
    to_object: Some(to_object),
    view_object: Some(view_object),
    current_stream: Some(current_stream),
};

static FOR_NDBRIDGE: DlExchange = DlExchange {
    header: DlExchangeHeader { version: VERSION, previous: ptr::null_mut() },
    from_object: Some(from_object_to_ndbridge),
    ..FOR_ALL
};

/// The capsule that names the table for all consumers.
pub fn for_all(py: Python<'_>) -> PyResult<Py<PyAny>> {
    capsule(py, &FOR_ALL, c"dlpack_exchange_api")
}

/// The capsule that names the table for ndbridge in other modules.
pub fn for_ndbridge(py: Python<'_>) -> PyResult<Py<PyAny>> {
    capsule(py, &FOR_NDBRIDGE, c"ndbridge_exchange_api")
}

fn capsule(py: Python<'_>, table: &'static DlExchange, name: &'static CStr) -> PyResult<Py<PyAny>> {
    let table = ptr::from_ref(table).cast_mut().cast();
    // SAFETY: table and name live as long as the process; there is nothing to free.
    let capsule = unsafe { ffi::PyCapsule_New(table, name.as_ptr(), None) };
    // SAFETY: a new reference, or null with an exception set.
    let capsule = unsafe { Bound::from_owned_ptr_or_err(py, capsule) }?;
    Ok(capsule.unbind())
}

/// 0, or -1 with the exception set.
fn answered(work: impl FnOnce(Python<'_>) -> PyResult<()>) -> c_int {
    // SAFETY: DLPack calls these functions on attached threads only.
    let py = unsafe { Python::assume_attached() };
    let done = catch_unwind(AssertUnwindSafe(|| work(py)));
    let done = done.unwrap_or_else(|_| Err(PySystemError::new_err("ndbridge panicked")));
    match done {
        Ok(()) => 0,
        Err(error) => {
            error.restore(py);
            -1
        }
    }
}

/// # Safety
/// `object` is a live object for as long as the result is used.
unsafe fn tensor_object<'py>(
    py: Python<'py>,
    object: *mut c_void,
) -> PyResult<Bound<'py, PyTensor>> {
    // SAFETY: promised by the caller.
    let object = unsafe { Borrowed::from_ptr_or_err(py, object.cast()) }?;
    Ok(object.to_owned().cast_into::<PyTensor>()?)
}

/// # Safety
/// As DLPack has it: attached, a live object, a place for the result.
unsafe extern "C" fn from_object(object: *mut c_void, out: *mut *mut DlManagedVersioned) -> c_int {
    // SAFETY: promised by the caller.
    unsafe {
        give(object, out, |tensor| {
            check_not_read_only(tensor)?;
            lent(tensor, Exported::new)
        })
    }
}

/// # Safety
/// As [`from_object`].
unsafe extern "C" fn from_object_to_ndbridge(
    object: *mut c_void,
    out: *mut *mut DlManagedVersioned,
) -> c_int {
    // SAFETY: promised by the caller.
    unsafe { give(object, out, |tensor| lent(tensor, Exported::new_unaligned)) }
}

/// # Safety
/// As [`from_object`].
unsafe fn give(
    object: *mut c_void,
    out: *mut *mut DlManagedVersioned,
    exported: impl FnOnce(&Tensor) -> PyResult<Exported>,
) -> c_int {
    answered(|py| {
        // SAFETY: promised by the caller.
        let object = unsafe { tensor_object(py, object) }?;
        let managed = exported(&object.get().tensor)?.as_host().into_versioned(false);
        // SAFETY: promised by the caller.
        unsafe { out.write(managed) };
        Ok(())
    })
}

fn lent(
    tensor: &Tensor,
    exported: impl FnOnce(&Tensor) -> Result<Exported, DlpackError>,
) -> PyResult<Exported> {
    // First, as a copy that runs holds the memory; the consumer orders itself after our stream.
    ready_on_own_stream(tensor)?;
    lend_to_python(tensor)?;
    Ok(exported(tensor).map_err(ObjectError::from)?)
}

/// Consumers of the table write what they get: tvm-ffi hands it on without the mark. Memory of
/// which nobody knows goes out as it came.
fn check_not_read_only(tensor: &Tensor) -> PyResult<()> {
    if tensor.mutability() != Mutability::ReadOnly {
        return Ok(());
    }
    let text = "tensor is read-only, which consumers of DLPack's table of functions pass over: \
                call clone() first (copies)";
    Err(PyBufferError::new_err(text))
}

/// # Safety
/// As DLPack has it: attached, a structure that is given away, a place for the result.
unsafe extern "C" fn to_object(managed: *mut DlManagedVersioned, out: *mut *mut c_void) -> c_int {
    answered(|py| {
        let access = ForeignAccess::Lent(PythonGate::shared());
        // SAFETY: promised by the caller; Python code uses the memory on attached threads only.
        let tensor = unsafe { from_managed_versioned(managed, access) };
        let tensor = tensor.map_err(ObjectError::from)?;
        join_ledger(py)?;
        let object = Bound::new(py, PyTensor::from(tensor))?;
        // SAFETY: promised by the caller.
        unsafe { out.write(object.into_ptr().cast()) };
        Ok(())
    })
}

/// # Safety
/// As DLPack has it: attached, a live object, a place for the result.
unsafe extern "C" fn view_object(object: *mut c_void, out: *mut DlTensor) -> c_int {
    answered(|py| {
        // SAFETY: promised by the caller.
        let object = unsafe { tensor_object(py, object) }?;
        let header = object.get().header()?;
        // SAFETY: promised by the caller; what the header points to lives in the object.
        unsafe { out.write(header) };
        Ok(())
    })
}

impl PyTensor {
    /// A header that lives as long as this object.
    fn header(&self) -> PyResult<DlTensor> {
        check_not_read_only(&self.tensor)?;
        if self.tensor.mutability() != Mutability::Writable {
            let text = "tensor's producer does not say that it is writable, nor can a DLTensor: \
                        ask for a managed tensor";
            return Err(PyBufferError::new_err(text));
        }
        ready_on_own_stream(&self.tensor)?;
        lend_to_python(&self.tensor)?;
        let axes = self.header_axes().map_err(ObjectError::from)?;
        Ok(axes.header(&self.tensor))
    }
}

/// # Safety
/// As DLPack has it: a prototype, a place for the result, a function for errors.
unsafe extern "C" fn allocate(
    prototype: *mut DlTensor,
    out: *mut *mut DlManagedVersioned,
    context: *mut c_void,
    set_error: Option<DlSetError>,
) -> c_int {
    let made = catch_unwind(|| {
        // SAFETY: promised by the caller.
        let (dtype, shape) = unsafe { read_prototype(prototype) }.map_err(|e| e.to_string())?;
        let tensor =
            Tensor::zeros(&shape, dtype).map_err(|error: TensorError| error.to_string())?;
        let lent = tensor.storage().lend(PythonGate::shared());
        lent.map_err(|error| error.to_string())?;
        let exported = Exported::new(&tensor).map_err(|error| error.to_string())?;
        Ok::<_, String>(exported.into_versioned(false))
    });
    match made.unwrap_or_else(|_| Err("ndbridge panicked".to_owned())) {
        Ok(managed) => {
            // SAFETY: promised by the caller.
            unsafe { out.write(managed) };
            0
        }
        Err(text) => {
            let text = CString::new(text).unwrap_or_default();
            let kind: *const c_char = c"BufferError".as_ptr();
            if let Some(set_error) = set_error {
                // SAFETY: the caller's own function, with its context and two strings.
                unsafe { set_error(context, kind, text.as_ptr()) };
            }
            -1
        }
    }
}

/// # Safety
/// As DLPack has it: attached, a place for the result.
unsafe extern "C" fn current_stream(kind: i32, id: i32, out: *mut *mut c_void) -> c_int {
    answered(|_| {
        let handle = match Device::from_dlpack(kind, id).map(|device| (device, backend_of(device)))
        {
            Some((device, _)) if device.is_host() => 0,
            Some((device, Some(backend))) => {
                let queue = backend.queue(device);
                queue.map_err(|error| PyBufferError::new_err(error.to_string()))?
            }
            _ => {
                let text = format!("no stream on DLPack device ({kind}, {id})");
                return Err(PyBufferError::new_err(text));
            }
        };
        // SAFETY: promised by the caller.
        unsafe { out.write(ptr::without_provenance_mut(handle)) };
        Ok(())
    })
}
