//! What keeps memory in its place while it is borrowed or kept.
//!
//! NumPy resizes an array, also with `refcheck=False`, only if it owns its data, is no view, and has
//! no weak reference. A buffer (`bytearray`, `mmap`) does not resize while an export of it is held.
//! Memory that is kept is pinned by weak references and exports, which nobody notices. For the time
//! of a call, which must not cost that much, the owning array's flag `OWNDATA` is cleared.

use std::sync::Arc;

use ndbridge_storage::ForeignAccess;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyMemoryView, PyWeakrefReference};

use super::api::{NumpyApi, OWNS_DATA};
use super::error::ArrayError;
use super::gate::PythonGate;

/// Most arrays that an array may be a view of, one through the other. NumPy itself keeps chains
/// at one link; only `base` objects made by hand are longer.
const LONGEST_CHAIN: usize = 64;

/// One step from an array towards the owner of its memory.
pub(super) enum Link<'py> {
    /// An array of NumPy's.
    Array(Bound<'py, PyAny>),
    /// The last object, which is no array.
    End(Bound<'py, PyAny>),
}

/// Calls `visit` for the array and for each array it is a view of, then for what these stand on.
pub(super) fn walk<'py>(
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
    Err(ArrayError::LongChain { limit: LONGEST_CHAIN }.into())
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
pub(super) struct Chain<'py> {
    pub(super) pins: Vec<Py<PyAny>>,
    pub(super) end: Option<Bound<'py, PyAny>>,
}

impl<'py> Chain<'py> {
    /// Pins every array of the chain, and the buffer at its end.
    pub(super) fn of(object: &Bound<'py, PyAny>) -> PyResult<Self> {
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

    pub(super) fn access(&self) -> ForeignAccess {
        match &self.end {
            Some(end) if end.is_exact_instance_of::<PyBytes>() => ForeignAccess::Frozen,
            _ => ForeignAccess::Lent(Arc::new(PythonGate)),
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
pub(super) enum CallPin<'py> {
    /// Nothing could move it.
    None,
    /// The array that owns the memory, its flag cleared.
    Owner(Bound<'py, PyAny>),
    /// As for memory that is kept.
    Pins { _pins: Vec<Py<PyAny>> },
}

impl<'py> CallPin<'py> {
    /// Pins the memory of a NumPy array.
    #[inline]
    pub(super) fn array(api: &NumpyApi, object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let mut owner = object.clone();
        let Some(array) = api.array_of(object) else { return Ok(Self::None) };
        if !array.base.is_null() {
            // SAFETY: a live object, which the array keeps alive.
            owner = unsafe { Bound::from_borrowed_ptr(object.py(), array.base) };
        }
        match api.array_of(&owner) {
            Some(array) if array.base.is_null() && array.flags & OWNS_DATA != 0 => {
                // SAFETY: an ndarray; without the flag NumPy refuses to resize it, and frees
                // nothing, which it would do only after `owner` is gone; set again on drop.
                unsafe { api.set_flag(&owner, OWNS_DATA, false) };
                Ok(Self::Owner(owner))
            }
            _ => Self::pins(object),
        }
    }

    /// Somebody else cleared the flag, and may set it again before this call is over; or there is
    /// more than one link.
    #[cold]
    fn pins(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        Ok(Self::Pins { _pins: Chain::of(object)?.pins })
    }
}

impl Drop for CallPin<'_> {
    #[inline]
    fn drop(&mut self) {
        let Self::Owner(owner) = self else { return };
        if let Ok(api) = NumpyApi::get(owner.py()) {
            // SAFETY: the array's flag as it was.
            unsafe { api.set_flag(owner, OWNS_DATA, true) };
        }
    }
}
