//! NumPy arrays in.

use std::ffi::c_int;
use std::sync::Arc;

use ndbridge_dtype::{ByteOrder, DType};
use ndbridge_storage::{Device, Foreign, ForeignAccess, Mutability, Storage};
use ndbridge_tensor::{CopyRule, Facts, Layout, Plan, Request, Tensor, TensorError, plan};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyMemoryView, PyType, PyWeakrefReference};

use super::api::{ALIGNED, ArrayObject, C_CONTIGUOUS, F_CONTIGUOUS, NumpyApi, WRITEABLE};
use super::dtypes::dtype_of_descr;
use super::error::{ArrayError, to_py_err};
use super::gate::PythonGate;
use super::ledger_capsule::join_ledger;
use super::owner::PythonOwner;

/// Most arrays that an array may be a view of, one through the other. NumPy itself keeps chains
/// at one link; only `base` objects made by hand are longer.
const LONGEST_CHAIN: usize = 64;

/// Whether `object` is a NumPy array.
///
/// # Errors
/// If NumPy cannot be imported.
pub fn is_array(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(NumpyApi::get(object.py())?.array_of(object).is_some())
}

/// A NumPy array as a tensor: shares its memory.
///
/// The array is kept alive, and cannot be resized, as long as any handle to the memory lives.
///
/// # Errors
/// `TypeError` for anything but an array and for data types that cannot be carried; `ValueError`
/// for arrays in the other byte order, which cannot be shared.
pub fn from_numpy(object: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    Importer::default().from_numpy(object)
}

/// Takes NumPy arrays in, and knows its own memory again.
#[derive(Clone, Copy, Debug)]
pub struct Importer {
    /// The storage behind a Python object that arrays were made over, if the object is one of the
    /// caller's: arrays over it then come back as views of that storage, and round trips do not
    /// pile up owners.
    pub storage_of: fn(&Bound<'_, PyAny>) -> Option<Storage>,
}

impl Default for Importer {
    /// Every array is somebody else's.
    fn default() -> Self {
        Self { storage_of: |_| None }
    }
}

impl Importer {
    /// As the function [`from_numpy`].
    ///
    /// # Errors
    /// As [`from_numpy`].
    pub fn from_numpy(self, object: &Bound<'_, PyAny>) -> PyResult<Tensor> {
        let request = Request::new("from_numpy").with_copy(CopyRule::Never);
        self.convert(object, &array_facts(object)?, &request)
    }

    /// What `request` asks for of a NumPy array, shared or copied as the plan decides. `facts` are
    /// the array's, or those of the list or number that it was gathered from.
    ///
    /// # Errors
    /// As [`from_numpy`]; where the request is refused or cannot be carried out, as
    /// [`to_py_err`](super::to_py_err).
    pub fn convert(
        self,
        object: &Bound<'_, PyAny>,
        facts: &Facts,
        request: &Request,
    ) -> PyResult<Tensor> {
        join_ledger(object.py())?;
        if let Plan::Refuse(refusal) = plan(facts, request) {
            return Err(to_py_err(TensorError::Refused { call: request.call, refusal }));
        }
        self.share(object, facts.dtype)?.convert_from(facts, request).map_err(to_py_err)
    }

    /// A tensor over the memory of an array of `dtype`.
    fn share(self, object: &Bound<'_, PyAny>, dtype: DType) -> PyResult<Tensor> {
        let array = array_of(object)?;
        let chain = Chain::of(object)?;
        let known = chain.end.as_ref().and_then(self.storage_of);
        let tensor = match known {
            Some(storage) => view_of(&storage, array, dtype),
            None => share_foreign(object, array, chain, dtype),
        };
        let tensor = tensor.map_err(to_py_err)?;
        let is_writable = array.flags & WRITEABLE != 0;
        Ok(if is_writable { tensor } else { tensor.into_read_only() })
    }
}

/// What a plan needs to know of a NumPy array.
///
/// # Errors
/// `TypeError` for anything but an array and for data types that cannot be carried.
pub fn array_facts(object: &Bound<'_, PyAny>) -> PyResult<Facts> {
    let array = array_of(object)?;
    if is_masked(object)? {
        return Err(ArrayError::Masked.into());
    }
    let (dtype, byte_order) = dtype_of(object, array)?;
    let has = |flag: c_int| array.flags & flag != 0;
    Ok(Facts {
        dtype,
        byte_order,
        len: axes(array).0.iter().product(),
        c_contiguous: has(C_CONTIGUOUS),
        f_contiguous: has(F_CONTIGUOUS),
        aligned: has(ALIGNED),
        writable: has(WRITEABLE),
        device: Device::Cpu,
        is_array: true,
    })
}

/// Whether an array carries a mask beside its elements.
fn is_masked(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    static MASKED_ARRAY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = object.py();
    if NumpyApi::get(py)?.is_plain(object) {
        return Ok(false);
    }
    object.is_instance(MASKED_ARRAY.import(py, "numpy.ma", "MaskedArray")?)
}

fn array_of<'a>(object: &'a Bound<'_, PyAny>) -> PyResult<&'a ArrayObject> {
    let array = NumpyApi::get(object.py())?.array_of(object);
    Ok(array.ok_or_else(|| ArrayError::not_an_array(object))?)
}

fn dtype_of(object: &Bound<'_, PyAny>, array: &ArrayObject) -> PyResult<(DType, ByteOrder)> {
    // SAFETY: an array's descr is a live object, and not changed while this thread is attached.
    let descr = unsafe { &*array.descr };
    dtype_of_descr(descr.type_num, descr.byte_order as u8, || object.getattr("dtype"))
}

/// Shape and strides (bytes) of an array.
fn axes(array: &ArrayObject) -> (Vec<usize>, Vec<isize>) {
    let ndim = usize::try_from(array.ndim).unwrap_or(0);
    if ndim == 0 {
        return (Vec::new(), Vec::new());
    }
    // SAFETY: NumPy keeps `ndim` lengths there, and does not change them while this thread is
    // attached.
    let shape = unsafe { std::slice::from_raw_parts(array.shape, ndim) };
    // SAFETY: as above, for strides.
    let strides = unsafe { std::slice::from_raw_parts(array.strides, ndim) };
    let shape = shape.iter().map(|&len| usize::try_from(len).unwrap_or(usize::MAX));
    // A negative length, which no array has, is then too large for a layout.
    (shape.collect(), strides.to_vec())
}

/// An array over memory that is known as `storage`.
fn view_of(storage: &Storage, array: &ArrayObject, dtype: DType) -> Result<Tensor, TensorError> {
    let (shape, strides) = axes(array);
    // An array without elements may point anywhere.
    let is_empty = shape.contains(&0);
    let offset =
        if is_empty { 0 } else { array.data.addr().wrapping_sub(storage.addresses().start) };
    let layout = Layout::new(&shape, &strides, offset, dtype.item_bytes())?;
    Tensor::from_parts(storage.clone(), dtype, layout)
}

/// An array over somebody else's memory.
fn share_foreign(
    object: &Bound<'_, PyAny>,
    array: &ArrayObject,
    chain: Chain<'_>,
    dtype: DType,
) -> Result<Tensor, TensorError> {
    let (shape, strides) = axes(array);
    let (below, len_bytes) = extent(&shape, &strides, dtype.item_bytes());
    let layout = Layout::new(&shape, &strides, below, dtype.item_bytes())?;
    let foreign = Foreign {
        name: "numpy.ndarray",
        ptr: array.data.wrapping_sub(below),
        len_bytes,
        device: Device::Cpu,
        access: chain.access(),
        mutability: mutability(array),
        owner: PythonOwner::new(object.clone().unbind(), chain.pins),
    };
    // SAFETY: the extent covers exactly the elements of a live array, whose memory stays where it
    // is while the owner holds the array and pins it and its bases; Python writes only when some
    // thread is attached, which the gate (or immutable bytes) accounts for.
    let storage = unsafe { Storage::from_foreign(foreign)? };
    Tensor::from_parts(storage, dtype, layout)
}

fn mutability(array: &ArrayObject) -> Mutability {
    if array.flags & WRITEABLE != 0 { Mutability::Writable } else { Mutability::ReadOnly }
}

/// Bytes below the first element, and bytes in all, that the elements of an array span.
fn extent(shape: &[usize], strides: &[isize], item_bytes: usize) -> (usize, usize) {
    if shape.contains(&0) {
        return (0, 0);
    }
    let (mut below, mut above) = (0_usize, item_bytes);
    for (&len, &stride) in shape.iter().zip(strides) {
        // The elements of a live array lie in its address space: nothing overflows but what
        // `Layout::new` then refuses.
        let reach = stride.unsigned_abs().saturating_mul(len - 1);
        let side = if stride < 0 { &mut below } else { &mut above };
        *side = side.saturating_add(reach);
    }
    (below, below.saturating_add(above))
}

/// The array, the arrays it is a view of, and what these stand on in the end.
struct Chain<'py> {
    pins: Vec<Py<PyAny>>,
    end: Option<Bound<'py, PyAny>>,
}

impl<'py> Chain<'py> {
    fn of(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let api = NumpyApi::get(object.py())?;
        let mut pins = Vec::with_capacity(2);
        let mut link = object.clone();
        for _ in 0..LONGEST_CHAIN {
            let next = match api.array_of(&link) {
                Some(array) => {
                    pins.push(PyWeakrefReference::new(&link)?.into_any().unbind());
                    // SAFETY: null, or an object that the array keeps alive.
                    unsafe { Bound::from_borrowed_ptr_or_opt(object.py(), array.base) }
                }
                None => match behind(&link)? {
                    None => {
                        pins.extend(held_export(&link));
                        return Ok(Self { pins, end: Some(link) });
                    }
                    next => next,
                },
            };
            let Some(next) = next else { return Ok(Self { pins, end: None }) };
            link = next;
        }
        Err(ArrayError::LongChain { limit: LONGEST_CHAIN }.into())
    }

    fn access(&self) -> ForeignAccess {
        match &self.end {
            Some(end) if end.is_exact_instance_of::<PyBytes>() => ForeignAccess::Frozen,
            _ => ForeignAccess::Lent(Arc::new(PythonGate)),
        }
    }
}

/// An export of the object's buffer, if it has one: a `bytearray` then cannot be resized, nor an
/// `mmap` closed. An array that was made with `buffer=` holds a mere reference.
fn held_export(object: &Bound<'_, PyAny>) -> Option<Py<PyAny>> {
    if object.is_exact_instance_of::<PyBytes>() {
        return None;
    }
    Some(PyMemoryView::from(object).ok()?.into_any().unbind())
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
