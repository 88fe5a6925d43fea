//! The buffer protocol (PEP 3118): `memoryview(t)`.
//!
//! What a consumer's flags ask for is answered by the table of CPython's documentation
//! ("Buffer Protocol", "Buffer request types"); where that leaves room, as NumPy does.
//!
//! | asked for | `shape` | `strides` | `ndim` |
//! |---|---|---|---|
//! | less than `PyBUF_ND` | null | null | 1: the elements as one row of bytes |
//! | `PyBUF_ND` | filled | null | the tensor's |
//! | `PyBUF_STRIDES` and more | filled | filled | the tensor's |
//!
//! `shape` and `strides` of a 0-d tensor are null always.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::{self, NonNull};

use ndbridge::python::lend_host_memory;
use ndbridge::storage::Mutability;
use ndbridge::tensor::Bytes;
use ndbridge::{DType, Order, Tensor};
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
        let view = NonNull::new(view).ok_or_else(|| refusal("no Py_buffer to fill"))?;
        // SAFETY: the interpreter gave a `Py_buffer` to fill, of which this is a part.
        let obj = unsafe { &raw mut (*view.as_ptr()).obj };
        // What the protocol wants of a refusal: nothing is there to be released.
        // SAFETY: as above.
        unsafe { obj.write(ptr::null_mut()) };
        let filled = filled(&slf, Asked(flags))?;
        // SAFETY: as above.
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
        // SAFETY: made by `Box::into_raw` below, and released once.
        drop(unsafe { Box::from_raw(axes) });
    }
}

/// The flags of a request.
#[derive(Clone, Copy)]
struct Asked(c_int);

impl Asked {
    fn wants(self, flag: c_int) -> bool {
        self.0 & flag == flag
    }
}

fn refusal(reason: impl Into<String>) -> PyErr {
    PyBufferError::new_err(reason.into())
}

/// The answer to a request.
///
/// # Errors
/// `BufferError` if it cannot be had so.
fn filled(object: &Bound<'_, PyTensor>, asked: Asked) -> PyResult<ffi::Py_buffer> {
    let tensor = &object.get().tensor;
    check_consumer(object.py(), tensor)?;
    check_request(tensor, asked)?;
    let format = format_asked(tensor, asked)?;
    let len = tensor.size_bytes();
    let Ok(len) = isize::try_from(len) else {
        let most = isize::MAX;
        return Err(refusal(format!(
            "a buffer has {most} bytes at most, the tensor {len}: lend a smaller view"
        )));
    };
    lend_host_memory(tensor)?;
    let has_shape = asked.wants(ffi::PyBUF_ND);
    let axes = Box::new(Axes {
        // Lengths fit isize.
        shape: tensor.shape().iter().map(|&len| len as isize).collect(),
        strides: lent_strides(tensor, asked),
    });
    let part = |of: &[isize], flag| {
        let is_there = asked.wants(flag) && !of.is_empty();
        if is_there { of.as_ptr().cast_mut() } else { ptr::null_mut() }
    };
    Ok(ffi::Py_buffer {
        buf: tensor.as_ptr().cast(),
        // A strong reference, which the interpreter drops on release.
        obj: object.clone().into_ptr(),
        len,
        itemsize: tensor.dtype().item_bytes() as isize,
        readonly: c_int::from(tensor.mutability() != Mutability::Writable),
        // Consumers take more than one axis as a promise that there is a shape.
        ndim: if has_shape { tensor.ndim() as c_int } else { 1 },
        format: format.map_or(ptr::null_mut(), |format| format.as_ptr().cast_mut()),
        shape: part(&axes.shape, ffi::PyBUF_ND),
        strides: part(&axes.strides, ffi::PyBUF_STRIDES),
        suboffsets: ptr::null_mut(),
        internal: Box::into_raw(axes).cast::<c_void>(),
    })
}

/// Refuses a consumer that does not listen: torch asks for memory to write, and, refused, asks
/// again for any, with the refusal still set; what it gets it writes.
fn check_consumer(py: Python<'_>, tensor: &Tensor) -> PyResult<()> {
    if tensor.mutability() == Mutability::Writable || !PyErr::occurred(py) {
        return Ok(());
    }
    Err(refusal(
        "tensor is read-only, or its producer does not say that it is not, and the consumer was \
         told so: call clone() first (copies)",
    ))
}

/// The format, if it is asked for.
fn format_asked(tensor: &Tensor, asked: Asked) -> PyResult<Option<&'static CStr>> {
    if !asked.wants(ffi::PyBUF_FORMAT) {
        return Ok(None);
    }
    let dtype = tensor.dtype();
    let Some([native, packed]) = formats_of(dtype) else {
        let bytes = if dtype.item_bytes() == 2 { "uint16" } else { "uint8" };
        return Err(refusal(format!(
            "the buffer protocol has no format for {dtype}: call view('{bytes}')"
        )));
    };
    Ok(Some(if tensor.is_aligned() { native } else { packed }))
}

/// The strides to lend: those that contiguous elements usually have, also on axes of length 1, and
/// without elements, where any stride would do. NumPy lends the same, for consumers that look at
/// every stride. Not `layout`'s rule: past an axis of length 0 NumPy's are 0.
fn lent_strides(tensor: &Tensor, asked: Asked) -> Vec<isize> {
    let (c, f) = (tensor.is_contiguous(Order::C), tensor.is_contiguous(Order::F));
    let mut strides = tensor.strides().to_vec();
    let mut step = tensor.dtype().item_bytes() as isize;
    let mut fill = |axis: usize| {
        strides[axis] = step;
        // Past the address space only where there are no elements.
        step = step.wrapping_mul(tensor.shape()[axis] as isize);
    };
    if c && !(f && asked.wants(ffi::PyBUF_F_CONTIGUOUS)) {
        (0..tensor.ndim()).rev().for_each(&mut fill);
    } else if f {
        (0..tensor.ndim()).for_each(&mut fill);
    }
    strides
}

/// Refuses what cannot be lent as it is asked for.
fn check_request(tensor: &Tensor, asked: Asked) -> PyResult<()> {
    if !tensor.device().is_host() {
        let (device, bytes) = (tensor.device(), Bytes(tensor.size_bytes()));
        let reason = format!("tensor is on {device}: call cpu() first (copies {bytes})");
        return Err(refusal(reason));
    }
    unmet(tensor, asked).map_or(Ok(()), |reason| Err(refusal(reason)))
}

fn unmet(tensor: &Tensor, asked: Asked) -> Option<&'static str> {
    let (c, f) = (tensor.is_contiguous(Order::C), tensor.is_contiguous(Order::F));
    if asked.wants(ffi::PyBUF_WRITABLE) && tensor.mutability() != Mutability::Writable {
        return Some(
            "tensor is read-only, or its producer does not say that it is not: \
             call clone() first (copies)",
        );
    }
    if asked.wants(ffi::PyBUF_C_CONTIGUOUS) && !c {
        return Some("tensor is not contiguous in C order: call contiguous() first");
    }
    if asked.wants(ffi::PyBUF_F_CONTIGUOUS) && !f {
        return Some("tensor is not contiguous in Fortran order: call contiguous('F') first");
    }
    if asked.wants(ffi::PyBUF_ANY_CONTIGUOUS) && !c && !f {
        return Some("tensor is not contiguous: call contiguous() first");
    }
    if !asked.wants(ffi::PyBUF_STRIDES) && !c {
        return Some(
            "tensor is not contiguous in C order, and strides were not asked for: \
             call contiguous() first",
        );
    }
    None
}

/// The element's format, by the `struct` module and PEP 3118: of aligned elements, and of others,
/// which are of standard size and without alignment.
fn formats_of(dtype: DType) -> Option<[&'static CStr; 2]> {
    Some(match dtype {
        DType::Bool => [c"?"; 2],
        DType::I8 => [c"b"; 2],
        DType::U8 => [c"B"; 2],
        DType::I16 => [c"h", c"=h"],
        DType::U16 => [c"H", c"=H"],
        DType::I32 => [c"i", c"=i"],
        DType::U32 => [c"I", c"=I"],
        // What NumPy says where C `long` has 64 bits, and what array.array says there.
        DType::I64 if size_of::<std::ffi::c_long>() == 8 => [c"l", c"=q"],
        DType::U64 if size_of::<std::ffi::c_long>() == 8 => [c"L", c"=Q"],
        DType::I64 => [c"q", c"=q"],
        DType::U64 => [c"Q", c"=Q"],
        DType::F16 => [c"e", c"=e"],
        DType::F32 => [c"f", c"=f"],
        DType::F64 => [c"d", c"=d"],
        DType::C64 => [c"Zf", c"=Zf"],
        DType::C128 => [c"Zd", c"=Zd"],
        DType::BF16 | DType::F8E4M3 | DType::F8E5M2 => return None,
    })
}
