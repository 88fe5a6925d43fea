//! Headers as most are, looked at in place.

use ndbridge_dtype::DType;
use ndbridge_storage::Device;
use ndbridge_tensor::MAX_NDIM;

use super::abi::{CPU, DlTensor};
use super::import::dtype_of_code;

/// A header of contiguous elements in C order, aligned, in host memory.
#[derive(Debug)]
pub struct PlainHeader {
    // INVARIANT: checked by `of`.
    header: DlTensor,
    dtype: DType,
}

impl PlainHeader {
    /// `None` if the header says anything else.
    ///
    /// # Safety
    /// As [`describe`](crate::describe), as long as this lives.
    #[inline]
    pub unsafe fn of(header: DlTensor) -> Option<Self> {
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
    #[must_use]
    pub fn ptr(&self) -> *mut u8 {
        self.header.data.cast()
    }

    /// Data type of the elements.
    #[inline]
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Length of each axis, none of them 0; good as long as the header is.
    #[inline]
    #[must_use]
    pub fn lens(&self) -> &[i64] {
        // SAFETY: not null and at least one axis, checked by `of`.
        unsafe { std::slice::from_raw_parts(self.header.shape, self.header.ndim as usize) }
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;
    use crate::{DlDataType, DlDevice};

    const NOWHERE: usize = 0x1000;

    fn plain(shape: &mut [i64], strides: &mut [i64]) -> DlTensor {
        DlTensor {
            data: ptr::without_provenance_mut(NOWHERE),
            device: DlDevice { kind: CPU, id: 0 },
            ndim: shape.len() as i32,
            dtype: DlDataType { code: 2, bits: 64, lanes: 1 },
            shape: shape.as_mut_ptr(),
            strides: strides.as_mut_ptr(),
            byte_offset: 0,
        }
    }

    #[test]
    fn own_2_a_header_at_its_extremes_is_not_plain_and_nothing_is_read() {
        let (mut shape, mut strides) = ([2, 3], [3, 1]);
        let header = |change: &dyn Fn(&mut DlTensor), shape: &mut [i64], strides: &mut [i64]| {
            let mut header = plain(shape, strides);
            change(&mut header);
            // SAFETY: its axes are those of two arrays, or no address that is looked at.
            unsafe { PlainHeader::of(header) }
        };
        let found = header(&|_| (), &mut shape, &mut strides).expect("contiguous");
        assert_eq!(
            (found.ptr().addr(), found.dtype(), found.lens()),
            (NOWHERE, DType::F64, &[2, 3][..])
        );
        let at = ptr::without_provenance_mut;
        let changes: [&dyn Fn(&mut DlTensor); 18] = [
            &|header| header.data = ptr::null_mut(),
            &|header| header.data = at(NOWHERE + 4),
            &|header| header.data = at(usize::MAX - 7),
            &|header| header.byte_offset = 8,
            &|header| header.byte_offset = u64::MAX,
            &|header| header.device.kind = -1,
            &|header| header.device.kind = 2,
            &|header| header.ndim = 0,
            &|header| header.ndim = -1,
            &|header| header.ndim = 65,
            &|header| header.ndim = i32::MAX,
            &|header| header.dtype.lanes = 0,
            &|header| header.dtype.bits = 255,
            &|header| header.shape = ptr::null_mut(),
            &|header| header.strides = ptr::null_mut(),
            &|header| header.shape = header.shape.cast::<u8>().wrapping_add(1).cast(),
            &|header| header.strides = header.strides.cast::<u8>().wrapping_add(1).cast(),
            &|header| header.dtype.code = 255,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert!(header(change, &mut shape, &mut strides).is_none(), "change {number}");
        }
        for (mut shape, mut strides) in [
            ([0, 3], [3, 1]),
            ([-2, 3], [3, 1]),
            ([2, i64::MAX], [i64::MAX, 1]),
            ([1 << 31, 1 << 30], [1 << 30, 1]),
            ([1 << 30, 1 << 30], [1 << 30, 1]),
            ([2, 3], [-3, 1]),
            ([2, 3], [3, i64::MIN]),
        ] {
            assert!(header(&|_| (), &mut shape, &mut strides).is_none(), "{shape:?}");
        }
    }
}
