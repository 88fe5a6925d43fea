//! The elements of a tensor as values that know their own type.

use ndbridge_dtype::{Scalar, match_dtype};
use ndbridge_storage::{Borrow, BorrowKind};

use crate::bool_check;
use crate::element_access::load;
use crate::error::TensorError;
use crate::tensor::Tensor;

/// The elements of a tensor as [`Scalar`]s, borrowed for reading.
pub(crate) struct Elements<'t> {
    tensor: &'t Tensor,
    _borrow: Borrow<'t>,
}

impl<'t> Elements<'t> {
    #[track_caller]
    pub(crate) fn of(tensor: &'t Tensor) -> Result<Self, TensorError> {
        let borrow = tensor.borrow(BorrowKind::Read)?;
        bool_check::check(tensor, &borrow)?;
        Ok(Self { tensor, _borrow: borrow })
    }

    /// The element at `index`.
    ///
    /// # Panics
    /// If `index` lies outside of the shape.
    pub(crate) fn at(&self, index: &[usize]) -> Scalar {
        let offset = self.tensor.layout().offset_of(index);
        let offset = offset.unwrap_or_else(|| panic!("index {index:?} outside of the shape"));
        self.load(offset)
    }

    /// All elements, in C order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Scalar> {
        self.tensor.layout().offsets().map(|offset| self.load(offset))
    }

    fn load(&self, offset: usize) -> Scalar {
        let ptr = self.tensor.storage().as_ptr().wrapping_add(offset);
        // SAFETY: both callers pass the offset of an element of the tensor, whose bytes are
        // initialised and borrowed for reading as long as `self` lives.
        match_dtype!(self.tensor.dtype(), T => Scalar::from_element::<T>(unsafe { load::<T>(ptr) }))
    }
}
