//! Shape, byte strides and byte offset.
//!
//! A [`Layout`] is data without a pointer. A stride is a signed number of **bytes**. Every view
//! operation returns the shape and strides that NumPy returns.
//!
//! ```text
//! shape (2, 3), strides (12, -4), offset 8, items of 4 bytes
//! byte      0    4    8   12   16   20
//! element [0,2][0,1][0,0][1,2][1,1][1,0]
//! ```

use core::ops::Range;

use smallvec::SmallVec;

use crate::error::LayoutError;
use crate::extent::{Reach, extent, reach};
use crate::shape::{Shape, Strides};
use crate::size::check_size;

/// Shape, byte strides and byte offset of an n-dimensional array in its storage.
///
/// A layout without elements reaches no byte, so its strides and offset mean nothing; every view
/// without elements keeps the offset of what it was taken from.
///
/// ```
/// use ndbridge_layout::{Layout, Order};
/// let layout = Layout::contiguous(&[2, 3], 4, Order::C)?;
/// let mirrored = layout.flip(&[-1])?;
/// assert_eq!((mirrored.strides(), mirrored.offset()), (&[12, -4][..], 8));
/// assert_eq!(mirrored.offsets().collect::<Vec<_>>(), [8, 4, 0, 20, 16, 12]);
/// # Ok::<(), ndbridge_layout::LayoutError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    // INVARIANT: as many strides as lengths, at most `MAX_NDIM`; the product of the non-zero lengths
    // fits isize; if there are elements, the offset of each (and every partial sum towards it) fits
    // 0..=isize::MAX.
    pub(crate) shape: Shape,
    pub(crate) strides: Strides,
    pub(crate) offset: usize,
}

impl Layout {
    /// A layout from its parts, `strides` and `offset` in bytes.
    ///
    /// # Errors
    /// If lengths differ, there are more than [`MAX_NDIM`](crate::MAX_NDIM) axes, the shape has more than
    /// `isize::MAX` bytes, or an element would start before byte 0 or end past `isize::MAX`.
    #[inline]
    pub fn new(
        shape: &[usize],
        strides: &[isize],
        offset: usize,
        item_bytes: usize,
    ) -> Result<Self, LayoutError> {
        if shape.len() != strides.len() {
            let (shape, strides) = (shape.len(), strides.len());
            return Err(LayoutError::LengthMismatch { shape, strides });
        }
        check_size(shape, item_bytes)?;
        let layout =
            Self { shape: Shape::from_slice(shape), strides: Strides::from_slice(strides), offset };
        match layout.checked_reach(item_bytes) {
            Some(_) => Ok(layout),
            None => Err(layout.out_of_range()),
        }
    }

    /// The length of each axis.
    #[inline]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The distance of neighbours along each axis, in bytes.
    #[inline]
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// Bytes from the start of the storage to element `[0, .., 0]`.
    #[inline]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The same layout at another byte offset.
    ///
    /// # Errors
    /// If an element would start before byte 0 or end past `isize::MAX`.
    #[inline]
    pub fn with_offset(&self, offset: usize, item_bytes: usize) -> Result<Self, LayoutError> {
        Self::new(&self.shape, &self.strides, offset, item_bytes)
    }

    /// Number of axes.
    #[inline]
    pub fn ndim(&self) -> usize {
        self.shape.len()
    }

    /// Number of elements; 1 for rank 0.
    #[inline]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Bytes of a packed copy: elements times `item_bytes`.
    ///
    /// # Errors
    /// If that exceeds `isize::MAX`, as it can for a broadcast layout.
    #[inline]
    pub fn size_bytes(&self, item_bytes: usize) -> Result<usize, LayoutError> {
        check_size(&self.shape, item_bytes)?;
        Ok(self.len() * item_bytes)
    }

    /// The bytes of the storage from the first to past the last that an element covers.
    ///
    /// Empty, and starting at the offset, if there are no elements.
    #[inline]
    pub fn byte_range(&self, item_bytes: usize) -> Range<usize> {
        match reach(&self.shape, &self.strides) {
            Reach::Within(low, high) => {
                let last = self.offset.wrapping_add_signed(high);
                self.offset.wrapping_add_signed(low)..last.saturating_add(item_bytes)
            }
            // Outside no layout is.
            Reach::None | Reach::Outside => self.offset..self.offset,
        }
    }

    /// Byte offset of the element at `index`, `None` if there is no such element.
    #[inline]
    pub fn offset_of(&self, index: &[usize]) -> Option<usize> {
        let inside =
            index.len() == self.ndim() && index.iter().zip(&self.shape).all(|(i, n)| i < n);
        let steps = index.iter().zip(&self.strides);
        inside.then(|| {
            steps.fold(self.offset, |at, (&i, &stride)| {
                at.wrapping_add_signed(stride.wrapping_mul(i as isize))
            })
        })
    }

    /// `(first, past last)` byte, `None` if it does not fit `0..=isize::MAX`.
    #[inline]
    pub(crate) fn checked_reach(&self, item_bytes: usize) -> Option<(usize, usize)> {
        let bytes = extent(&self.shape, &self.strides, item_bytes)?;
        let offset = isize::try_from(self.offset).ok()?;
        let (start, end) = (offset.checked_add(bytes.start)?, offset.checked_add(bytes.end)?);
        Some((usize::try_from(start).ok()?, end as usize))
    }

    pub(crate) fn out_of_range(&self) -> LayoutError {
        LayoutError::OutOfRange {
            shape: self.shape.as_slice().into(),
            strides: self.strides.as_slice().into(),
            offset: self.offset,
        }
    }
}

/// The axis counted from 0, where a negative one counts from the end.
#[inline]
pub(crate) fn normalize_axis(axis: isize, ndim: usize) -> Result<usize, LayoutError> {
    normalize(axis, ndim).ok_or(LayoutError::AxisOutOfBounds { axis, ndim })
}

/// `index` counted from 0, `None` outside `-len..len`.
#[inline]
pub(crate) fn normalize(index: isize, len: usize) -> Option<usize> {
    let from_start = if index < 0 { len.checked_add_signed(index)? } else { index as usize };
    (from_start < len).then_some(from_start)
}

/// The axes counted from 0, each named at most once.
pub(crate) fn normalize_distinct(
    axes: &[isize],
    ndim: usize,
) -> Result<SmallVec<[usize; 4]>, LayoutError> {
    let mut seen = 0u64; // one bit for each of at most MAX_NDIM axes
    let mut normalized = SmallVec::new();
    for &axis in axes {
        let axis = normalize_axis(axis, ndim)?;
        if seen & (1 << axis) != 0 {
            return Err(LayoutError::RepeatedAxis { axis });
        }
        seen |= 1 << axis;
        normalized.push(axis);
    }
    Ok(normalized)
}
