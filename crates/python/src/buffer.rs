//! The buffer protocol (PEP 3118): `memoryview(t)`.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use ndbridge::python::lend_host_memory;
use ndbridge::storage::Mutability;
use ndbridge::tensor::Bytes;
use ndbridge::{DType, Layout, Order, Tensor};
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::tensor::PyTensor;

/// What a `Py_buffer` points to besides the elements, alive until it is released.
struct Axes {
    shape: Vec<isize>,
    strides: Vec<isize>,
}

#[pymethods]
impl PyTensor {
    /// Fills `view` for a consumer that asked by `flags`.
    ///
    /// # Safety
    /// Called by the interpreter with a `Py_buffer` to fill.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let tensor = &slf.get().tensor;
        let refused = |reason: &str| Err(PyBufferError::new_err(reason.to_owned()));
        let Some(format) = format_of(tensor.dtype()) else {
            let bytes = if tensor.dtype().item_bytes() == 2 { "uint16" } else { "uint8" };
            let dtype = tensor.dtype();
            return refused(&format!(
                "the buffer protocol has no format for {dtype}: call view('{bytes}')"
            ));
        };
        if let Some(reason) = unmet(tensor, flags) {
            return refused(reason);
        }
        if !tensor.device().is_host() {
            let (device, bytes) = (tensor.device(), Bytes(tensor.size_bytes()));
            return refused(&format!("tensor is on {device}: call cpu() first (copies {bytes})"));
        }
        lend_host_memory(tensor)?;
        let wants = |flag: c_int| flags & flag == flag;
        let axes = Box::new(Axes {
            // Lengths fit isize.
            shape: tensor.shape().iter().map(|&len| len as isize).collect(),
            strides: lent_strides(tensor),
        });
        let with = |wanted: bool, pointer: *const isize| {
            if wanted { pointer.cast_mut() } else { ptr::null_mut() }
        };
        let filled = ffi::Py_buffer {
            buf: tensor.as_ptr().cast(),
            // A strong reference, which the interpreter drops on release.
            obj: slf.clone().into_ptr(),
            // The bytes of an existing array's elements fit isize, but for broadcast ones.
            len: isize::try_from(tensor.size_bytes()).unwrap_or(isize::MAX),
            itemsize: tensor.dtype().item_bytes() as isize,
            readonly: c_int::from(tensor.mutability() != Mutability::Writable),
            ndim: tensor.ndim() as c_int,
            format: if wants(ffi::PyBUF_FORMAT) {
                format.as_ptr().cast_mut()
            } else {
                ptr::null_mut()
            },
            shape: with(wants(ffi::PyBUF_ND), axes.shape.as_ptr()),
            strides: with(wants(ffi::PyBUF_STRIDES), axes.strides.as_ptr()),
            suboffsets: ptr::null_mut(),
            internal: Box::into_raw(axes).cast::<c_void>(),
        };
        // SAFETY: the interpreter gave a `Py_buffer` to fill.
        unsafe { view.write(filled) };
        Ok(())
    }

    /// Frees what [`__getbuffer__`](Self::__getbuffer__) allocated.
    ///
    /// # Safety
    /// Called by the interpreter with a `Py_buffer` that was filled here.
    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: the interpreter gives back what was filled.
        let axes = unsafe { (*view).internal }.cast::<Axes>();
        // SAFETY: made by `Box::into_raw` above, and released once.
        drop(unsafe { Box::from_raw(axes) });
    }
}

/// The strides to lend: those that contiguous elements usually have, also on axes of length 1,
/// where any stride would do. NumPy lends the same, for consumers that look at every stride.
fn lent_strides(tensor: &Tensor) -> Vec<isize> {
    let orders = [Order::C, Order::F];
    let order = orders.into_iter().find(|&order| tensor.is_contiguous(order));
    let usual = order.and_then(|order| {
        Layout::contiguous(tensor.shape(), tensor.dtype().item_bytes(), order).ok()
    });
    usual.map_or_else(|| tensor.strides().to_vec(), |layout| layout.strides().to_vec())
}

/// Why the tensor cannot be lent as `flags` ask.
fn unmet(tensor: &Tensor, flags: c_int) -> Option<&'static str> {
    let wants = |flag: c_int| flags & flag == flag;
    let (c, f) = (tensor.is_contiguous(Order::C), tensor.is_contiguous(Order::F));
    if wants(ffi::PyBUF_WRITABLE) && tensor.mutability() != Mutability::Writable {
        return Some("tensor is read-only, or its producer does not say that it is not");
    }
    if wants(ffi::PyBUF_C_CONTIGUOUS) && !c {
        return Some("tensor is not contiguous in C order: call contiguous() first");
    }
    if wants(ffi::PyBUF_F_CONTIGUOUS) && !f {
        return Some("tensor is not contiguous in Fortran order: call contiguous('F') first");
    }
    if wants(ffi::PyBUF_ANY_CONTIGUOUS) && !c && !f {
        return Some("tensor is not contiguous: call contiguous() first");
    }
    if !wants(ffi::PyBUF_STRIDES) && !c {
        return Some("tensor is not contiguous, and strides were not asked for");
    }
    None
}

/// The element's format character, by the `struct` module and PEP 3118.
fn format_of(dtype: DType) -> Option<&'static CStr> {
    Some(match dtype {
        DType::Bool => c"?",
        DType::I8 => c"b",
        DType::U8 => c"B",
        DType::I16 => c"h",
        DType::U16 => c"H",
        DType::I32 => c"i",
        DType::U32 => c"I",
        // What NumPy says where C `long` has 64 bits, and what array.array says there.
        DType::I64 if size_of::<std::ffi::c_long>() == 8 => c"l",
        DType::U64 if size_of::<std::ffi::c_long>() == 8 => c"L",
        DType::I64 => c"q",
        DType::U64 => c"Q",
        DType::F16 => c"e",
        DType::F32 => c"f",
        DType::F64 => c"d",
        DType::C64 => c"Zf",
        DType::C128 => c"Zd",
        DType::BF16 | DType::F8E4M3 | DType::F8E5M2 => return None,
    })
}
