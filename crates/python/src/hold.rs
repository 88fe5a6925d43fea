//! Computing without the GIL while Python's writers are kept out, as far as their libraries allow.
//!
//! The ledger keeps out whoever asks it, whatever is frozen here: other arguments, guards, tensors,
//! rust-numpy. NumPy's own writers ask nobody; of these, the array that was passed is frozen:
//!
//! ```text
//! before      a.flags.writeable True    base.flags.writeable True
//! held        a.flags.writeable False   base.flags.writeable True    ArgMut of a: BufferError
//! after       as before, also if the computation panics, unless a.setflags(write=..) was called
//! ```
//!
//! Threads that compute with rows of one array therefore do not disturb each other, nor those that
//! write other rows. Writers that come by another array over the same memory are not kept out: they
//! would race with the computation, as in any other code without the GIL. [`Freeze::ArrayAndBases`]
//! keeps those out that come by an array which the one passed is a view of.
//!
//! # Limitations
//! - What somebody makes *with NumPy* of a held array meanwhile (a view, a memoryview) inherits that
//!   it is read-only, for good. What is made of it here (`from_numpy`, an argument) does not.
//! - `a.flags.writeable`, asked of a held array or such a view, comes with a `FutureWarning` of
//!   NumPy's that speaks of `broadcast_array`: the mark by which an array shows whether its user
//!   changed the flag meanwhile is NumPy's for that.
//! - Both are avoided by [`Freeze::Nothing`].

use std::cell::OnceCell;
use std::ops::{Deref, DerefMut};

use ndbridge_interpreter::intern;
use ndbridge_numpy::python::{
    api::NumpyApi,
    array::describe_again,
    frozen::{Frozen, Noted},
    pins::{Link, walk},
};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use smallvec::SmallVec;

use crate::lender::Lender;
use crate::producer::{Producer, known};

/// Which NumPy arrays a hold makes read-only for its time.
///
/// | | writers kept out | price |
/// |---|---|---|
/// | `Nothing` | those that ask the ledger | none |
/// | `Array` | and those of the array that was passed | views that NumPy makes of it meanwhile stay read-only |
/// | `ArrayAndBases` | and those of every array it is a view of | the same for these; other threads cannot write, or pass to be written by another library, *any* row of them meanwhile |
///
/// A tensor that is all of an array counts as that array; one that is a part of it is a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Freeze {
    /// No array.
    Nothing,
    /// The array object that was passed.
    #[default]
    Array,
    /// The array object that was passed, and all arrays that it is a view of.
    ArrayAndBases,
}

/// Computes on borrowed elements without the GIL.
pub trait Detach: Lender + Deref {
    /// Lets go of the GIL for the time of `compute`, with Python's writers kept out as [`hold`]
    /// does.
    ///
    /// # Errors
    /// What Python raises while its objects are looked at.
    fn detach<R: Send>(
        &self,
        py: Python<'_>,
        compute: impl FnOnce(&Self::Target) -> R + Send,
    ) -> PyResult<R>
    where
        Self: Sized,
        Self::Target: Sync,
    {
        self.detach_with(py, Freeze::Array, compute)
    }

    /// As [`detach`](Self::detach), with the arrays read-only that `freeze` names.
    ///
    /// # Errors
    /// As [`detach`](Self::detach).
    fn detach_with<R: Send>(
        &self,
        py: Python<'_>,
        freeze: Freeze,
        compute: impl FnOnce(&Self::Target) -> R + Send,
    ) -> PyResult<R>
    where
        Self: Sized,
        Self::Target: Sync,
    {
        let held = hold_with(py, freeze, &[self])?;
        let view = &**self;
        Ok(held.detach(|| compute(view)))
    }
}

/// Computes on elements borrowed for writing without the GIL.
pub trait DetachMut: Lender + DerefMut {
    /// As [`Detach::detach`], for elements that are written.
    ///
    /// # Errors
    /// As [`Detach::detach`].
    fn detach_mut<R: Send>(
        &mut self,
        py: Python<'_>,
        compute: impl FnOnce(&mut Self::Target) -> R + Send,
    ) -> PyResult<R>
    where
        Self: Sized,
        Self::Target: Send,
    {
        self.detach_mut_with(py, Freeze::Array, compute)
    }

    /// As [`Detach::detach_with`], for elements that are written.
    ///
    /// # Errors
    /// As [`Detach::detach`].
    fn detach_mut_with<R: Send>(
        &mut self,
        py: Python<'_>,
        freeze: Freeze,
        compute: impl FnOnce(&mut Self::Target) -> R + Send,
    ) -> PyResult<R>
    where
        Self: Sized,
        Self::Target: Send,
    {
        let held = hold_with(py, freeze, &[self])?;
        let view = &mut **self;
        Ok(held.detach(|| compute(view)))
    }
}

impl<L: Lender + Deref> Detach for L {}
impl<L: Lender + DerefMut> DetachMut for L {}

/// Python's writers kept out of some memory, until this is dropped.
pub struct Hold<'py> {
    py: Python<'py>,
    freeze: Freeze,
    lenders: SmallVec<[Lent<'py>; 2]>,
    // Dropped to let writers in again.
    _frozen: SmallVec<[Frozen<'py>; 2]>,
    _noted: SmallVec<[Noted; 4]>,
    unblocked: OnceCell<Vec<String>>,
}

/// What a lender told.
struct Lent<'py> {
    object: Option<Bound<'py, PyAny>>,
    is_handed_out: bool,
}

/// Keeps Python's writers out of the memory of all `lenders`, as far as their libraries allow.
///
/// The NumPy array that was passed is read-only meanwhile; no array can be resized or freed, nor a
/// buffer behind it. What cannot be blocked, [`unblocked`](Hold::unblocked) names.
///
/// ```no_run
/// use ndbridge_python::{Any, Arg, ArgMut, hold};
/// use pyo3::prelude::*;
///
/// #[pyfunction]
/// fn double(
///     py: Python<'_>,
///     from: Arg<'_, f32, (Any,)>,
///     mut to: ArgMut<'_, f32, (Any,)>,
/// ) -> PyResult<()> {
///     let held = hold(py, &[&from, &to])?;
///     let (from, to) = (&*from, &mut *to);
///     held.detach(|| to.zip_mut_with(from, |to, from| *to = 2.0 * from));
///     Ok(())
/// }
/// ```
///
/// # Errors
/// What Python raises while its objects are looked at; nothing is held then.
pub fn hold<'py>(py: Python<'py>, lenders: &[&dyn Lender]) -> PyResult<Hold<'py>> {
    hold_with(py, Freeze::Array, lenders)
}

/// As [`hold`], with the arrays read-only that `freeze` names.
///
/// ```no_run
/// use ndbridge_python::{Arg, Freeze, hold_with};
/// use pyo3::prelude::*;
///
/// /// While this adds up a row, nobody writes to the matrix by NumPy.
/// #[pyfunction]
/// fn sum(py: Python<'_>, row: Arg<'_, f64>) -> PyResult<f64> {
///     let held = hold_with(py, Freeze::ArrayAndBases, &[&row])?;
///     let row = &*row;
///     Ok(held.detach(|| row.sum()))
/// }
/// ```
///
/// # Errors
/// As [`hold`].
pub fn hold_with<'py>(
    py: Python<'py>,
    freeze: Freeze,
    lenders: &[&dyn Lender],
) -> PyResult<Hold<'py>> {
    let (lent, frozen, noted) = (SmallVec::new(), SmallVec::new(), SmallVec::new());
    let mut held = Hold {
        py,
        freeze,
        lenders: lent,
        _frozen: frozen,
        _noted: noted,
        unblocked: OnceCell::new(),
    };
    for lender in lenders {
        held._noted.extend(lender.addresses().map(Noted::lent));
        held._noted.extend(lender.cleared().map(Noted::pinned));
        let (object, is_handed_out) = (lender.lender(py), lender.is_handed_out());
        if let Some(object) = &object {
            held.keep_still(object, lender.extent())?;
        }
        held.lenders.push(Lent { object, is_handed_out });
    }
    Ok(held)
}

impl<'py> Hold<'py> {
    /// What could not be kept out, each in a few words; empty if nobody can write.
    #[must_use]
    pub fn unblocked(&self) -> &[String] {
        self.unblocked.get_or_init(|| {
            let mut found = Vec::new();
            for Lent { object, is_handed_out } in &self.lenders {
                match object {
                    // What cannot even be asked is not kept out.
                    Some(object) if name_writers(object, self.freeze, &mut found).is_err() => {
                        found.push(format!("writers of the {}", object.get_type()));
                    }
                    None if *is_handed_out => found.push(MADE_OF_TENSOR.to_owned()),
                    _ => {}
                }
            }
            found
        })
    }

    /// Lets go of the GIL for the time of `compute`.
    pub fn detach<R: Send>(&self, compute: impl FnOnce() -> R + Send) -> R {
        self.py.detach(compute)
    }

    /// Freezes the array that was passed; `extent` is that of a tensor made of it.
    fn keep_still(
        &mut self,
        object: &Bound<'py, PyAny>,
        extent: Option<(usize, usize)>,
    ) -> PyResult<()> {
        if self.freeze == Freeze::Nothing {
            return Ok(());
        }
        let api = NumpyApi::get(self.py)?;
        if api.array_of(object).is_none() {
            return self.keep_owner_still(object);
        }
        if self.freeze == Freeze::ArrayAndBases {
            return walk(object, |link| {
                if let Link::Array(array) = link {
                    self._frozen.extend(Frozen::new(api, &array));
                }
                Ok(())
            });
        }
        let is_passed = match extent {
            None => true,
            Some(extent) => extent == extent_of(object)?,
        };
        self._frozen.extend(Frozen::new(api, object).filter(|_| is_passed));
        Ok(())
    }

    /// The array that a tensor, which is Python's own object here, was made of.
    fn keep_owner_still(&mut self, object: &Bound<'py, PyAny>) -> PyResult<()> {
        if known(object)?.producer != Producer::Ndbridge {
            return Ok(());
        }
        let Some(owner) = owner_of(object)? else { return Ok(()) };
        let address = object.call_method0(intern!(self.py, "data_ptr"))?.extract()?;
        let len_bytes = object.getattr(intern!(self.py, "nbytes"))?.extract()?;
        self.keep_still(&owner, Some((address, len_bytes)))
    }
}

/// Address and count of bytes of an array's elements.
fn extent_of(array: &Bound<'_, PyAny>) -> PyResult<(usize, usize)> {
    let outside = describe_again(array)?;
    Ok((outside.ptr.addr(), outside.len() * outside.dtype.item_bytes()))
}

/// The object that a tensor's memory belongs to, if it is Python's.
fn owner_of<'py>(tensor: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let owner = tensor.getattr_opt(intern!(tensor.py(), "owner"))?;
    Ok(owner.filter(|owner| !owner.is_none()))
}

const MADE_OF_TENSOR: &str = "arrays made of the tensor, if there are any";

/// Names the writers of an object's memory that are not kept out.
fn name_writers(
    object: &Bound<'_, PyAny>,
    freeze: Freeze,
    found: &mut Vec<String>,
) -> PyResult<()> {
    if NumpyApi::get(object.py())?.array_of(object).is_some() {
        return name_writers_of_array(object, freeze, found);
    }
    match known(object)?.producer {
        Producer::Jax | Producer::TensorFlow => {} // immutable
        // Writers that come by a tensor ask the ledger; those that come by its owner, or by arrays
        // made of it, do not.
        Producer::Ndbridge => {
            if let Some(owner) = owner_of(object)? {
                name_writers(&owner, freeze, found)?;
            }
            found.push(MADE_OF_TENSOR.to_owned());
        }
        Producer::Torch => found.push(
            "torch tensors, which cannot be made read-only nor kept from share_memory_()"
                .to_owned(),
        ),
        Producer::NumPy | Producer::Other => {
            found.push(format!("the library of {}", object.get_type()));
        }
    }
    Ok(())
}

fn name_writers_of_array(
    array: &Bound<'_, PyAny>,
    freeze: Freeze,
    found: &mut Vec<String>,
) -> PyResult<()> {
    let mut end = None;
    walk(array, |link| {
        if let Link::End(object) = link {
            end = Some(object);
        }
        Ok(())
    })?;
    if end.as_ref().is_some_and(|end| end.is_exact_instance_of::<PyBytes>()) {
        return Ok(());
    }
    let arrays = match freeze {
        Freeze::Nothing => "the array, and other arrays over its memory, if there are any",
        Freeze::Array => "other arrays over the memory, if there are any",
        Freeze::ArrayAndBases => "other views of the array, if there are any",
    };
    found.push(arrays.to_owned());
    found.extend(end.map(|end| format!("writers of the {} behind the array", end.get_type())));
    Ok(())
}

impl std::fmt::Debug for Hold<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold").field("unblocked", &self.unblocked()).finish_non_exhaustive()
    }
}
