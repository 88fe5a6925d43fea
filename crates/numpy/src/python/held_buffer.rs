//! Exports of the buffer protocol (PEP 3118), held for the time of a call.

use std::ffi::CStr;

use ndbridge_dtype::{ByteOrder, DType, Kind};
use ndbridge_storage::{Device, Mutability};
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use smallvec::SmallVec;

use super::error::ArrayError;
use crate::described::Described;

/// A `Py_buffer` that is released when this is dropped.
pub(super) struct HeldBuffer<'py> {
    // Boxed: an exporter may point into the structure itself.
    view: Box<ffi::Py_buffer>,
    _py: Python<'py>,
}

impl<'py> HeldBuffer<'py> {
    /// Asks `object` for its buffer, to be read.
    ///
    /// # Errors
    /// What the object raises; `BufferError` if it has no buffer.
    pub(super) fn of(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let mut view = Box::<ffi::Py_buffer>::new_uninit();
        // SAFETY: room for a view; the object fills it, or raises.
        let failed = unsafe {
            ffi::PyObject_GetBuffer(object.as_ptr(), view.as_mut_ptr(), ffi::PyBUF_RECORDS_RO)
        };
        if failed != 0 {
            return Err(PyErr::fetch(object.py()));
        }
        // SAFETY: filled by the object, which did not fail.
        Ok(Self { view: unsafe { view.assume_init() }, _py: object.py() })
    }

    /// What the view says.
    ///
    /// # Errors
    /// `TypeError` for formats that cannot be carried, `BufferError` for indirect memory.
    pub(super) fn describe(&self) -> PyResult<Described> {
        let view = &*self.view;
        let dtype = self.dtype()?;
        let ndim = usize::try_from(view.ndim).unwrap_or(0);
        let lacks_axes = ndim > 0 && (view.shape.is_null() || view.strides.is_null());
        if lacks_axes || !view.suboffsets.is_null() {
            return Err(PyBufferError::new_err("buffer without strides, or with indirect rows"));
        }
        let (mut shape, mut strides) = (SmallVec::new(), SmallVec::new());
        if ndim > 0 {
            // SAFETY: not null, so there is a length for each axis while the view is held.
            let lens = unsafe { std::slice::from_raw_parts(view.shape, ndim) };
            shape.extend(lens.iter().map(|&len| len as usize));
            // SAFETY: as above, for strides.
            strides.extend_from_slice(unsafe { std::slice::from_raw_parts(view.strides, ndim) });
        }
        let is_read_only = view.readonly != 0;
        Ok(Described {
            ptr: view.buf.cast(),
            shape,
            strides,
            dtype,
            byte_order: ByteOrder::NATIVE,
            device: Device::Cpu,
            mutability: if is_read_only { Mutability::ReadOnly } else { Mutability::Writable },
        })
    }

    fn dtype(&self) -> PyResult<DType> {
        let format = match self.view.format.is_null() {
            true => c"B",
            // SAFETY: a string that lives while the view is held.
            false => unsafe { CStr::from_ptr(self.view.format) },
        };
        let item_bytes = usize::try_from(self.view.itemsize).unwrap_or(0);
        dtype_of_format(format.to_bytes(), item_bytes).ok_or_else(|| {
            let descr = format.to_string_lossy().into_owned();
            ArrayError::UnknownDType { descr }.into()
        })
    }
}

impl Drop for HeldBuffer<'_> {
    fn drop(&mut self) {
        // SAFETY: filled by `PyObject_GetBuffer`, released once, on an attached thread.
        unsafe { ffi::PyBuffer_Release(&mut *self.view) }
    }
}

/// The data type of a format of one element in this machine's byte order.
fn dtype_of_format(format: &[u8], item_bytes: usize) -> Option<DType> {
    let native = if cfg!(target_endian = "little") { b'<' } else { b'>' };
    let format = match format {
        [mark, rest @ ..] if matches!(mark, b'@' | b'=' | b'|') || *mark == native => rest,
        all => all,
    };
    let kind = match format {
        b"?" => Kind::Bool,
        b"b" | b"h" | b"i" | b"l" | b"q" | b"n" => Kind::Int,
        b"B" | b"H" | b"I" | b"L" | b"Q" | b"N" => Kind::UInt,
        b"e" | b"f" | b"d" => Kind::Float,
        b"Zf" | b"Zd" => Kind::Complex,
        _ => return None,
    };
    let is_plain = |dtype: &DType| dtype.type_string(ByteOrder::NATIVE).is_some();
    DType::ALL
        .into_iter()
        .filter(is_plain)
        .find(|dtype| dtype.kind() == kind && dtype.item_bytes() == item_bytes)
}
