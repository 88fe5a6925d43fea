//! Packed layouts: their strides, and whether a layout is one.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::error::LayoutError;
use crate::layout::Layout;
use crate::shape::{Shape, Strides};
use crate::size::check_size;
use crate::walk::Walk;

/// Which axis of a packed array has its elements side by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// The last axis (row-major).
    #[default]
    C,
    /// The first axis (column-major, Fortran).
    F,
}

impl Layout {
    /// The packed layout of a new array, at offset 0. As in `np.empty`, all strides are 0 if there
    /// are no elements.
    ///
    /// # Errors
    /// More than [`MAX_NDIM`](crate::MAX_NDIM) axes or `isize::MAX` bytes.
    #[inline]
    pub fn contiguous(
        shape: &[usize],
        item_bytes: usize,
        order: Order,
    ) -> Result<Self, LayoutError> {
        check_size(shape, item_bytes)?;
        let strides = Strides::from_elem(0, shape.len());
        // Filled in its place: moving what was just written stalls.
        let mut layout = Self { shape: Shape::from_slice(shape), strides, offset: 0 };
        if !shape.contains(&0) {
            fill_packed(&mut layout.strides, shape, item_bytes, order);
        }
        Ok(layout)
    }

    /// Whether the elements lie packed in `order`. As in NumPy the strides of axes of length 1 do
    /// not matter, and a layout without elements is packed in both orders.
    #[inline]
    pub fn is_contiguous(&self, order: Order, item_bytes: usize) -> bool {
        is_packed(&self.shape, &self.strides, order, item_bytes)
    }

    /// The packed layout, at offset 0, that `np.copy(a, order='K')` and `astype` give: axes nested
    /// as their strides are here, widest outermost, with items of `new_item_bytes`.
    ///
    /// # Errors
    /// More than `isize::MAX` bytes.
    pub fn keep_order(
        &self,
        item_bytes: usize,
        new_item_bytes: usize,
    ) -> Result<Self, LayoutError> {
        if self.is_contiguous(Order::C, item_bytes) || self.ndim() <= 1 {
            return Self::contiguous(&self.shape, new_item_bytes, Order::C);
        }
        if self.is_contiguous(Order::F, item_bytes) {
            return Self::contiguous(&self.shape, new_item_bytes, Order::F);
        }
        check_size(&self.shape, new_item_bytes)?;
        let mut axes: Shape = (0..self.ndim()).rev().collect();
        self.sort_by_stride(&mut axes);
        let strides = nested_strides(&self.shape, &axes, new_item_bytes);
        Ok(Self { shape: self.shape.clone(), strides, offset: 0 })
    }

    /// The strides of [`keep_order`](Self::keep_order) for items of the same size.
    ///
    /// # Errors
    /// More than `isize::MAX` bytes.
    pub fn keep_order_strides(&self, item_bytes: usize) -> Result<Box<[isize]>, LayoutError> {
        Ok(self.keep_order(item_bytes, item_bytes)?.strides.as_slice().into())
    }

    /// Whether the elements are one block: contiguous in some order of the axes, each walked up or
    /// down (torch's non-overlapping and dense). A layout without elements is one.
    ///
    /// ```
    /// use ndbridge_layout::{Layout, Order};
    /// let image = Layout::contiguous(&[4, 5, 3], 1, Order::C)?;
    /// assert!(image.permute(&[2, 0, 1])?.flip(&[1])?.is_block(1));
    /// assert!(!image.select(2, 0)?.is_block(1));
    /// # Ok::<(), ndbridge_layout::LayoutError>(())
    /// ```
    #[inline]
    pub fn is_block(&self, item_bytes: usize) -> bool {
        self.is_contiguous(Order::C, item_bytes)
            || Walk::of_one(&self.shape, &self.strides)
                .is_none_or(|walk| walk.is_block(item_bytes, item_bytes))
    }

    /// Whether elements lie in the order of `other`, of the same shape, and as far apart; strides of
    /// axes of length 1 do not matter.
    #[inline]
    pub fn steps_as(&self, other: &Self) -> bool {
        let steps = self.strides.iter().zip(&other.strides);
        self.shape == other.shape
            && self.shape.iter().zip(steps).all(|(&len, (here, there))| len == 1 || here == there)
    }

    /// Axes from the narrowest stride to the widest; of equal ones the later axis first.
    pub fn axes_by_stride(&self) -> Vec<usize> {
        let mut axes = (0..self.ndim()).rev().collect::<Vec<_>>();
        self.sort_by_stride(&mut axes);
        axes
    }

    fn sort_by_stride(&self, axes: &mut [usize]) {
        axes.sort_by_key(|&axis| self.strides[axis].wrapping_abs());
    }
}

/// Whether elements of these lengths and steps lie packed in `order`, by NumPy's rule: strides of axes
/// of length 1 do not matter, and what has no elements is packed in both orders.
///
/// ```
/// use ndbridge_layout::{Order, is_packed};
/// assert!(is_packed(&[2, 1, 3], &[12, 99, 4], Order::C, 4));
/// assert!(!is_packed(&[2, 3], &[12, 4], Order::F, 4));
/// ```
#[inline]
pub fn is_packed(shape: &[usize], strides: &[isize], order: Order, item_bytes: usize) -> bool {
    let axes = shape.iter().zip(strides);
    let packed = match order {
        Order::C => packed_bytes(item_bytes, axes.rev()),
        Order::F => packed_bytes(item_bytes, axes),
    };
    packed.is_some() || shape.contains(&0)
}

/// Bytes of elements that lie packed along these axes, the innermost first; `None` if they do not, or
/// if there are more than any memory has.
#[inline(always)]
pub(crate) fn packed_bytes<'a>(
    item_bytes: usize,
    axes: impl Iterator<Item = (&'a usize, &'a isize)>,
) -> Option<usize> {
    let mut bytes = item_bytes;
    for (&len, &stride) in axes {
        if len == 1 {
            continue;
        }
        // INVARIANT: no stride that is packed is past `isize::MAX`: its axis would overflow.
        if stride != bytes as isize {
            return None;
        }
        bytes = bytes.checked_mul(len)?;
    }
    (bytes <= isize::MAX as usize).then_some(bytes)
}

/// Writes the strides of contiguous elements, one for each length of `shape`; an empty axis counts as
/// one of length 1, as in NumPy.
///
/// ```
/// use ndbridge_layout::{Order, fill_contiguous_strides};
/// let mut strides = [0; 3];
/// fill_contiguous_strides(&mut strides, &[2, 0, 3], 4, Order::C)?;
/// assert_eq!(strides, [12, 12, 4]);
/// # Ok::<(), ndbridge_layout::LayoutError>(())
/// ```
///
/// # Errors
/// As [`Layout::contiguous`].
#[inline]
pub fn fill_contiguous_strides(
    strides: &mut [isize],
    shape: &[usize],
    item_bytes: usize,
    order: Order,
) -> Result<(), LayoutError> {
    check_size(shape, item_bytes)?;
    fill_packed(strides, shape, item_bytes, order);
    Ok(())
}

/// Strides of a packed array; an empty axis counts as one of length 1. The size was checked before.
#[inline]
pub(crate) fn packed_strides(shape: &[usize], item_bytes: usize, order: Order) -> Strides {
    let mut strides = Strides::from_elem(0, shape.len());
    fill_packed(&mut strides, shape, item_bytes, order);
    strides
}

#[inline]
fn fill_packed(strides: &mut [isize], shape: &[usize], item_bytes: usize, order: Order) {
    let mut next = item_bytes;
    let fill = |(stride, &len): (&mut isize, &usize)| *stride = packed_step(&mut next, len);
    let axes = strides.iter_mut().zip(shape);
    match order {
        Order::C => axes.rev().for_each(fill),
        Order::F => axes.for_each(fill),
    }
}

/// Strides of a packed array whose axes vary in the order given, the fastest first.
fn nested_strides(shape: &[usize], axes: &[usize], item_bytes: usize) -> Strides {
    let mut strides = Strides::from_elem(0, shape.len());
    let mut next = item_bytes;
    axes.iter().for_each(|&axis| strides[axis] = packed_step(&mut next, shape[axis]));
    strides
}

/// The stride of a packed axis; `next` becomes that of the axis around it.
#[inline(always)]
fn packed_step(next: &mut usize, len: usize) -> isize {
    let step = *next as isize;
    *next *= len.max(1);
    step
}
