//! The copy engine: any layout to any layout, with or without a change of data type, in one pass.
//!
//! A pair of layouts is first brought to its simplest form ([`pair`]); then a plan names one of the
//! [`kernels`] and how the work falls into parts ([`plan`]).

#[expect(unsafe_code, reason = "hands borrowed memory to the kernels")]
mod assign;
mod choose;
#[expect(unsafe_code, reason = "fills new memory and says that it is filled")]
mod fresh;
mod kernels;
mod level;
mod pair;
#[expect(unsafe_code, reason = "calls the kernel that it chose")]
mod plan;
mod swap;
#[cfg(test)]
#[expect(unsafe_code, reason = "runs plans on vectors of its own")]
mod tests;
mod walk;
mod work;

use ndbridge_dtype::DType;
use ndbridge_storage::{Borrow, BorrowKind};

use self::plan::{Plan, Tuning};
use crate::bool_check;
use crate::error::TensorError;
use crate::tensor::Tensor;
pub(crate) use fresh::gapless;
pub use pair::Axis as WalkAxis;
pub(crate) use pair::Pair;

/// Where elements come from or go to: the first element and the steps between them.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) ptr: *mut u8,
    pub(crate) strides: &'a [isize],
    pub(crate) dtype: DType,
}

impl<'a> Side<'a> {
    pub(crate) fn of(tensor: &'a Tensor) -> Self {
        Self { ptr: tensor.as_ptr(), strides: tensor.strides(), dtype: tensor.dtype() }
    }
}

/// A tensor borrowed for reading, whose elements are known to be values of its data type.
pub(crate) struct Source<'t> {
    tensor: &'t Tensor,
    _borrow: Borrow<'t>,
}

impl<'t> Source<'t> {
    #[inline]
    #[track_caller]
    pub(crate) fn borrow(tensor: &'t Tensor) -> Result<Self, TensorError> {
        let borrow = tensor.borrow(BorrowKind::Read)?;
        Ok(Self { tensor, _borrow: borrow })
    }

    /// The same, for elements that will be read as values and not only moved.
    #[inline]
    #[track_caller]
    pub(crate) fn borrow_values(tensor: &'t Tensor) -> Result<Self, TensorError> {
        let borrow = tensor.borrow(BorrowKind::Read)?;
        bool_check::check(tensor, &borrow)?;
        Ok(Self { tensor, _borrow: borrow })
    }
}

/// Copies the elements of `source` to `destination`, casting where the data types differ; the name of
/// the kernel that did, if there was an element.
///
/// # Safety
/// With the source's shape, the destination's strides from its pointer reach memory that is good
/// for writing, that no one else reaches meanwhile and that has no byte in common with the source.
pub(crate) unsafe fn copy_elements(
    source: &Source<'_>,
    destination: Side<'_>,
) -> Option<&'static str> {
    let from = Side::of(source.tensor);
    let shape = source.tensor.shape();
    if shape.contains(&0) {
        return None;
    }
    if let Some(len) = dense_len(shape, from, destination)
        && len <= SMALL_LEN
    {
        // SAFETY: as many elements without gaps on both sides, the source's borrowed, the
        // destination's promised by the caller.
        return Some(unsafe { plan::copy_dense(from, destination, len) });
    }
    if from.dtype == destination.dtype && shape.iter().product::<usize>() <= FEW {
        // SAFETY: the elements of both sides, as above.
        return Some(unsafe { plan::copy_few(shape, from, destination) });
    }
    let pair = Pair::simplify(shape, from, destination);
    let plan = Plan::new(pair, from.dtype, destination.dtype, Tuning::of_this_machine());
    // SAFETY: a plan reaches the elements of both sides; both are good for that: the source is
    // borrowed, the destination promised by the caller.
    unsafe { plan.run() };
    Some(plan.name())
}

/// Up to so many elements without gaps on both sides are copied without a plan.
const SMALL_LEN: usize = 1024;

/// Up to so many elements are moved one by one, without a plan, wherever they lie.
const FEW: usize = 16;

/// The number of elements, if both sides are packed in C order.
fn dense_len(shape: &[usize], source: Side<'_>, destination: Side<'_>) -> Option<usize> {
    let (from_item, to_item) = (source.dtype.item_bytes(), destination.dtype.item_bytes());
    let mut dense = 1_usize;
    let steps = source.strides.iter().zip(destination.strides);
    for (&len, (&from, &to)) in shape.iter().zip(steps).rev() {
        let (is_from, is_to) = (dense * from_item, dense * to_item);
        if len > 1 && (from, to) != (is_from as isize, is_to as isize) {
            return None;
        }
        // More than memory has in a length that a step of 0 repeats: not packed, then.
        dense = dense.checked_mul(len).filter(|&all| all < 1 << 40)?;
    }
    Some(dense)
}
