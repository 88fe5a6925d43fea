//! Headers as most are, looked at in place.

use ndbridge_dtype::DType;
use ndbridge_storage::Device;
use ndbridge_tensor::MAX_NDIM;

use super::abi::{CPU, DlTensor};
use super::import::dtype_of_code;

/// A header of contiguous elements in C order, aligned, in host memory.
#[derive(Debug)]
pub(crate) struct PlainHeader {
    // INVARIANT: checked by `of`.
    header: DlTensor,
    dtype: DType,
}

impl PlainHeader {
    /// `None` if the header says anything else.
    #[inline]
    pub(crate) fn of(header: DlTensor) -> Option<Self> {
        let dtype = dtype_of_code(header.dtype)?;
        let is_plain = header.device.kind == CPU && header.byte_offset == 0;
        let is_aligned = header.data.addr().is_multiple_of(dtype.align_bytes());
        let has_axes = (1..=MAX_NDIM as i32).contains(&header.ndim);
        let is_null = header.data.is_null() || header.shape.is_null() || header.strides.is_null();
        let has_aligned_axes = header.shape.is_aligned() && header.strides.is_aligned();
        if !is_plain || !is_aligned || !has_axes || is_null || !has_aligned_axes {
            return None;
        }
        let plain = Self { header, dtype };
        // SAFETY: not null, so there is a stride for each axis.
        let strides =
            unsafe { std::slice::from_raw_parts(plain.header.strides, plain.header.ndim as usize) };
        let mut step = 1_i64;
        for (&len, &stride) in plain.lens().iter().zip(strides).rev() {
            if len < 1 || (len > 1 && stride != step) {
                return None;
            }
            step = step.checked_mul(len)?;
        }
        let len_bytes = usize::try_from(step).ok()?.checked_mul(dtype.item_bytes())?;
        Device::Cpu.check_addresses(plain.header.data.addr(), len_bytes).ok()?;
        Some(plain)
    }

    /// The first element.
    #[inline]
    pub(crate) fn ptr(&self) -> *mut u8 {
        self.header.data.cast()
    }

    #[inline]
    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Length of each axis, none of them 0; good as long as the header is.
    #[inline]
    pub(crate) fn lens(&self) -> &[i64] {
        // SAFETY: not null and at least one axis, checked by `of`.
        unsafe { std::slice::from_raw_parts(self.header.shape, self.header.ndim as usize) }
    }
}
