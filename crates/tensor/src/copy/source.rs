//! What a copy reads.

use ndbridge_storage::{Borrow, BorrowKind};

use crate::bool_check;
use crate::error::TensorError;
use crate::tensor::Tensor;

/// A tensor borrowed for reading, whose elements are known to be values of its data type.
pub(crate) struct Source<'t> {
    pub(super) tensor: &'t Tensor,
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
