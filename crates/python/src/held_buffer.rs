//! Exports of the buffer protocol (PEP 3118), held for the time of a call.
//!
//! An exporter may fill in anything. What it says is checked as a whole before any of it is believed,
//! here or by CPython's memoryview, which divides and walks without asking.

use std::ffi::{CStr, c_int};

use ndbridge_dtype::{ByteOrder, DType, Kind};
use ndbridge_interpreter::{raised, to_py_err};
use ndbridge_numpy::python::NdarrayError;
use ndbridge_storage::{Device, Mutability};
use ndbridge_tensor::layout::fill_contiguous_strides;
use ndbridge_tensor::{MAX_NDIM, Order, Outside};
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyMemoryView;
use smallvec::SmallVec;

/// A `Py_buffer` that is released when this is dropped.
pub(crate) struct HeldBuffer<'py> {
    // Boxed: an exporter may point into the structure itself.
    view: Box<ffi::Py_buffer>,
    _py: Python<'py>,
}

impl<'py> HeldBuffer<'py> {
    /// Asks `object` for its buffer, to be read.
    ///
    /// # Errors
    /// What the object raises; `BufferError` if it has no buffer, or one that no memory can have.
    pub(crate) fn of(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        Self::asked(object, ffi::PyBUF_RECORDS_RO)
    }

    fn asked(object: &Bound<'py, PyAny>, flags: c_int) -> PyResult<Self> {
        let mut view = Box::new(ffi::Py_buffer::new());
        // SAFETY: an empty view; the object fills it, or raises.
        let failed = unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &raw mut *view, flags) };
        if failed != 0 {
            return Err(raised(object.py(), "bf_getbuffer"));
        }
        let held = Self { view, _py: object.py() };
        held.check()?;
        Ok(held)
    }

    /// First and past-the-last address of the bytes, where they are contiguous.
    pub(crate) fn addresses(&self) -> (usize, usize) {
        let start = self.view.buf.addr();
        (start, start.saturating_add(usize::try_from(self.view.len).unwrap_or(0)))
    }

    /// Whether the fields agree with each other.
    fn check(&self) -> PyResult<()> {
        let (view, ndim) = (&*self.view, self.view.ndim);
        let refuse = |reason: String| Err(PyBufferError::new_err(format!("buffer {reason}")));
        if !(0..=MAX_NDIM as c_int).contains(&ndim) {
            return refuse(format!("of {ndim} axes, expected 0 to {MAX_NDIM}"));
        }
        for axes in [view.shape, view.strides, view.suboffsets] {
            let len_bytes = if axes.is_null() { 0 } else { ndim as usize * size_of::<isize>() };
            if Device::Cpu.check_addresses(axes.addr(), len_bytes).is_err() {
                return refuse(format!("with its axes at {axes:?}, outside the address space"));
            }
        }
        if ndim > 1 && view.shape.is_null() {
            return refuse(format!("of {ndim} axes without a shape"));
        }
        if view.itemsize < 0 || view.itemsize == 0 && view.shape.is_null() {
            return refuse(format!("of items of {} bytes", view.itemsize));
        }
        let shape = self.shape();
        if let Some(axis) = shape.iter().position(|&len| len < 0) {
            return refuse(format!("whose axis {axis} has the negative length {}", shape[axis]));
        }
        let len = match shape.contains(&0) {
            true => Some(0),
            false => shape.iter().try_fold(view.itemsize, |len, &axis| len.checked_mul(axis)),
        };
        if len != Some(view.len) {
            let (item, len) = (view.itemsize, view.len);
            return refuse(format!("of {len} bytes, but of shape {shape:?} of {item} bytes each"));
        }
        if view.buf.is_null() && view.len > 0 {
            return refuse(format!("of {} bytes without memory", view.len));
        }
        Ok(())
    }

    /// Length of each axis; a single one need not be said.
    fn shape(&self) -> SmallVec<[isize; 4]> {
        let view = &*self.view;
        if view.shape.is_null() {
            return (0..view.ndim).map(|_| view.len / view.itemsize).collect();
        }
        // SAFETY: not null, so there is a length for each axis while the view is held.
        unsafe { counts(view.shape, view.ndim as usize) }
    }

    /// Step of each axis, in bytes; those of C order need not be said.
    fn strides(&self) -> SmallVec<[isize; 4]> {
        let view = &*self.view;
        if !view.strides.is_null() {
            // SAFETY: not null, so there is a stride for each axis while the view is held.
            return unsafe { counts(view.strides, view.ndim as usize) };
        }
        let lens: SmallVec<[usize; 4]> =
            self.shape().iter().map(|&len| len.unsigned_abs()).collect();
        let mut strides = SmallVec::from_elem(0, lens.len());
        let item_bytes = view.itemsize.unsigned_abs();
        // Past the address space only where there are no elements, and any stride will do.
        let _ = fill_contiguous_strides(&mut strides, &lens, item_bytes, Order::C);
        strides
    }

    fn check_direct(&self) -> PyResult<()> {
        if self.view.suboffsets.is_null() {
            return Ok(());
        }
        let text = "buffer of rows behind pointers: call tensor(memoryview(x).tolist()) (copies)";
        Err(PyBufferError::new_err(text))
    }

    /// What the view says.
    ///
    /// # Errors
    /// `TypeError` for formats that cannot be carried, `BufferError` for indirect memory; errors for
    /// what no memory can be.
    pub(crate) fn describe(&self) -> PyResult<Outside> {
        let dtype = self.dtype()?;
        self.check_direct()?;
        let is_read_only = self.view.readonly != 0;
        let outside = Outside {
            ptr: self.view.buf.cast(),
            // None is negative.
            shape: self.shape().iter().map(|&len| len as usize).collect(),
            strides: self.strides(),
            dtype,
            byte_order: ByteOrder::NATIVE,
            device: Device::Cpu,
            mutability: if is_read_only { Mutability::ReadOnly } else { Mutability::Writable },
        };
        outside.check().map_err(to_py_err)?;
        Ok(outside)
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
            NdarrayError::UnknownDType { descr }.into()
        })
    }
}

/// A number for each axis; nobody has to align them.
///
/// # Safety
/// There are as many.
unsafe fn counts(values: *const isize, ndim: usize) -> SmallVec<[isize; 4]> {
    // SAFETY: promised by the caller.
    (0..ndim).map(|axis| unsafe { values.wrapping_add(axis).read_unaligned() }).collect()
}

impl Drop for HeldBuffer<'_> {
    fn drop(&mut self) {
        // SAFETY: filled by `PyObject_GetBuffer`, released once, on an attached thread.
        unsafe { ffi::PyBuffer_Release(&mut *self.view) }
    }
}

/// The memoryview of `object`.
///
/// # Errors
/// What the object raises; `BufferError` for a buffer whose fields contradict each other, which a
/// memoryview would believe, and for rows behind pointers, which NumPy does not take.
pub fn memoryview_of<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyMemoryView>> {
    HeldBuffer::asked(object, ffi::PyBUF_FULL_RO)?.check_direct()?;
    PyMemoryView::from(object)
}

/// The data type of a format of one element in this machine's byte order.
fn dtype_of_format(format: &[u8], item_bytes: usize) -> Option<DType> {
    let native = if cfg!(target_endian = "little") { b'<' } else { b'>' };
    let format = match format {
        [mark, rest @ ..] if matches!(mark, b'@' | b'=' | b'|') || *mark == native => rest,
        all => all,
    };
    let (kind, sizes): (Kind, &[usize]) = match format {
        b"?" => (Kind::Bool, &[1]),
        b"b" => (Kind::Int, &[1]),
        b"h" => (Kind::Int, &[2]),
        b"i" => (Kind::Int, &[4]),
        // As large as C has them, or of standard size.
        b"l" => (Kind::Int, &[4, 8]),
        b"q" | b"n" => (Kind::Int, &[8]),
        b"B" => (Kind::UInt, &[1]),
        b"H" => (Kind::UInt, &[2]),
        b"I" => (Kind::UInt, &[4]),
        b"L" => (Kind::UInt, &[4, 8]),
        b"Q" | b"N" => (Kind::UInt, &[8]),
        b"e" => (Kind::Float, &[2]),
        b"f" => (Kind::Float, &[4]),
        b"d" => (Kind::Float, &[8]),
        b"Zf" => (Kind::Complex, &[8]),
        b"Zd" => (Kind::Complex, &[16]),
        _ => return None,
    };
    let is_plain = |dtype: &DType| dtype.type_string(ByteOrder::NATIVE).is_some();
    DType::ALL
        .into_iter()
        .filter(|dtype| is_plain(dtype) && sizes.contains(&item_bytes))
        .find(|dtype| dtype.kind() == kind && dtype.item_bytes() == item_bytes)
}
