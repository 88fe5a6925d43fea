//! Arguments that are copied where they cannot be shared.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use ndarray::{ArrayRef, ArrayView};
use ndbridge_dtype::{Casting, Element};
use ndbridge_interpreter::to_py_err;
use ndbridge_storage::{BorrowKind, OwnedBorrow};
use ndbridge_tensor::{
    CopyRule, Facts, Outside, Plan, RawElements, Receipt, Request, Tensor, plan,
};
use pyo3::Borrowed;
use pyo3::prelude::*;

use super::axes::{AnyShape, Axes};
use super::constraint::Constraint;
use super::loan::{Loan, Unmet, unmet};
use super::naming;
use super::purpose::Use;
use crate::import::{Found, gather};
use crate::incoming::{Incoming, check_is_host};

/// An array to be read, shared if it is as the types say, else copied into such a one: of another
/// data type (as far as `same_kind` casting goes), order or alignment, or from a list or number.
///
/// [`receipt`](Self::receipt) tells which. A shape that does not fit is refused.
pub struct ArgCow<'py, T: Element, S: Axes = AnyShape, C: Constraint = ()> {
    view: ArrayView<'static, T, S::Dim>,
    _held: Held<'py>,
    receipt: Receipt,
    _demands: PhantomData<C>,
}

/// What the view's memory is held by.
enum Held<'py> {
    Shared { _loan: Loan<'py> },
    Copied { _borrow: OwnedBorrow },
}

const CALL: &str = "ArgCow";

impl<'py, T: Element, S: Axes, C: Constraint> FromPyObject<'_, 'py> for ArgCow<'py, T, S, C> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let py = object.py();
        let source =
            Source::of(&object).map_err(|error| naming::with_name(py, Use::Read, error))?;
        if !S::accepts(&source.incoming.outside.shape) {
            return Err(Unmet::Shape.exception::<T, S, C>(&source.incoming, Use::Read));
        }
        if source.is_array && unmet::<T, S, C>(&source.incoming, Use::Read).is_none() {
            return Self::shared(Loan::of(source.incoming, Use::Read)?);
        }
        let copied = source.copied::<T, C>();
        Self::copied(copied.map_err(|error| naming::with_name(py, Use::Read, error))?)
    }
}

/// What an argument is made of.
struct Source<'py> {
    incoming: Incoming<'py>,
    /// Else gathered from a list or number.
    is_array: bool,
}

impl<'py> Source<'py> {
    fn of(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Some(incoming) = Incoming::find(object)? {
            check_is_host(&incoming.outside)?;
            return Ok(Self { incoming, is_array: true });
        }
        let gathered = gather(object, None)?;
        Ok(Self { incoming: Incoming::of(&gathered)?, is_array: false })
    }

    /// A copy of the elements that is as the types say.
    fn copied<T: Element, C: Constraint>(self) -> PyResult<Tensor> {
        let facts = Facts { is_array: self.is_array, ..self.incoming.outside.facts() };
        let request = Request {
            casting: Casting::SameKind,
            order: C::ORDER,
            aligned: true,
            ..Request::new(CALL).with_dtype(T::DTYPE)
        };
        // What a plan does not know of is cured by any copy: it has no gaps, and is aligned for
        // every demand up to a cache line.
        let rule = match plan(&facts, &request) {
            Plan::Share => CopyRule::Always,
            _ => CopyRule::IfNeeded,
        };
        Found { incoming: self.incoming }.convert_as(&facts, &request.with_copy(rule))
    }
}

impl<T: Element, S: Axes, C: Constraint> ArgCow<'_, T, S, C> {
    /// Whether the array was shared or copied, and why.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }
}

impl<'py, T: Element, S: Axes, C: Constraint> ArgCow<'py, T, S, C> {
    fn shared((loan, outside): (Loan<'py>, Outside)) -> PyResult<Self> {
        // SAFETY: as for `Arg`.
        let view = unsafe { outside.raw().view() };
        let receipt = Receipt::shared(CALL);
        Ok(Self { view, _held: Held::Shared { _loan: loan }, receipt, _demands: PhantomData })
    }

    fn copied(tensor: Tensor) -> PyResult<Self> {
        let raw =
            RawElements { ptr: tensor.as_ptr(), shape: tensor.shape(), strides: tensor.strides() };
        raw.check_view::<T>().map_err(to_py_err)?;
        let region = raw.region(size_of::<T>());
        let borrow = tensor.storage().borrow_owned(BorrowKind::Read, &region);
        let borrow = borrow.map_err(|error| to_py_err(error.into()))?;
        // SAFETY: checked for T, of the shape that `S` accepts; the borrow holds the storage, which
        // nobody else knows, for as long as the view.
        let view = unsafe { raw.view() };
        let receipt = *tensor.receipt();
        Ok(Self { view, _held: Held::Copied { _borrow: borrow }, receipt, _demands: PhantomData })
    }
}

impl<T: Element, S: Axes, C: Constraint> Deref for ArgCow<'_, T, S, C> {
    type Target = ArrayRef<T, S::Dim>;

    fn deref(&self) -> &Self::Target {
        &self.view
    }
}

impl<T: Element, S: Axes, C: Constraint> fmt::Debug for ArgCow<'_, T, S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArgCow")
            .field("dtype", &T::DTYPE)
            .field("shape", &self.view.shape())
            .field("receipt", &self.receipt)
            .finish_non_exhaustive()
    }
}
