//! The short way in, for arrays as most are: contiguous, aligned, of this machine's byte order.
//!
//! Nothing is decided here that the long way would decide otherwise; what is not plain, or does not
//! fit, goes there, and errors are made there.

use std::ops::Range;
use std::panic::Location;

use ndarray::Dimension;
use ndbridge_dtype::DType;
use ndbridge_storage::LentBorrow;
use pyo3::prelude::*;

use super::super::api::{ALIGNED, ArrayObject, C_CONTIGUOUS, NumpyApi, WRITEABLE};
use super::super::incoming::{Hold, look};
use super::super::pins::CallPin;
use super::super::{array, ready};
use super::axes::Axes;
use super::constraint::{Constraint, Memory};
use super::kinds::DTypes;
use super::loan::{Loan, Use};

/// Takes a plain array that is as the types say; `None` if it is not.
#[inline]
pub(super) fn take<'py, T, S, C>(
    object: &Bound<'py, PyAny>,
    wanted: Use,
) -> Option<Loan<'py, S::Dim>>
where
    T: DTypes,
    S: Axes,
    C: Constraint,
{
    let api = ready(object.py())?;
    match api.plain_array(object) {
        Some(found) => of_numpy::<T, S, C>(api, object, found, wanted),
        None => of_torch::<T, S, C>(object, wanted),
    }
}

#[inline]
fn of_numpy<'py, T, S, C>(
    api: &NumpyApi,
    object: &Bound<'py, PyAny>,
    found: &ArrayObject,
    wanted: Use,
) -> Option<Loan<'py, S::Dim>>
where
    T: DTypes,
    S: Axes,
    C: Constraint,
{
    let flags = C_CONTIGUOUS | ALIGNED | if wanted == Use::Write { WRITEABLE } else { 0 };
    if found.flags & flags != flags {
        return None;
    }
    let dtype = array::native_dtype(found)?;
    let lens = array::lens(found).iter().map(|&len| len.cast_unsigned());
    let plain = Plain::<S::Dim>::of::<T, S, C>(found.data, dtype, lens)?;
    let pin = CallPin::array(api, object, found).ok()?;
    plain.lend(object, pin, Hold::Array, wanted)
}

#[inline]
fn of_torch<'py, T, S, C>(object: &Bound<'py, PyAny>, wanted: Use) -> Option<Loan<'py, S::Dim>>
where
    T: DTypes,
    S: Axes,
    C: Constraint,
{
    let (looked, table) = look(object)?;
    let lens = looked.lens().iter().map(|&len| len as usize);
    let plain = Plain::<S::Dim>::of::<T, S, C>(looked.ptr(), looked.dtype(), lens)?;
    plain.lend(object, CallPin::None, Hold::Looked(table), wanted)
}

/// A contiguous array that fits.
struct Plain<D> {
    ptr: *mut u8,
    dtype: DType,
    shape: D,
    strides: D,
    addresses: Range<usize>,
}

impl<D: Dimension> Plain<D> {
    #[inline]
    fn of<T: DTypes, S: Axes<Dim = D>, C: Constraint>(
        ptr: *mut u8,
        dtype: DType,
        lens: impl ExactSizeIterator<Item = usize>,
    ) -> Option<Self> {
        let fits = D::NDIM.is_none_or(|ndim| ndim == lens.len());
        // The bytes of a bool are looked at on the long way.
        if !fits || !T::accepts(dtype) || dtype == DType::Bool {
            return None;
        }
        let mut shape = D::zeros(lens.len());
        shape.slice_mut().iter_mut().zip(lens).for_each(|(to, len)| *to = len);
        let mut strides = shape.clone();
        let mut step = dtype.item_bytes();
        for (stride, &len) in strides.slice_mut().iter_mut().zip(shape.slice()).rev() {
            *stride = step;
            step = step.checked_mul(len)?;
        }
        let end = ptr.addr().checked_add(step)?;
        let is_empty = step == 0;
        let memory = Memory::contiguous(ptr, shape.slice());
        let will_do = !is_empty && S::accepts(shape.slice()) && C::accepts(memory);
        let addresses = ptr.addr()..end;
        (will_do && step <= isize::MAX as usize).then_some(Self {
            ptr,
            dtype,
            shape,
            strides,
            addresses,
        })
    }

    /// Borrows it; `None` if somebody else has.
    #[inline]
    fn lend<'py>(
        self,
        object: &Bound<'py, PyAny>,
        pin: CallPin<'py>,
        hold: Hold<'py>,
        wanted: Use,
    ) -> Option<Loan<'py, D>> {
        let Self { ptr, dtype, shape, strides, addresses } = self;
        let borrow = LentBorrow::enter_all(wanted.kind(), addresses, Location::caller()).ok()?;
        let object = object.clone();
        Some(Loan { _borrow: borrow, _pin: pin, _hold: hold, object, dtype, ptr, shape, strides })
    }
}
