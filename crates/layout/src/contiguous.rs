//! Packed layouts: their strides, and whether a layout is one.

use alloc::boxed::Box;

use crate::error::LayoutError;
use crate::layout::Layout;
use crate::shape::{Shape, Strides};
use crate::size::check_size;

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
        let strides = nested_strides(&self.shape, &self.axes_by_stride(), new_item_bytes);
        Ok(Self { shape: self.shape.clone(), strides, offset: 0 })
    }

    /// The strides of [`keep_order`](Self::keep_order) for items of the same size.
    ///
    /// # Errors
    /// More than `isize::MAX` bytes.
    pub fn keep_order_strides(&self, item_bytes: usize) -> Result<Box<[isize]>, LayoutError> {
        Ok(self.keep_order(item_bytes, item_bytes)?.strides.as_slice().into())
    }

    /// Axes from the narrowest stride to the widest; of equal ones the later axis first.
    fn axes_by_stride(&self) -> Shape {
        let mut axes: Shape = (0..self.ndim()).rev().collect();
        axes.sort_by_key(|&axis| self.strides[axis].wrapping_abs());
        axes
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
    let mut expected = Some(item_bytes);
    let mut packed = |(&len, &stride): (&usize, &isize)| {
        let fits = len == 1 || expected.is_some_and(|bytes| usize::try_from(stride) == Ok(bytes));
        expected = expected.and_then(|bytes| bytes.checked_mul(len));
        fits
    };
    let mut axes = shape.iter().zip(strides);
    shape.contains(&0)
        || match order {
            Order::C => axes.rev().all(&mut packed),
            Order::F => axes.all(&mut packed),
        }
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
    let mut step = item_bytes;
    let fill = |(stride, &len): (&mut isize, &usize)| {
        *stride = step as isize;
        step *= len.max(1);
    };
    let axes = strides.iter_mut().zip(shape);
    match order {
        Order::C => axes.rev().for_each(fill),
        Order::F => axes.for_each(fill),
    }
}

/// Strides of a packed array whose axes vary in the order given, the fastest first.
fn nested_strides(shape: &[usize], axes: &[usize], item_bytes: usize) -> Strides {
    let mut strides = Strides::from_elem(0, shape.len());
    let mut stride = item_bytes;
    for &axis in axes {
        strides[axis] = stride as isize;
        stride *= shape[axis].max(1);
    }
    strides
}
