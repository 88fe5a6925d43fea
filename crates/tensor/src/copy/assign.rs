//! Writing into memory that exists: assignment and fill.

use ndbridge_dtype::{Casting, DType, Element, Scalar, can_cast};
use ndbridge_storage::{BorrowKind, DEFAULT_BUDGET};

use super::elements::copy_elements;
use super::side::Side;
use super::source::Source;
use crate::count::PendingCopy;
use crate::elsewhere;
use crate::error::TensorError;
use crate::receipt::{CopyReason, CopyReasons};
use crate::tensor::{CopyOrder, Tensor};

impl Tensor {
    /// Writes the elements of `source`, broadcast to this shape, into this tensor's memory.
    ///
    /// Where the two overlap, the result is as if the source had been copied first.
    /// The data type may change within its kind (`same_kind`); see
    /// [`assign_with`](Self::assign_with).
    ///
    /// ```
    /// use ndarray::s;
    /// use ndbridge_tensor::Tensor;
    /// let tensor = Tensor::from_vec(vec![1_i32, 2, 3, 4]);
    /// tensor.slice(s![1..])?.assign(&tensor.slice(s![..3])?)?;
    /// assert_eq!(tensor.to_vec::<i32>()?, [1, 1, 2, 3]);
    /// # Ok::<(), ndbridge_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// If the source cannot be broadcast, read or cast so, or this tensor cannot be written.
    #[track_caller]
    pub fn assign(&self, source: &Self) -> Result<(), TensorError> {
        self.assign_with(source, Casting::SameKind)
    }

    /// As [`assign`](Self::assign), with another rule for changes of data type.
    ///
    /// # Errors
    /// As [`assign`](Self::assign).
    #[track_caller]
    pub fn assign_with(&self, source: &Self, casting: Casting) -> Result<(), TensorError> {
        self.assign_by(source, casting, false)
    }

    /// As [`assign_with`](Self::assign_with), for tensors in different places: a copy between a device and
    /// page-locked memory may still run when this returns. A guard of that memory waits for it.
    ///
    /// # Errors
    /// As [`assign`](Self::assign).
    #[track_caller]
    pub fn assign_non_blocking(&self, source: &Self, casting: Casting) -> Result<(), TensorError> {
        self.assign_by(source, casting, true)
    }

    #[track_caller]
    fn assign_by(
        &self,
        source: &Self,
        casting: Casting,
        non_blocking: bool,
    ) -> Result<(), TensorError> {
        let (from, to) = (source.dtype(), self.dtype());
        if !can_cast(from, to, casting) {
            return Err(TensorError::LossyWrite { from, to, casting });
        }
        let broadcast;
        let wide = if source.shape() == self.shape() {
            source
        } else {
            broadcast = source.broadcast_to(self.shape())?;
            &broadcast
        };
        let reasons = CopyReasons::from(CopyReason::Requested);
        let pending = PendingCopy::begin("assign", reasons, self.size_bytes())?;
        // Searched no further than the ledger does: what it would take for a conflict is set aside.
        if wide.may_overlap(self, DEFAULT_BUDGET).is_disjoint() {
            self.assign_apart(wide, non_blocking)?;
        } else {
            // What cannot be written is refused before anything is set aside.
            drop(self.borrow_anywhere(BorrowKind::Write)?);
            let aside = CopyReason::Overlap.into();
            let copy = source.copy_for("assign", aside, from, CopyOrder::Keep)?;
            self.assign_disjoint(&copy.broadcast_to(self.shape())?)?;
        }
        pending.finish();
        Ok(())
    }

    /// Writes `value` to every element. A number of a wider kind is refused: a float into
    /// integers, a complex number into floats, anything but 0 and 1 into bool.
    ///
    /// ```
    /// use ndbridge_tensor::{DType, Scalar, Tensor};
    /// let tensor = Tensor::zeros(&[2, 2], DType::F32)?;
    /// tensor.select(0, 1)?.fill(Scalar::Float(1.5))?;
    /// assert_eq!(tensor.to_vec::<f32>()?, [0.0, 0.0, 1.5, 1.5]);
    /// # Ok::<(), ndbridge_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// If the data type cannot hold the value, or this tensor cannot be written.
    #[track_caller]
    pub fn fill(&self, value: Scalar) -> Result<(), TensorError> {
        check_kind(value, self.dtype())?;
        if self.is_elsewhere() {
            return elsewhere::fill(self, value);
        }
        let one = Self::from_scalar(value, self.dtype())?;
        self.assign_disjoint(&one.broadcast_to(self.shape())?)
    }

    /// `source` has this shape and no byte in common with `self`.
    #[track_caller]
    pub(crate) fn assign_disjoint(&self, source: &Self) -> Result<(), TensorError> {
        self.assign_apart(source, false)
    }

    #[track_caller]
    fn assign_apart(&self, source: &Self, non_blocking: bool) -> Result<(), TensorError> {
        if self.is_elsewhere() || source.is_elsewhere() {
            return elsewhere::assign_disjoint(self, source, non_blocking);
        }
        let from = if source.dtype() == self.dtype() {
            Source::borrow(source)?
        } else {
            Source::borrow_values(source)?
        };
        let borrow = self.borrow(BorrowKind::Write)?;
        // SAFETY: this tensor's elements, borrowed for writing, apart from the source's.
        unsafe { copy_elements(&from, Side::of(self)) };
        drop(borrow);
        Ok(())
    }

    /// Sets the element at `index`, by ndarray's rules for a single one.
    ///
    /// # Errors
    /// If `index` is out of bounds, `T` is not the data type, or the tensor cannot be written.
    #[track_caller]
    pub fn set<T: Element>(&self, index: &[usize], value: T) -> Result<(), TensorError> {
        let mut guard = self.write::<T>()?;
        let element = guard.get_mut(index).ok_or_else(|| self.out_of_bounds(index))?;
        *element = value;
        Ok(())
    }
}

/// An error if `to` cannot hold numbers of the kind of `value`.
fn check_kind(value: Scalar, to: DType) -> Result<(), TensorError> {
    let from = match value {
        Scalar::Bool(_) | Scalar::Int(0 | 1) | Scalar::UInt(0 | 1) => return Ok(()),
        // Whether an integer is in range is checked with the value.
        Scalar::Int(_) | Scalar::UInt(_) if to != DType::Bool => return Ok(()),
        Scalar::Int(_) => DType::I64,
        Scalar::UInt(_) => DType::U64,
        Scalar::Float(_) => DType::F64,
        Scalar::Complex(_) => DType::C128,
    };
    let casting = Casting::SameKind;
    if can_cast(from, to, casting) {
        return Ok(());
    }
    Err(TensorError::LossyWrite { from, to, casting })
}
