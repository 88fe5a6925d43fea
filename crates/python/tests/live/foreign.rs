//! DLPack structures as foreign code makes them, with any field at any value.

use std::ffi::{CStr, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ndbridge_dlpack::{
    CPU, DlDataType, DlDevice, DlManaged, DlManagedVersioned, DlTensor, DlVersion,
};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

const LEGACY: &CStr = c"dltensor";
const VERSIONED: &CStr = c"dltensor_versioned";

/// Three elements of float64: 0, 1, 2.
struct Memory {
    values: [f64; 3],
    shape: [i64; 1],
    strides: [i64; 1],
    deletions: Arc<AtomicUsize>,
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.deletions.fetch_add(1, Relaxed);
    }
}

/// What became of a structure.
#[derive(Clone, Default)]
pub struct Watch {
    deletions: Arc<AtomicUsize>,
    address: usize,
}

impl Watch {
    pub fn deletions(&self) -> usize {
        self.deletions.load(Relaxed)
    }

    /// Of the first element.
    pub fn address(&self) -> usize {
        self.address
    }
}

fn header(memory: *mut Memory) -> DlTensor {
    let axis = |at: usize| memory.cast::<u8>().wrapping_add(at).cast::<i64>();
    DlTensor {
        data: memory.cast::<u8>().wrapping_add(std::mem::offset_of!(Memory, values)).cast(),
        device: DlDevice { kind: CPU, id: 0 },
        ndim: 1,
        dtype: DlDataType { code: 2, bits: 64, lanes: 1 },
        shape: axis(std::mem::offset_of!(Memory, shape)),
        strides: axis(std::mem::offset_of!(Memory, strides)),
        byte_offset: 0,
    }
}

unsafe extern "C" fn delete_legacy(managed: *mut DlManaged) {
    // SAFETY: a box of `lend`, deleted once.
    let managed = unsafe { Box::from_raw(managed) };
    // SAFETY: as above.
    drop(unsafe { Box::from_raw(managed.context.cast::<Memory>()) });
}

unsafe extern "C" fn delete_versioned(managed: *mut DlManagedVersioned) {
    // SAFETY: a box of `lend`, deleted once.
    let managed = unsafe { Box::from_raw(managed) };
    // SAFETY: as above.
    drop(unsafe { Box::from_raw(managed.context.cast::<Memory>()) });
}

/// Deletes a structure that nobody took.
unsafe extern "C" fn drop_capsule(capsule: *mut ffi::PyObject) {
    // SAFETY: called by the interpreter with a live capsule.
    if unsafe { ffi::PyCapsule_IsValid(capsule, LEGACY.as_ptr()) } != 0 {
        // SAFETY: a valid capsule of this name.
        let managed = unsafe { ffi::PyCapsule_GetPointer(capsule, LEGACY.as_ptr()) };
        // SAFETY: its structure, which nobody took.
        unsafe { delete_legacy(managed.cast()) }
    }
    // SAFETY: as above.
    if unsafe { ffi::PyCapsule_IsValid(capsule, VERSIONED.as_ptr()) } != 0 {
        // SAFETY: a valid capsule of this name.
        let managed = unsafe { ffi::PyCapsule_GetPointer(capsule, VERSIONED.as_ptr()) };
        // SAFETY: its structure, which nobody took.
        unsafe { delete_versioned(managed.cast()) }
    }
}

/// A new capsule, legacy or of a version; `edit` may change any field of the header.
pub fn lend<'py>(
    py: Python<'py>,
    version: Option<(u32, u32)>,
    flags: u64,
    edit: impl FnOnce(&mut DlTensor),
) -> (Bound<'py, PyAny>, Watch) {
    let deletions = Arc::default();
    let mut watch = Watch { deletions: Arc::clone(&deletions), address: 0 };
    let memory = Memory { values: [0.0, 1.0, 2.0], shape: [3], strides: [1], deletions };
    let memory = Box::into_raw(Box::new(memory));
    let mut tensor = header(memory);
    watch.address = tensor.data.addr();
    edit(&mut tensor);
    let context = memory.cast();
    let (managed, name): (*mut c_void, _) = match version {
        None => {
            let deleter = Some(delete_legacy as unsafe extern "C" fn(_));
            let managed = DlManaged { tensor, context, deleter };
            (Box::into_raw(Box::new(managed)).cast(), LEGACY)
        }
        Some((major, minor)) => {
            let deleter = Some(delete_versioned as unsafe extern "C" fn(_));
            let version = DlVersion { major, minor };
            let managed = DlManagedVersioned { version, context, deleter, flags, tensor };
            (Box::into_raw(Box::new(managed)).cast(), VERSIONED)
        }
    };
    // SAFETY: a new structure, a constant name, a destructor for both.
    let capsule = unsafe { ffi::PyCapsule_New(managed, name.as_ptr(), Some(drop_capsule)) };
    // SAFETY: a new reference, or null with an exception set.
    (unsafe { Bound::from_owned_ptr_or_err(py, capsule) }.unwrap(), watch)
}

/// The name of a capsule: whether somebody took what is in it.
pub fn is_used(capsule: &Bound<'_, PyAny>) -> bool {
    let capsule = capsule.cast::<PyCapsule>().unwrap();
    // SAFETY: a constant that some module gave it.
    unsafe { capsule.name().unwrap().unwrap().as_cstr() }.to_bytes().starts_with(b"used_")
}

/// The flags of a structure of a version, which stays in its capsule; `None` for a legacy one.
pub fn flags_of(capsule: &Bound<'_, PyAny>) -> Option<u64> {
    // SAFETY: a live object; attached.
    if unsafe { ffi::PyCapsule_IsValid(capsule.as_ptr(), VERSIONED.as_ptr()) } == 0 {
        return None;
    }
    // SAFETY: a valid capsule of this name.
    let managed = unsafe { ffi::PyCapsule_GetPointer(capsule.as_ptr(), VERSIONED.as_ptr()) };
    // SAFETY: a structure of this version, which lives as long as the capsule.
    Some(unsafe { (*managed.cast::<DlManagedVersioned>()).flags })
}
