//! The bytes that an array reaches.

use std::ops::Range;

use smallvec::SmallVec;

/// Items of one size, laid out by shape and byte strides from an absolute address.
///
/// ```text
/// start 0x1000, item_bytes 4, shape [2, 3], strides [16, 4]:
///
/// 0x1000  [0,0] [0,1] [0,2]   .
/// 0x1010  [1,0] [1,1] [1,2]   .      reaches 24 bytes between 0x1000 and 0x101c
/// ```
///
/// A negative stride walks down from `start`; `start` is always where item `[0, .., 0]` begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region<'a> {
    /// Address of item `[0, .., 0]`, in bytes.
    pub start: usize,
    /// Size of an item, in bytes.
    pub item_bytes: usize,
    /// Items along each axis.
    pub shape: &'a [usize],
    /// Bytes from an item to the next along each axis.
    pub strides: &'a [isize],
}

/// Why a [`Region`] is none that memory can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// Shape and strides disagree on the number of axes.
    #[error("shape has {shape} axes, strides have {strides}")]
    AxesDiffer {
        /// Axes of the shape.
        shape: usize,
        /// Axes of the strides.
        strides: usize,
    },
    /// The items span more bytes than addresses can tell apart.
    #[error("items of {item_bytes} bytes from {start:#x} go past the end of the address space")]
    Overflow {
        /// Address of the first item.
        start: usize,
        /// Size of an item.
        item_bytes: usize,
    },
}

impl Region<'_> {
    #[inline]
    fn is_empty(&self) -> bool {
        self.item_bytes == 0 || self.shape.contains(&0)
    }

    #[inline]
    fn overflow(&self) -> RegionError {
        RegionError::Overflow { start: self.start, item_bytes: self.item_bytes }
    }

    /// Size of a region that is contiguous in C order; `None` if it is not, or too large.
    #[inline]
    fn contiguous_bytes(&self) -> Option<usize> {
        let mut bytes = self.item_bytes;
        for (&len, &stride) in self.shape.iter().zip(self.strides).rev() {
            if len == 1 {
                continue;
            }
            if stride != bytes as isize {
                return None;
            }
            bytes = bytes.checked_mul(len)?;
        }
        (bytes <= isize::MAX as usize).then_some(bytes)
    }

    /// First and past-the-last address of a region with items.
    fn bounds(&self) -> Option<Range<usize>> {
        let (mut low, mut high) = (0_isize, 0_isize);
        for (&len, &stride) in self.shape.iter().zip(self.strides) {
            let span = isize::try_from(len - 1).ok()?.checked_mul(stride)?;
            let side = if span < 0 { &mut low } else { &mut high };
            *side = side.checked_add(span)?;
        }
        let start = self.start.checked_add_signed(low)?;
        let end = self.start.checked_add_signed(high)?.checked_add(self.item_bytes)?;
        (end - start <= isize::MAX as usize).then_some(start..end)
    }

    /// Axes of two or more items, by ascending length of stride, which may be zero.
    pub(crate) fn long_axes(&self) -> Axes {
        let axes = self.shape.iter().zip(self.strides);
        let mut long: Axes = axes
            .filter(|(len, _)| **len > 1)
            .map(|(&len, &stride)| Axis { len, stride: stride.unsigned_abs() })
            .collect();
        long.sort_unstable_by_key(|axis| axis.stride);
        long
    }
}

/// `len` places, `stride` bytes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    pub(crate) len: usize,
    pub(crate) stride: usize,
}

pub(crate) type Axes = SmallVec<[Axis; 3]>;

/// The set of bytes that a [`Region`] reaches, in the simplest terms found: runs of bytes, repeated
/// along as few axes as possible.
///
/// Signs, order and repetition of axes do not matter to a set, so a whole array is one run, also if
/// it is reversed, transposed or broadcast; every other column of a matrix is one axis.
///
/// ```
/// use ndbridge_storage::{Footprint, Region};
///
/// let region = Region { start: 0x1000, item_bytes: 4, shape: &[2, 3], strides: &[16, 4] };
/// assert_eq!(Footprint::of(&region)?.bounds(), 0x1000..0x101c);
/// let reversed = Region { start: 0x100c, item_bytes: 4, shape: &[4], strides: &[-4] };
/// assert_eq!(Footprint::of(&reversed)?.bounds(), 0x1000..0x1010);
/// # Ok::<(), ndbridge_storage::RegionError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    // INVARIANT: `end - start <= isize::MAX`, so sums over two footprints fit 64 bits.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Bytes of one run.
    pub(crate) run_bytes: usize,
    // INVARIANT: every length is at least 2, strides ascend, and the smallest exceeds `run_bytes`.
    pub(crate) axes: Axes,
}

impl Footprint {
    /// Footprint of no bytes.
    pub(crate) fn none_at(start: usize) -> Self {
        Self { start, end: start, run_bytes: 0, axes: Axes::new() }
    }

    /// The bytes that `region` reaches.
    ///
    /// # Errors
    /// If shape and strides have different numbers of axes, or the bytes do not fit the address
    /// space.
    pub fn of(region: &Region<'_>) -> Result<Self, RegionError> {
        Ok(Self::classify(region)?.0)
    }

    /// As [`of`](Self::of), and whether the region is contiguous in C order.
    #[inline]
    pub(crate) fn classify(region: &Region<'_>) -> Result<(Self, bool), RegionError> {
        let (shape, strides) = (region.shape.len(), region.strides.len());
        if shape != strides {
            return Err(RegionError::AxesDiffer { shape, strides });
        }
        match region.contiguous_bytes() {
            Some(run_bytes) => Ok((Self::of_run(region, run_bytes)?, true)),
            None => Ok((Self::of_strided(region)?, false)),
        }
    }

    #[inline]
    fn of_run(region: &Region<'_>, run_bytes: usize) -> Result<Self, RegionError> {
        let start = region.start;
        let end = start.checked_add(run_bytes).ok_or_else(|| region.overflow())?;
        Ok(Self { start, end, run_bytes, axes: Axes::new() })
    }

    fn of_strided(region: &Region<'_>) -> Result<Self, RegionError> {
        if region.is_empty() {
            return Ok(Self::none_at(region.start));
        }
        let Range { start, end } = region.bounds().ok_or_else(|| region.overflow())?;
        let moving = region
            .shape
            .iter()
            .zip(region.strides)
            .filter(|(len, stride)| **len > 1 && **stride != 0);
        let mut axes: Axes =
            moving.map(|(&len, stride)| Axis { len, stride: stride.unsigned_abs() }).collect();
        axes.sort_unstable_by_key(|axis| axis.stride);
        let (run_bytes, axes) = simplify(region.item_bytes, &axes);
        Ok(Self { start, end, run_bytes, axes })
    }

    /// First to past-the-last address.
    #[inline]
    pub fn bounds(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Whether there are no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// Joins axes (by ascending stride) that together walk one run, or one even row of runs.
fn simplify(item_bytes: usize, axes: &[Axis]) -> (usize, Axes) {
    let mut run_bytes = item_bytes;
    let mut joined = Axes::new();
    for &axis in axes {
        match joined.last_mut() {
            None if axis.stride <= run_bytes => run_bytes += axis.stride * (axis.len - 1),
            Some(row) if continues(row, axis) => {
                row.len += axis.stride / row.stride * (axis.len - 1);
            }
            _ => joined.push(axis),
        }
    }
    (run_bytes, joined)
}

/// Whether stepping along `axis` lands on, or right behind, the steps of `row`.
fn continues(row: &Axis, axis: Axis) -> bool {
    axis.stride.is_multiple_of(row.stride) && axis.stride / row.stride <= row.len
}
