//! What keeps memory in its place while it is borrowed or kept.
//!
//! NumPy resizes an array, also with `refcheck=False`, only if it owns its data, is no view, and has
//! no weak reference. A buffer (`bytearray`, `mmap`) does not resize while an export of it is held.
//! Memory that is kept is pinned by weak references and exports, which nobody notices. For the time
//! of a call, which must not cost that much, the owning array's flag `OWNDATA` is cleared.

use std::ptr::NonNull;

use ndbridge_interpreter::PythonGate;
use ndbridge_storage::ForeignAccess;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyMemoryView, PyWeakrefReference};

use super::api::{ArrayObject, NumpyApi, OWNS_DATA, set_flag};
use super::error::NdarrayError;

/// Most arrays that an array may be a view of, one through the other. NumPy itself keeps chains
/// at one link; only `base` objects made by hand are longer.
const LONGEST_CHAIN: usize = 64;

/// One step from an array towards the owner of its memory.
pub enum Link<'py> {
    /// An array of NumPy's.
    Array(Bound<'py, PyAny>),
    /// The last object, which is no array.
    End(Bound<'py, PyAny>),
}

/// Calls `visit` for the array and for each array it is a view of, then for what these stand on.
pub fn walk<'py>(
    object: &Bound<'py, PyAny>,
    mut visit: impl FnMut(Link<'py>) -> PyResult<()>,
) -> PyResult<()> {
    let api = NumpyApi::get(object.py())?;
    let mut link = object.clone();
    for _ in 0..LONGEST_CHAIN {
        let next = match api.array_of(&link) {
            Some(array) => {
                // SAFETY: null, or an object that the array keeps alive.
                let base = unsafe { Bound::from_borrowed_ptr_or_opt(object.py(), array.base) };
                visit(Link::Array(link))?;
                base
            }
            None => match behind(&link)? {
                None => return visit(Link::End(link)),
                next => next,
            },
        };
        let Some(next) = next else { return Ok(()) };
        link = next;
    }
    Err(NdarrayError::LongChain { limit: LONGEST_CHAIN }.into())
}

/// What stands behind an object that only passes memory on: a memoryview, or the stand-in that
/// `as_strided` and `sliding_window_view` leave as a base.
fn behind<'py>(link: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if link.is_exact_instance_of::<PyMemoryView>() {
        return link.getattr("obj").map(Some);
    }
    let kind = link.get_type();
    if kind.name()? == "DummyArray" && kind.module()?.to_str()?.starts_with("numpy.") {
        return link.getattr("base").map(Some);
    }
    Ok(None)
}

/// The array, the arrays it is a view of, and what these stand on in the end.
pub struct Chain<'py> {
    pub pins: Vec<Py<PyAny>>,
    pub end: Option<Bound<'py, PyAny>>,
}

impl<'py> Chain<'py> {
    /// Pins every array of the chain, and the buffer at its end.
    pub fn of(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let mut chain = Self { pins: Vec::with_capacity(2), end: None };
        walk(object, |link| {
            match link {
                Link::Array(array) => {
                    chain.pins.push(PyWeakrefReference::new(&array)?.into_any().unbind());
                }
                Link::End(end) => {
                    chain.pins.extend(held_export(&end));
                    chain.end = Some(end);
                }
            }
            Ok(())
        })?;
        Ok(chain)
    }

    pub fn access(&self) -> ForeignAccess {
        match &self.end {
            Some(end) if end.is_exact_instance_of::<PyBytes>() => ForeignAccess::Frozen,
            _ => ForeignAccess::Lent(PythonGate::shared()),
        }
    }
}

/// An export of the object's buffer, if it has one: a `bytearray` then cannot be resized, nor an
/// `mmap` closed. An array that was made with `buffer=` holds a mere reference.
fn held_export(object: &Bound<'_, PyAny>) -> Option<Py<PyAny>> {
    if object.is_exact_instance_of::<PyBytes>() || object.is_exact_instance_of::<PyCapsule>() {
        return None;
    }
    Some(PyMemoryView::from(object).ok()?.into_any().unbind())
}

/// Keeps the memory of an array in its place for the time of a call.
pub enum CallPin<'py> {
    /// Nothing could move it.
    None,
    /// The array owns its memory, and its flag is cleared; whoever holds this holds the array.
    This(NonNull<ffi::PyObject>, *mut u8),
    /// Another array owns the memory, its flag cleared.
    Base(Bound<'py, PyAny>, *mut u8),
    /// As for memory that is kept.
    Pins { _pins: Box<[Py<PyAny>]> },
}

impl<'py> CallPin<'py> {
    /// Pins the memory of a NumPy array, which the caller holds until it has dropped the result.
    #[inline]
    pub fn array(
        api: &NumpyApi,
        object: &Bound<'py, PyAny>,
        array: &ArrayObject,
    ) -> PyResult<Self> {
        let this = NonNull::new(object.as_ptr()).filter(|_| owns_its_memory(array));
        let Some(this) = this else { return Self::view(api, object, array.base) };
        // SAFETY: an ndarray; without the flag NumPy refuses to resize it, and frees nothing, which
        // it would do only when the array is gone; set again on drop.
        unsafe { set_flag(this.as_ptr(), OWNS_DATA, false) };
        Ok(Self::This(this, array.data))
    }

    /// The array whose flag is cleared, and where its memory begins.
    pub fn cleared(&self) -> Option<(*mut ffi::PyObject, *mut u8)> {
        match self {
            Self::None | Self::Pins { .. } => None,
            Self::This(array, data) => Some((array.as_ptr(), *data)),
            Self::Base(owner, data) => Some((owner.as_ptr(), *data)),
        }
    }

    /// Pins the memory of an array that does not own it.
    #[inline(never)]
    fn view(
        api: &NumpyApi,
        object: &Bound<'py, PyAny>,
        base: *mut ffi::PyObject,
    ) -> PyResult<Self> {
        // SAFETY: null, or a live object, which the array keeps alive.
        let base = unsafe { Bound::from_borrowed_ptr_or_opt(object.py(), base) };
        let owner = base.and_then(|base| {
            let owner = api.array_of(&base).filter(owns_its_memory)?;
            Some((base, owner.data))
        });
        match owner {
            Some((owner, data)) => {
                // SAFETY: as in `array`.
                unsafe { set_flag(owner.as_ptr(), OWNS_DATA, false) };
                Ok(Self::Base(owner, data))
            }
            // More than one link; or somebody else cleared the flag, and may set it again before
            // this call is over.
            None => Ok(Self::Pins { _pins: Chain::of(object)?.pins.into() }),
        }
    }
}

#[inline]
fn owns_its_memory(array: &ArrayObject) -> bool {
    array.base.is_null() && array.flags & OWNS_DATA != 0
}

impl Drop for CallPin<'_> {
    #[inline]
    fn drop(&mut self) {
        match self {
            Self::None | Self::Pins { .. } => {}
            // SAFETY: a live ndarray, held until this is dropped.
            Self::This(array, data) => unsafe { give_back(array.as_ptr(), *data) },
            // SAFETY: as above.
            Self::Base(owner, data) => unsafe { give_back(owner.as_ptr(), *data) },
        }
    }
}

/// Sets the flag again, unless the array was given other memory meanwhile (`__setstate__`), which may
/// not be its own.
///
/// # Safety
/// `array` is a live ndarray whose flag was cleared here, when its memory began at `data`.
#[inline]
pub unsafe fn give_back(array: *mut ffi::PyObject, data: *mut u8) {
    // SAFETY: an ndarray begins with this structure.
    let now = unsafe { array.cast::<ArrayObject>().read() };
    if now.base.is_null() && now.data == data {
        // SAFETY: the flag as it was, of the memory that it spoke of.
        unsafe { set_flag(array, OWNS_DATA, true) };
    }
}
