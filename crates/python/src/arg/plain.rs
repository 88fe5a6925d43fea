//! The short way in, for arrays as most are: contiguous, aligned, of this machine's byte order.
//!
//! Nothing is decided here that the long way would decide otherwise; what is not plain, or does not
//! fit, goes there, and errors are made there.

use ndarray::Dimension;
use ndbridge_dtype::DType;
use ndbridge_numpy::python::{
    api::{ALIGNED, ArrayObject, C_CONTIGUOUS, WRITEABLE},
    array,
    pins::CallPin,
    ready,
};
use ndbridge_storage::LentBorrow;
use pyo3::prelude::*;

use super::axes::Axes;
use super::constraint::{Constraint, Memory};
use super::kinds::DTypes;
use super::loan::{ARGUMENT, Loan};
use super::purpose::Use;
use crate::incoming::{Glance, Keeper, look};

/// A loan of elements in C order without gaps, aligned, not of `bool`.
pub(super) struct Plain<'py, D> {
    pub(super) loan: Loan<'py>,
    pub(super) ptr: *mut u8,
    pub(super) shape: D,
}

/// Takes a plain NumPy array that is as the types say; `None` if it is not.
#[inline(always)]
pub(super) fn numpy<'py, T, S, C>(
    object: &Bound<'py, PyAny>,
    wanted: Use,
) -> Option<Plain<'py, S::Dim>>
where
    T: DTypes,
    S: Axes,
    C: Constraint,
{
    let api = ready(object.py())?;
    let found = api.plain_array(object)?;
    let elements = Elements::<S::Dim>::of_numpy::<T, S, C>(&found, wanted)?;
    let pin = || CallPin::array(api, object, &found).ok();
    elements.lend(object, pin, Keeper::Array, wanted)
}

/// As [`numpy`], for tensors of torch and TensorFlow.
#[inline(always)]
pub(super) fn tensor<'py, T, S, C>(
    object: &Bound<'py, PyAny>,
    wanted: Use,
) -> Option<Plain<'py, S::Dim>>
where
    T: DTypes,
    S: Axes,
    C: Constraint,
{
    let api = ready(object.py())?;
    match look(object)? {
        Glance::Header(header, storage) => {
            let lens = header.lens().iter().map(|&len| len as usize);
            let elements = Elements::of::<T, S, C>(header.ptr(), header.dtype(), lens)?;
            elements.lend(object, || Some(CallPin::None), Keeper::Torch(storage), wanted)
        }
        Glance::Immutable(array) if wanted == Use::Read => {
            let found = api.plain_array(&array)?;
            let elements = Elements::of_numpy::<T, S, C>(&found, wanted)?;
            elements.lend(object, || Some(CallPin::None), Keeper::Kept(array), wanted)
        }
        Glance::Immutable(_) => None,
    }
}

/// Elements that fit, not yet borrowed.
struct Elements<D> {
    ptr: *mut u8,
    dtype: DType,
    shape: D,
    len_bytes: usize,
}

impl<D: Dimension> Elements<D> {
    #[inline(always)]
    fn of_numpy<T, S, C>(array: &ArrayObject, wanted: Use) -> Option<Self>
    where
        T: DTypes,
        S: Axes<Dim = D>,
        C: Constraint,
    {
        let flags = C_CONTIGUOUS | ALIGNED | if wanted == Use::Write { WRITEABLE } else { 0 };
        if array.flags & flags != flags {
            return None;
        }
        let lens = array::lens(array).iter().map(|&len| len.cast_unsigned());
        Self::of::<T, S, C>(array.data, array::native_dtype(array)?, lens)
    }

    #[inline(always)]
    fn of<T, S, C>(
        ptr: *mut u8,
        dtype: DType,
        lens: impl ExactSizeIterator<Item = usize>,
    ) -> Option<Self>
    where
        T: DTypes,
        S: Axes<Dim = D>,
        C: Constraint,
    {
        let fits = D::NDIM.is_none_or(|ndim| ndim == lens.len());
        // The bytes of a bool are looked at on the long way.
        if !fits || !T::accepts(dtype) || dtype == DType::Bool {
            return None;
        }
        let mut shape = D::zeros(lens.len());
        shape.slice_mut().iter_mut().zip(lens).for_each(|(to, len)| *to = len);
        let lens = shape.slice();
        let bytes = |bytes: usize, &len: &usize| bytes.checked_mul(len);
        let len_bytes = lens.iter().try_fold(dtype.item_bytes(), bytes)?;
        let memory = Memory::contiguous(ptr, lens);
        let will_do = len_bytes > 0 && S::accepts(lens) && C::accepts(memory);
        let is_possible = ptr.addr().checked_add(len_bytes)? <= isize::MAX as usize;
        (will_do && is_possible).then_some(Self { ptr, dtype, shape, len_bytes })
    }

    /// Borrows them; `None` if somebody else has.
    #[inline(always)]
    fn lend<'py>(
        self,
        object: &Bound<'py, PyAny>,
        pin: impl FnOnce() -> Option<CallPin<'py>>,
        hold: Keeper<'py>,
        wanted: Use,
    ) -> Option<Plain<'py, D>> {
        let Self { ptr, dtype, shape, len_bytes } = self;
        let addresses = ptr.addr()..ptr.addr() + len_bytes;
        let borrow = LentBorrow::try_enter_all(wanted.kind(), addresses, ARGUMENT)?;
        let pin = pin()?;
        let loan = Loan { _borrow: borrow, pin, _hold: hold, object: object.clone(), dtype };
        Some(Plain { loan, ptr, shape })
    }
}
