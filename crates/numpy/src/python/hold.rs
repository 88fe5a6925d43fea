//! Computing without the GIL while Python's writers are kept out, as far as their libraries allow.
//!
//! ```text
//! before      a.flags.writeable True    base.flags.writeable True    bytearray: no export
//! held        a.flags.writeable False   base.flags.writeable False   bytearray: one export
//! after       as before, also if the computation panics
//! ```

use std::ops::{Deref, DerefMut};

use ndbridge_dtype::Element;
use ndbridge_storage::{Access, fork};
use ndbridge_tensor::{ReadGuard, Tensor, WriteGuard};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::api::{NumpyApi, WRITEABLE, set_flag};
use super::arg::{Arg, ArgMut, Axes, Constraint, DTypes};
use super::once::intern;
use super::owner::{PythonOwner, python_owner};
use super::pins::Chain;
use super::producer::{Producer, known};
use super::torch::{self, TorchGate};

const MADE_OF_TENSOR: &str = "arrays made of the tensor, if there are any";

/// Something whose memory Python may write: an argument, a guard, a tensor.
pub trait Lender {
    /// The Python object that lends the memory; `None` if Python does not own it.
    fn lender<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>>;

    /// Whether memory that Python does not own was handed to it, as by `ToNumpy`.
    fn is_handed_out(&self) -> bool {
        false
    }
}

impl<T: DTypes, S: Axes, C: Constraint> Lender for Arg<'_, T, S, C> {
    fn lender<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        Some(self.object().clone().unbind().into_bound(py))
    }
}

impl<T: DTypes, S: Axes, C: Constraint> Lender for ArgMut<'_, T, S, C> {
    fn lender<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        Some(self.object().clone().unbind().into_bound(py))
    }
}

impl Lender for Tensor {
    fn lender<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        python_owner(py, self)
    }

    fn is_handed_out(&self) -> bool {
        self.storage().owner::<PythonOwner>().is_none() && self.storage().access() == Access::Lent
    }
}

impl<T: Element> Lender for ReadGuard<'_, T> {
    fn lender<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.tensor().lender(py)
    }

    fn is_handed_out(&self) -> bool {
        self.tensor().is_handed_out()
    }
}

impl<T: Element> Lender for WriteGuard<'_, T> {
    fn lender<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.tensor().lender(py)
    }

    fn is_handed_out(&self) -> bool {
        self.tensor().is_handed_out()
    }
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
        let held = hold(py, &[self])?;
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
        let held = hold(py, &[self])?;
        let view = &mut **self;
        Ok(held.detach(|| compute(view)))
    }
}

impl<L: Lender + Deref> Detach for L {}
impl<L: Lender + DerefMut> DetachMut for L {}

/// Python's writers kept out of some memory, until this is dropped.
pub struct Hold<'py> {
    py: Python<'py>,
    frozen: Vec<Py<PyAny>>,
    _pins: Vec<Py<PyAny>>,
    _storages: Vec<TorchGate>,
    unblocked: Vec<String>,
}

/// Keeps Python's writers out of the memory of all `lenders`, as far as their libraries allow.
///
/// A NumPy array and the arrays it is a view of are made read-only, and can neither be resized nor
/// freed; a buffer behind them keeps an export. What cannot be blocked,
/// [`unblocked`](Hold::unblocked) names.
///
/// ```no_run
/// use ndbridge_numpy::python::{Any, Arg, ArgMut, hold};
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
    let mut held = Hold { py, frozen: vec![], _pins: vec![], _storages: vec![], unblocked: vec![] };
    for lender in lenders {
        match lender.lender(py) {
            Some(object) => held.keep_still(&object)?,
            None if lender.is_handed_out() => held.unblocked.push(MADE_OF_TENSOR.to_owned()),
            None => {}
        }
    }
    Ok(held)
}

impl Hold<'_> {
    /// What could not be kept out, each in a few words; empty if nobody can write.
    #[must_use]
    pub fn unblocked(&self) -> &[String] {
        &self.unblocked
    }

    /// Lets go of the GIL for the time of `compute`.
    pub fn detach<R: Send>(&self, compute: impl FnOnce() -> R + Send) -> R {
        self.py.detach(compute)
    }

    fn keep_still(&mut self, object: &Bound<'_, PyAny>) -> PyResult<()> {
        if NumpyApi::get(self.py)?.array_of(object).is_some() {
            return self.keep_array_still(object);
        }
        match known(object)?.producer {
            Producer::Jax | Producer::TensorFlow => {} // immutable
            Producer::Ndbridge => self.keep_tensor_still(object)?,
            Producer::Torch => {
                // Torch may put other memory behind the tensor: this storage stays.
                self._storages.push(torch::pin_storage(object)?);
                self.unblocked.push(
                    "torch tensors, which cannot be made read-only nor kept from share_memory_()"
                        .to_owned(),
                );
            }
            Producer::NumPy | Producer::Other => {
                self.unblocked.push(format!("the library of {}", object.get_type()));
            }
        }
        Ok(())
    }

    /// Writers that come by a tensor ask the ledger; those that come by its owner, or by arrays
    /// made of it, do not.
    fn keep_tensor_still(&mut self, tensor: &Bound<'_, PyAny>) -> PyResult<()> {
        match tensor.getattr_opt(intern!(tensor.py(), "owner"))? {
            Some(owner) if !owner.is_none() => self.keep_still(&owner)?,
            _ => {}
        }
        self.unblocked.push(MADE_OF_TENSOR.to_owned());
        Ok(())
    }

    fn keep_array_still(&mut self, object: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut arrays = Vec::new();
        let Chain { pins, end } = Chain::visited(object, |array| arrays.push(array))?;
        self._pins.extend(pins);
        let api = NumpyApi::get(self.py)?;
        arrays.retain(|array| freeze(api, array));
        self.frozen.extend(arrays.into_iter().map(Bound::unbind));
        self.unblocked.push("other views of the array, if there are any".to_owned());
        if let Some(end) = end {
            if end.is_exact_instance_of::<PyBytes>() {
                self.unblocked.pop();
            } else {
                self.unblocked.push(format!("writers of the {} behind the array", end.get_type()));
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Hold<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold").field("unblocked", &self.unblocked).finish_non_exhaustive()
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        for array in &self.frozen {
            thaw(array.bind(self.py));
        }
    }
}

/// Arrays made read-only here, by address, and how often: holds may overlap in time.
static FROZEN: fork::Mutex<Vec<(usize, usize)>> = fork::Mutex::new(10, Vec::new());

/// Makes an array read-only; false if it was, and not by this function.
fn freeze(api: &NumpyApi, array: &Bound<'_, PyAny>) -> bool {
    let address = array.as_ptr().addr();
    let mut frozen = FROZEN.lock();
    if let Some((_, times)) = frozen.iter_mut().find(|(known, _)| *known == address) {
        *times += 1;
        return true;
    }
    let is_writeable = api.array_of(array).is_some_and(|array| array.flags & WRITEABLE != 0);
    if is_writeable {
        // SAFETY: an ndarray; read-only is what any array may be.
        unsafe { set_flag(array.as_ptr(), WRITEABLE, false) };
        frozen.push((address, 1));
    }
    is_writeable
}

fn thaw(array: &Bound<'_, PyAny>) {
    let address = array.as_ptr().addr();
    let mut frozen = FROZEN.lock();
    let Some(position) = frozen.iter().position(|(known, _)| *known == address) else { return };
    frozen[position].1 -= 1;
    if frozen[position].1 == 0 {
        frozen.swap_remove(position);
        // SAFETY: an ndarray whose flag was set before.
        unsafe { set_flag(array.as_ptr(), WRITEABLE, true) };
    }
}
