//! `Width`: the sizes of elements that kernels copy.

/// How many bytes a kernel moves as one element.
///
/// A kernel takes addresses and strides for multiples of its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Width {
    /// 1 byte.
    B1,
    /// 2 bytes.
    B2,
    /// 4 bytes.
    B4,
    /// 8 bytes.
    B8,
    /// 16 bytes.
    B16,
}

impl Width {
    /// Every width, from the narrowest.
    pub const ALL: [Width; 5] = [Width::B1, Width::B2, Width::B4, Width::B8, Width::B16];

    /// The width of that many bytes, if there is one.
    #[must_use]
    pub const fn of_bytes(bytes: usize) -> Option<Self> {
        Some(match bytes {
            1 => Width::B1,
            2 => Width::B2,
            4 => Width::B4,
            8 => Width::B8,
            16 => Width::B16,
            _ => return None,
        })
    }

    /// The widest that divides `bytes`, which may be several addresses, sizes and strides, joined
    /// with `|`. All of them divide zero.
    ///
    /// ```
    /// use ndbridge_cuda_kernels::Width;
    ///
    /// let (src, dst, row_stride) = (0x7f00_0010, 0x7f00_1008, -24_i64);
    /// assert_eq!(Width::dividing(src | dst | row_stride as u64), Width::B8);
    /// ```
    #[must_use]
    pub const fn dividing(bytes: u64) -> Self {
        match bytes.trailing_zeros() {
            0 => Width::B1,
            1 => Width::B2,
            2 => Width::B4,
            3 => Width::B8,
            _ => Width::B16,
        }
    }

    /// The width in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        1 << self as usize
    }
}
