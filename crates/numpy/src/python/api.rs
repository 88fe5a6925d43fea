//! The part of NumPy's C interface that is used here.
//!
//! Structures and table positions are those of the NumPy C API ("Array API", `ndarraytypes.h` and
//! `numpy_api.py`), which NumPy 1 and 2 share for everything named here.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::NonNull;

use ndbridge_interpreter::once::Once;
use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

/// `PyArrayObject`.
#[repr(C)]
pub struct ArrayObject {
    pub object: ffi::PyObject,
    pub data: *mut u8,
    pub ndim: c_int,
    pub shape: *mut isize,
    pub strides: *mut isize,
    pub base: *mut ffi::PyObject,
    pub descr: *mut Descr,
    pub flags: c_int,
}

/// The head of `PyArray_Descr`, up to where NumPy 1 and 2 differ.
#[repr(C)]
pub struct Descr {
    object: ffi::PyObject,
    scalar_type: *mut ffi::PyTypeObject,
    kind: c_char,
    code: c_char,
    pub byte_order: c_char,
    former_flags: c_char,
    pub type_num: c_int,
}

/// `NPY_ARRAY_C_CONTIGUOUS`.
pub const C_CONTIGUOUS: c_int = 0x0001;
/// `NPY_ARRAY_ALIGNED`.
pub const ALIGNED: c_int = 0x0100;
/// `NPY_ARRAY_OWNDATA`.
pub const OWNS_DATA: c_int = 0x0004;
/// `NPY_ARRAY_WRITEABLE`.
pub const WRITEABLE: c_int = 0x0400;
/// `NPY_ARRAY_WARN_ON_WRITE`.
pub const WARN_ON_WRITE: c_int = c_int::MIN;

// Positions in the function table.
const ARRAY_TYPE: usize = 2;
const DESCR_FROM_TYPE: usize = 45;
const NEW_FROM_DESCR: usize = 94;
const SET_BASE_OBJECT: usize = 282;

type DescrFromType = unsafe extern "C" fn(c_int) -> *mut ffi::PyObject;
type NewFromDescr = unsafe extern "C" fn(
    *mut ffi::PyTypeObject,
    *mut ffi::PyObject,
    c_int,
    *const isize,
    *const isize,
    *mut c_void,
    c_int,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;
type SetBaseObject = unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject) -> c_int;

/// NumPy's functions, looked up once per process.
pub struct NumpyApi {
    array_type: NonNull<ffi::PyTypeObject>,
    descr_from_type: DescrFromType,
    new_from_descr: NewFromDescr,
    set_base_object: SetBaseObject,
}

// SAFETY: the table and the type live as long as the interpreter and never change; the functions
// are only called by attached threads, since every method here takes a `Python` or a `Bound`.
unsafe impl Send for NumpyApi {}
// SAFETY: as above.
unsafe impl Sync for NumpyApi {}

static API: Once<NumpyApi> = Once::new();

/// What [`NumpyApi::new_array`] makes an array of.
pub struct Parts<'py, 'a> {
    pub descr: Bound<'py, PyAny>,
    pub shape: &'a [isize],
    pub strides: &'a [isize],
    pub data: *mut u8,
    pub writable: bool,
}

impl NumpyApi {
    /// NumPy's functions; imports NumPy the first time.
    ///
    /// # Errors
    /// If NumPy cannot be imported.
    #[inline]
    pub fn get(py: Python<'_>) -> PyResult<&'static Self> {
        match API.get(py) {
            Some(api) => Ok(api),
            None => API.get_or_try_init(py, || Self::load(py)),
        }
    }

    /// NumPy's functions, if they were looked up.
    #[inline]
    pub fn loaded(py: Python<'_>) -> Option<&'static Self> {
        API.get(py)
    }

    fn load(py: Python<'_>) -> PyResult<Self> {
        let module = py
            .import("numpy._core._multiarray_umath")
            .or_else(|_| py.import("numpy.core._multiarray_umath"))?;
        let capsule = module.getattr("_ARRAY_API")?.cast_into::<PyCapsule>()?;
        let table = capsule.pointer_checked(None)?.cast::<*mut c_void>();
        let missing = || PyImportError::new_err("NumPy's C function table has a hole");
        // SAFETY: NumPy's table holds more than this many entries since NumPy 1.7, and lives as
        // long as the interpreter.
        let table = unsafe { std::slice::from_raw_parts(table.as_ptr(), SET_BASE_OBJECT + 1) };
        let entry = |position: usize| NonNull::new(table[position]);
        let descr_from_type = entry(DESCR_FROM_TYPE).ok_or_else(missing)?;
        let new_from_descr = entry(NEW_FROM_DESCR).ok_or_else(missing)?;
        let set_base_object = entry(SET_BASE_OBJECT).ok_or_else(missing)?;
        Ok(Self {
            array_type: entry(ARRAY_TYPE).ok_or_else(missing)?.cast(),
            // SAFETY: the entry is `PyArray_DescrFromType`.
            descr_from_type: unsafe {
                std::mem::transmute::<*mut c_void, DescrFromType>(descr_from_type.as_ptr())
            },
            // SAFETY: the entry is `PyArray_NewFromDescr`.
            new_from_descr: unsafe {
                std::mem::transmute::<*mut c_void, NewFromDescr>(new_from_descr.as_ptr())
            },
            // SAFETY: the entry is `PyArray_SetBaseObject`.
            set_base_object: unsafe {
                std::mem::transmute::<*mut c_void, SetBaseObject>(set_base_object.as_ptr())
            },
        })
    }

    /// The C structure of `object` as it is now, if it is an ndarray (or of a subclass).
    #[inline]
    pub fn array_of(&self, object: &Bound<'_, PyAny>) -> Option<ArrayObject> {
        // SAFETY: both are live objects, and the thread is attached.
        let is_array =
            unsafe { ffi::PyObject_TypeCheck(object.as_ptr(), self.array_type.as_ptr()) } != 0;
        // SAFETY: an ndarray object begins with this structure; a copy, since other code changes it.
        is_array.then(|| unsafe { object.as_ptr().cast::<ArrayObject>().read() })
    }

    /// The C structure of `object` as it is now, if it is an ndarray and of no subclass.
    #[inline]
    pub fn plain_array(&self, object: &Bound<'_, PyAny>) -> Option<ArrayObject> {
        // SAFETY: as in `array_of`.
        self.is_plain(object).then(|| unsafe { object.as_ptr().cast::<ArrayObject>().read() })
    }

    /// Whether `object` is an ndarray and of no subclass.
    #[inline]
    pub fn is_plain(&self, object: &Bound<'_, PyAny>) -> bool {
        object.get_type_ptr() == self.array_type.as_ptr()
    }

    /// The NumPy data type of a type number.
    pub fn descr<'py>(&self, py: Python<'py>, type_num: c_int) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: any number may be asked for; an unknown one gives an error.
        let descr = unsafe { (self.descr_from_type)(type_num) };
        // SAFETY: a new reference, or null with an exception set.
        unsafe { Bound::from_owned_ptr_or_err(py, descr) }
    }

    /// A new ndarray over existing memory, which `base` keeps alive.
    ///
    /// # Safety
    /// With shape and strides, `data` reaches only bytes that live, and may be read (and written,
    /// if writable) by whoever runs Python, as long as `base` lives.
    pub unsafe fn new_array<'py>(
        &self,
        parts: Parts<'py, '_>,
        base: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = base.py();
        let flags = if parts.writable { WRITEABLE } else { 0 };
        // At most 64 axes: a layout has no more.
        let ndim = parts.shape.len() as c_int;
        // SAFETY: as many lengths and strides as axes; NumPy takes over the reference to `descr`;
        // the memory is as the caller promised.
        let array = unsafe {
            (self.new_from_descr)(
                self.array_type.as_ptr(),
                parts.descr.into_ptr(),
                ndim,
                parts.shape.as_ptr(),
                parts.strides.as_ptr(),
                parts.data.cast(),
                flags,
                std::ptr::null_mut(),
            )
        };
        // SAFETY: a new reference, or null with an exception set.
        let array = unsafe { Bound::from_owned_ptr_or_err(py, array) }?;
        // SAFETY: a new array without a base; NumPy takes over the reference to `base`, also if it
        // fails.
        let failed = unsafe { (self.set_base_object)(array.as_ptr(), base.into_ptr()) } != 0;
        if failed { Err(PyErr::fetch(py)) } else { Ok(array) }
    }
}

/// Sets or clears a flag of an ndarray (or of a subclass).
///
/// # Safety
/// `object` is an ndarray, and NumPy's code is right with the flag changed.
#[inline]
pub unsafe fn set_flag(object: *mut ffi::PyObject, flag: c_int, on: bool) {
    let array = object.cast::<ArrayObject>();
    // SAFETY: an ndarray begins with this structure; attached, so nobody else looks at it.
    let flags = unsafe { &mut (*array).flags };
    if on { *flags |= flag } else { *flags &= !flag }
}
