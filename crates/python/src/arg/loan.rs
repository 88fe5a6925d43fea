//! An argument's memory, checked and borrowed for the time of the call.

use std::fmt::Write as _;
use std::ops::Range;

use ndarray::{Dimension, IxDyn};
use ndbridge_dtype::{ByteOrder, DType};
use ndbridge_interpreter::holder;
use ndbridge_numpy::python::{frozen::Thread, pins::CallPin};
use ndbridge_storage::ledger::CallSite;
use ndbridge_storage::{BorrowError, LentBorrow, Mutability};
use ndbridge_tensor::{Bytes, Order, Outside, RawElements, TensorError};
use pyo3::prelude::*;

use super::axes::Axes;
use super::constraint::{Constraint, Memory};
use super::kinds::DTypes;
use super::naming::{self, Kind, NAME};
use super::purpose::Use;
use crate::incoming::{Incoming, Keeper, check_is_host};
use crate::producer::Producer;

/// Who borrows an argument's memory. PyO3 does not tell which function's argument it is.
pub(super) const ARGUMENT: CallSite = CallSite::named(c"an argument of a running call");

/// An array, borrowed from extraction until this is dropped.
// In memory as written here: the compiler's own order makes a call a tenth slower.
#[repr(C)]
pub(super) struct Loan<'py> {
    // Dropped in this order: released, then let move, then let go.
    pub(super) _borrow: LentBorrow,
    pub(super) pin: CallPin<'py>,
    pub(super) _hold: Keeper<'py>,
    pub(super) object: Bound<'py, PyAny>,
    pub(super) dtype: DType,
}

/// Takes the array that `object` lends, if it is as the types say.
///
/// # Errors
/// Exceptions that name the argument.
#[inline(never)]
pub(super) fn take<'py, T, S, C>(
    object: &Bound<'py, PyAny>,
    wanted: Use,
) -> PyResult<(Loan<'py>, Outside)>
where
    T: DTypes,
    S: Axes,
    C: Constraint,
{
    let incoming = Incoming::of(object).and_then(|incoming| {
        check_is_host(&incoming.outside)?;
        Ok(incoming)
    });
    let incoming = incoming.map_err(|error| naming::with_name(object.py(), wanted, error))?;
    match unmet::<T, S, C>(&incoming, wanted) {
        None => Loan::of(incoming, wanted),
        Some(unmet) => Err(unmet.exception::<T, S, C>(&incoming, wanted)),
    }
}

impl<'py> Loan<'py> {
    /// Borrows an array that will do.
    ///
    /// # Errors
    /// Exceptions that name the argument.
    pub(super) fn of(incoming: Incoming<'py>, wanted: Use) -> PyResult<(Self, Outside)> {
        let pin = incoming.pin()?;
        if !incoming.is_unchanged()? {
            let text = format!("{NAME}: array was changed while it was looked at");
            return Err(naming::exception(incoming.object.py(), Kind::Buffer, &text));
        }
        let region = incoming.outside.region();
        let borrow = LentBorrow::enter(wanted.kind(), &region, ARGUMENT);
        let borrow = borrow.map_err(|error| refused(&incoming, wanted, &error))?;
        check_bools(&incoming)?;
        let Incoming { outside, object, hold, .. } = incoming;
        let dtype = outside.dtype;
        Ok((Self { _borrow: borrow, pin, _hold: hold, object, dtype }, outside))
    }
}

/// The first demand that an array does not meet.
pub(super) enum Unmet {
    DType,
    ByteOrder,
    Shape,
    ReadOnly,
    Constraint,
    Layout(TensorError),
}

/// What `incoming` lacks to be as the types say.
#[inline]
pub(super) fn unmet<T: DTypes, S: Axes, C: Constraint>(
    incoming: &Incoming<'_>,
    wanted: Use,
) -> Option<Unmet> {
    let outside = &incoming.outside;
    if !T::accepts(outside.dtype) {
        return Some(Unmet::DType);
    }
    if !S::accepts(&outside.shape) {
        return Some(Unmet::Shape);
    }
    if outside.byte_order != ByteOrder::NATIVE {
        return Some(Unmet::ByteOrder);
    }
    if !C::accepts(Memory::of(outside)) {
        return Some(Unmet::Constraint);
    }
    let raw = outside.raw();
    if let Err(error) = T::check(&raw) {
        return Some(Unmet::Layout(error));
    }
    if wanted == Use::Read {
        return None;
    }
    if outside.mutability != Mutability::Writable {
        return Some(Unmet::ReadOnly);
    }
    raw.check_write(outside.dtype.item_bytes()).err().map(Unmet::Layout)
}

impl Unmet {
    #[cold]
    pub(super) fn exception<T: DTypes, S: Axes, C: Constraint>(
        self,
        incoming: &Incoming<'_>,
        wanted: Use,
    ) -> PyErr {
        let mut text = format!("{NAME}: expected ");
        // Writing to a string does not fail.
        let _ = (|| {
            text.write_str(if wanted == Use::Write { "writable " } else { "" })?;
            T::name(&mut text)?;
            text.write_str(" ")?;
            S::name(&mut text)?;
            text.write_str(" on cpu")?;
            C::name(&mut text)?;
            write!(text, ", got {}", Got(incoming))
        })();
        if let Self::Layout(error) = &self {
            let _ = write!(text, ", whose {}", reason_alone(error));
        }
        if let Some(remedy) = self.remedy::<T, S, C>(incoming, wanted) {
            let _ = write!(text, ": {remedy}");
        }
        naming::exception(incoming.object.py(), self.kind(), &text)
    }

    fn kind(&self) -> Kind {
        match self {
            Self::DType | Self::ByteOrder => Kind::Type,
            _ => Kind::Value,
        }
    }

    /// The call whose result meets every demand; `None` if the shape is wrong, which no call cures.
    fn remedy<T: DTypes, S: Axes, C: Constraint>(
        &self,
        incoming: &Incoming<'_>,
        wanted: Use,
    ) -> Option<String> {
        let outside = &incoming.outside;
        if !S::accepts(&outside.shape) {
            return None;
        }
        let cast = match T::accepts(outside.dtype) && outside.byte_order == ByteOrder::NATIVE {
            true => None,
            false => Some(T::preferred().unwrap_or(outside.dtype)),
        };
        let item_bytes = cast.unwrap_or(outside.dtype).item_bytes();
        let bytes = Bytes(outside.len().saturating_mul(item_bytes));
        let library_call = match self {
            // Their own copies are as read-only as they are.
            _ if wanted == Use::Write && incoming.producer.is_immutable() => None,
            _ if C::ALIGN_BYTES > LIBRARY_ALIGN_BYTES => None,
            Self::DType | Self::ByteOrder if C::ORDER.is_none() => {
                cast.and_then(|dtype| cast_call(incoming.producer, dtype))
            }
            Self::Constraint if Memory::of(outside).is_aligned_to(C::ALIGN_BYTES) => {
                order_call(incoming.producer, C::ORDER)
            }
            Self::ReadOnly | Self::Layout(_) if C::ORDER.is_none() => copy_call(incoming.producer),
            _ => None,
        };
        let call = library_call.unwrap_or_else(|| own_call(cast, C::ORDER));
        Some(wanted.of(&format!("{call} (copies {bytes})")))
    }
}

/// Every library aligns its own memory to this.
const LIBRARY_ALIGN_BYTES: usize = 16;

fn cast_call(producer: Producer, dtype: DType) -> Option<String> {
    match producer {
        Producer::NumPy | Producer::Ndbridge => Some(format!("{NAME}.astype('{dtype}')")),
        // JAX would narrow 64 bits to 32, unless it is told not to.
        Producer::Jax if dtype.item_bytes() < 8 => Some(format!("{NAME}.astype('{dtype}')")),
        Producer::Torch => Some(format!("{NAME}.to(torch.{dtype})")),
        Producer::TensorFlow => Some(format!("tensorflow.cast({NAME}, '{dtype}')")),
        Producer::Jax | Producer::Other => None,
    }
}

fn order_call(producer: Producer, order: Option<Order>) -> Option<String> {
    match (producer, order) {
        (Producer::NumPy, Some(Order::F)) => Some(format!("numpy.asfortranarray({NAME})")),
        (Producer::NumPy, _) => Some(format!("numpy.ascontiguousarray({NAME})")),
        (Producer::Torch, Some(Order::C)) => Some(format!("{NAME}.contiguous()")),
        _ => None,
    }
}

fn copy_call(producer: Producer) -> Option<String> {
    match producer {
        Producer::NumPy => Some(format!("{NAME}.copy()")),
        Producer::Torch | Producer::Ndbridge => Some(format!("{NAME}.clone()")),
        _ => None,
    }
}

/// A copy by ndbridge, which is aligned to 64 bytes and may be written, whatever came.
fn own_call(cast: Option<DType>, order: Option<Order>) -> String {
    let dtype = cast.map_or_else(String::new, |dtype| format!(", '{dtype}'"));
    let order = match order {
        None => "",
        Some(Order::C) => ".contiguous()",
        Some(Order::F) => ".contiguous('F')",
    };
    format!("ndbridge.tensor({NAME}{dtype}){order}")
}

/// An array in the words of an error: `numpy float64 [480, 640, 3]`.
struct Got<'a, 'py>(&'a Incoming<'py>);

impl std::fmt::Display for Got<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let outside = &self.0.outside;
        let producer = self.0.producer.name();
        write!(f, "{producer} {} {:?}", outside.dtype, outside.shape.as_slice())?;
        if outside.byte_order != ByteOrder::NATIVE {
            write!(f, " in {} byte order", outside.byte_order)?;
        }
        if outside.mutability != Mutability::Writable {
            f.write_str(" (read-only)")?;
        }
        if !outside.is_contiguous(Order::C) {
            write!(f, " with strides {:?} B", outside.strides.as_slice())?;
        }
        Ok(())
    }
}

/// An error's text without the call that it advises.
fn reason_alone(error: &TensorError) -> String {
    let text = error.to_string();
    let end = text.find(": ").unwrap_or(text.len());
    text[..end].to_owned()
}

#[cold]
fn refused(incoming: &Incoming<'_>, wanted: Use, error: &BorrowError) -> PyErr {
    let py = incoming.object.py();
    let copy = || copy_call(incoming.producer).unwrap_or_else(|| own_call(None, None));
    match error {
        BorrowError::Conflict { held, held_at, held_bytes, .. } => {
            let holder = match *held_at == ARGUMENT {
                true => other_argument(py, held_bytes),
                false => holder(held_at),
            };
            let text = format!(
                "{NAME}: {} shares memory that is borrowed {held} by {holder}: {}",
                Got(incoming),
                wanted.of(&copy())
            );
            naming::exception(py, Kind::Buffer, &text)
        }
        BorrowError::ReachesTwice { .. } => {
            let text = format!(
                "{NAME}: {} reaches a byte twice and cannot be written: {}",
                Got(incoming),
                wanted.of(&copy())
            );
            naming::exception(py, Kind::Value, &text)
        }
        _ => naming::exception(py, Kind::Value, &format!("{NAME}: {error}")),
    }
}

/// An argument that is in the way: of this thread's own call, or that of a thread which let go of the
/// interpreter, by where it is now.
fn other_argument(py: Python<'_>, held_bytes: &Range<usize>) -> String {
    let place = Thread::that_lends(held_bytes).and_then(|thread| place_of(py, thread).ok());
    place.map_or_else(
        || "another argument".to_owned(),
        |place| format!("an argument of a call on another thread, in {place}"),
    )
}

/// The Python function that a thread runs, and the line.
fn place_of(py: Python<'_>, Thread(number): Thread) -> PyResult<String> {
    let frame = py.import("sys")?.call_method0("_current_frames")?.get_item(number)?;
    let name = frame.getattr("f_code")?.getattr("co_qualname")?;
    let line = frame.getattr("f_lineno")?;
    Ok(format!("{name}, line {line}"))
}

/// Whether the elements of a `bool` array are 0 or 1, each.
#[inline]
fn check_bools(incoming: &Incoming<'_>) -> PyResult<()> {
    if incoming.outside.dtype != DType::Bool {
        return Ok(());
    }
    // An axis that repeats can be longer than any walk; its first element stands for all.
    let raw = incoming.outside.raw();
    let once = |(&len, &stride): (&usize, &isize)| if stride == 0 { len.min(1) } else { len };
    let shape: Vec<usize> = raw.shape.iter().zip(raw.strides).map(once).collect();
    let raw = RawElements { shape: &shape, ..raw };
    // SAFETY: elements of one byte, which any layout of can be expressed; borrowed by the caller.
    let bytes = unsafe { raw.view::<u8, IxDyn>() };
    match bytes.indexed_iter().find(|(_, byte)| **byte > 1) {
        None => Ok(()),
        Some((index, byte)) => {
            let index = index.slice();
            let call = bytes_call(incoming.producer);
            let text = format!(
                "{NAME}: byte {byte} at index {index:?} is not a bool (0 or 1): pass {call}"
            );
            Err(naming::exception(incoming.object.py(), Kind::Value, &text))
        }
    }
}

/// The elements of a `bool` array as bytes.
fn bytes_call(producer: Producer) -> String {
    match producer {
        Producer::NumPy | Producer::Ndbridge => format!("{NAME}.view('uint8')"),
        Producer::Torch => format!("{NAME}.view(torch.uint8)"),
        _ => format!("ndbridge.asarray({NAME}).view('uint8')"),
    }
}
