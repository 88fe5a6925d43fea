//! NumPy arrays, as their C structure describes them.

use ndbridge_dtype::{ByteOrder, DType};
use ndbridge_interpreter::once::Once;
use ndbridge_storage::{Device, Mutability};
use ndbridge_tensor::Outside;
use pyo3::prelude::*;
use pyo3::types::PyType;
use smallvec::SmallVec;

use super::api::{ArrayObject, NumpyApi};
use super::dtypes::{dtype_of_descr, dtype_of_number};
use super::error::NdarrayError;
use super::frozen::is_writable;

/// Whether `object` is a NumPy array.
///
/// # Errors
/// If NumPy cannot be imported.
pub fn is_array(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(NumpyApi::get(object.py())?.array_of(object).is_some())
}

/// What the structure of an array says.
///
/// # Errors
/// `TypeError` for masked arrays and for data types that cannot be carried.
#[inline]
pub fn describe(
    api: &NumpyApi,
    object: &Bound<'_, PyAny>,
    array: &ArrayObject,
) -> PyResult<Outside> {
    if !api.is_plain(object) && is_masked(object)? {
        return Err(NdarrayError::Masked.into());
    }
    let (dtype, byte_order) = dtype_of(object, array)?;
    let (shape, strides) = axes(array);
    // SAFETY: an ndarray, as its structure shows; a `Bound` shows that the thread is attached.
    let is_writable = unsafe { is_writable(object.as_ptr().cast()) };
    let mutability = if is_writable { Mutability::Writable } else { Mutability::ReadOnly };
    let (ptr, device) = (array.data, Device::Cpu);
    Ok(Outside { ptr, shape, strides, dtype, byte_order, device, mutability })
}

/// What the structure of an array says now.
///
/// # Errors
/// As [`describe`].
pub fn describe_again(object: &Bound<'_, PyAny>) -> PyResult<Outside> {
    let api = NumpyApi::get(object.py())?;
    let array = api.array_of(object).ok_or_else(|| NdarrayError::not_an_array(object))?;
    describe(api, object, &array)
}

/// Whether an array carries a mask beside its elements.
fn is_masked(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    static MASKED_ARRAY: Once<Py<PyType>> = Once::new();
    object.is_instance(MASKED_ARRAY.import(object.py(), "numpy.ma", "MaskedArray")?)
}

/// The data type of an array in this machine's byte order, if NumPy has it itself.
#[inline]
pub fn native_dtype(array: &ArrayObject) -> Option<DType> {
    // SAFETY: as in `dtype_of`.
    let descr = unsafe { &*array.descr };
    let is_native = matches!(descr.byte_order as u8, b'=' | b'|');
    dtype_of_number(descr.type_num).filter(|_| is_native)
}

/// Length of each axis.
#[inline]
pub fn lens(array: &ArrayObject) -> &[isize] {
    match usize::try_from(array.ndim) {
        // SAFETY: NumPy keeps `ndim` lengths there, and does not change them while this thread is
        // attached.
        Ok(ndim @ 1..) => unsafe { std::slice::from_raw_parts(array.shape, ndim) },
        _ => &[],
    }
}

fn dtype_of(object: &Bound<'_, PyAny>, array: &ArrayObject) -> PyResult<(DType, ByteOrder)> {
    // SAFETY: an array's descr is a live object, and not changed while this thread is attached.
    let descr = unsafe { &*array.descr };
    dtype_of_descr(descr.type_num, descr.byte_order as u8, || {
        // Not by the attribute, which a subclass may make up.
        // SAFETY: a live object, which the array keeps.
        Ok(unsafe { Bound::from_borrowed_ptr(object.py(), array.descr.cast()) })
    })
}

/// Shape and strides (bytes) of an array.
fn axes(array: &ArrayObject) -> (SmallVec<[usize; 4]>, SmallVec<[isize; 4]>) {
    let shape = lens(array);
    if shape.is_empty() {
        return (SmallVec::new(), SmallVec::new());
    }
    // SAFETY: as many strides as lengths, kept as those are.
    let strides = unsafe { std::slice::from_raw_parts(array.strides, shape.len()) };
    // A negative length, which no array has, is then too large for a layout.
    (shape.iter().map(|&len| len as usize).collect(), SmallVec::from_slice(strides))
}
