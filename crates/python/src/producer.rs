//! Which library an object is of, and by which way its elements are had: found out once per type.

use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::{
    AtomicPtr, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};

use ndbridge_dlpack::{DlExchange, DlExchangeHeader, VERSION};
use ndbridge_interpreter::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyString, PyType};

use crate::torch;

/// The library an array came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Producer {
    NumPy,
    Torch,
    Jax,
    TensorFlow,
    /// One of ours, maybe of another extension module.
    Ndbridge,
    Other,
}

impl Producer {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NumPy => "numpy",
            Self::Torch => "torch",
            Self::Jax => "jax",
            Self::TensorFlow => "tensorflow",
            Self::Ndbridge => "ndbridge",
            Self::Other => "array",
        }
    }

    /// Whether its arrays are values that nobody may write.
    pub(crate) const fn is_immutable(self) -> bool {
        matches!(self, Self::Jax | Self::TensorFlow)
    }
}

/// What is known of a type that is not NumPy's.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) producer: Producer,
    /// DLPack's table of functions, if the type has one; of our own types, that for ndbridge.
    pub(crate) exchange: Option<&'static DlExchange>,
    /// A method that gives a NumPy array over the memory.
    pub(crate) to_array: Option<&'static Py<PyAny>>,
    /// Whether a look through the table shows all there is to know: it has no flags.
    pub(crate) has_no_flags: bool,
}

/// One type in the list of those seen.
struct KnownType {
    // A reference to the type is kept for good, so that no other type gets its address.
    kind: *mut pyo3::ffi::PyTypeObject,
    known: Known,
    next: *const KnownType,
}

static SEEN: AtomicPtr<KnownType> = AtomicPtr::new(ptr::null_mut());
static SEEN_LEN: AtomicUsize = AtomicUsize::new(0);
/// Types that are remembered at the most: a program may make types without end.
const MOST_SEEN: usize = 64;

/// What is known of the type of `object`.
#[inline]
pub(crate) fn known(object: &Bound<'_, PyAny>) -> PyResult<Known> {
    let kind = object.get_type_ptr();
    let mut at: *const KnownType = SEEN.load(Acquire);
    while !at.is_null() {
        // SAFETY: entries are leaked, and complete when they are published.
        let seen = unsafe { &*at };
        if seen.kind == kind {
            return Ok(seen.known);
        }
        at = seen.next;
    }
    known_type(&object.get_type())
}

/// What is known of `kind`.
#[cold]
pub(crate) fn known_type(kind: &Bound<'_, PyType>) -> PyResult<Known> {
    let exchange = exchange_of(kind)?;
    let module = kind.module().map_or_else(|_| String::new(), |name| name.to_string());
    let producer = match module.split('.').next() {
        _ if torch::is_tensor_type(kind)? => Producer::Torch,
        Some("jax" | "jaxlib") => Producer::Jax,
        Some("tensorflow") => Producer::TensorFlow,
        Some("ndbridge") => Producer::Ndbridge,
        _ => Producer::Other,
    };
    // torch has no read-only tensors, but a wrapper around them with a table of its own.
    let has_no_flags = producer == Producer::Torch
        && torch::table_holder(kind.py())?.is_some_and(|tensor| {
            exchange_of(&tensor)
                .is_ok_and(|own| own.map(ptr::from_ref) == exchange.map(ptr::from_ref))
        });
    let mut known = Known { producer, exchange, to_array: None, has_no_flags };
    // Types without a library of their own are looked at again: a class may learn protocols later.
    let is_telling = producer != Producer::Other || exchange.is_some();
    if is_telling && SEEN_LEN.fetch_add(1, Relaxed) < MOST_SEEN {
        if producer == Producer::TensorFlow {
            let method = kind.getattr_opt(intern!(kind.py(), "_numpy_internal"))?;
            known.to_array = method.map(|method| &*Box::leak(Box::new(method.unbind())));
        }
        remember(kind, known);
    }
    Ok(known)
}

fn remember(kind: &Bound<'_, PyType>, known: Known) {
    let kind = kind.clone().into_ptr().cast();
    let entry = Box::leak(Box::new(KnownType { kind, known, next: ptr::null() }));
    let mut head = SEEN.load(Relaxed);
    loop {
        entry.next = head;
        match SEEN.compare_exchange(head, entry, Release, Relaxed) {
            Ok(_) => return,
            Err(now) => head = now,
        }
    }
}

/// A type's table of functions, if its version is understood.
fn exchange_of(kind: &Bound<'_, PyType>) -> PyResult<Option<&'static DlExchange>> {
    let py = kind.py();
    // What others must not have, ndbridge may: it heeds the mark on read-only memory, and takes
    // elements wherever they lie.
    match table_of(kind, intern!(py, "__ndbridge_exchange_api__"), c"ndbridge_exchange_api")? {
        None => table_of(kind, intern!(py, "__dlpack_c_exchange_api__"), c"dlpack_exchange_api"),
        own => Ok(own),
    }
}

fn table_of(
    kind: &Bound<'_, PyType>,
    attribute: &Bound<'_, PyString>,
    name: &CStr,
) -> PyResult<Option<&'static DlExchange>> {
    let Some(found) = kind.getattr_opt(attribute)? else { return Ok(None) };
    // Its first form was an integer: not a thing to trust.
    let Ok(capsule) = found.cast_into::<PyCapsule>() else { return Ok(None) };
    let Ok(pointer) = capsule.pointer_checked(Some(name)) else { return Ok(None) };
    let mut header: *const DlExchangeHeader = pointer.as_ptr().cast();
    for _ in 0..MOST_TABLES {
        if header.is_null() || !header.is_aligned() {
            break;
        }
        // SAFETY: a table of this name begins with this header, and lives as long as the process.
        let DlExchangeHeader { version, previous } = unsafe { header.read() };
        if version.major == VERSION.major {
            // SAFETY: the header says that the table is of a version known here.
            return Ok(Some(unsafe { &*header.cast::<DlExchange>() }));
        }
        header = previous;
    }
    Ok(None)
}

/// Tables of other versions that are looked at on the way to one that is understood: a list may be
/// a circle.
const MOST_TABLES: usize = 64;
