//! Tensors out, as NumPy arrays.

use ndbridge_interpreter::{check_host, join_ledger, lend_to_python};
use ndbridge_storage::Mutability;
use ndbridge_tensor::Tensor;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use smallvec::SmallVec;

use super::api::{NumpyApi, Parts};
use super::dtypes::numpy_dtype;

/// The tensor as a NumPy array: shares its memory, which lives as long as the array does.
///
/// A read-only tensor, or one of which nobody knows whether it may be written, gives a read-only
/// array, which cannot be made writable.
///
/// # Errors
/// `TypeError` for device tensors, and for bfloat16 and float8 without the package ml_dtypes;
/// `BufferError` while a guard of the memory is alive, or if its gate is shut.
#[track_caller]
pub fn to_numpy<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    let keeper = PyCapsule::new_with_value(py, tensor.storage().clone(), c"ndbridge.storage")?;
    // SAFETY: the capsule holds a handle of the storage.
    unsafe { to_numpy_with_base(tensor, keeper.into_any()) }
}

/// As [`to_numpy`], with `base` as the array's base object.
///
/// # Safety
/// `base` keeps the tensor's storage alive as long as it lives itself.
///
/// # Errors
/// As [`to_numpy`].
#[track_caller]
pub unsafe fn to_numpy_with_base<'py>(
    tensor: &Tensor,
    base: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    join_ledger(base.py())?;
    check_host(tensor)?;
    let descr = numpy_dtype(base.py(), tensor.dtype())?;
    lend_to_python(tensor)?;
    // A layout's lengths fit isize: their product does.
    let shape: SmallVec<[isize; 4]> = tensor.shape().iter().map(|&len| len as isize).collect();
    let parts = Parts {
        descr,
        shape: &shape,
        strides: tensor.strides(),
        data: tensor.as_ptr(),
        writable: tensor.mutability() == Mutability::Writable,
    };
    // SAFETY: the layout lies in the storage, which `base` keeps alive; it is lent to Python or
    // frozen, so no guard holds it unless its thread is attached; read-only memory is exported so.
    unsafe { NumpyApi::get(base.py())?.new_array(parts, base) }
}
