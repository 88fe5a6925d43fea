//! What would happen, what happened, and who shares with whom.

use ndbridge::python::to_py_err;
use ndbridge::tensor::{Action, CopyReasons, Refusal};
use ndbridge::{CopyRule, Plan, Receipt, Request};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::argument::Source;
use crate::create::request_anywhere;
use crate::device::DeviceArgument;
use crate::dtype::DTypeArgument;

fn names(reasons: CopyReasons) -> Vec<&'static str> {
    reasons.iter().map(ndbridge::CopyReason::name).collect()
}

/// What the conversion that made a tensor did.
#[pyclass(name = "Receipt", module = "ndbridge", frozen)]
pub struct PyReceipt(pub Receipt);

#[pymethods]
impl PyReceipt {
    /// Name of the call.
    #[getter]
    fn call(&self) -> &'static str {
        self.0.call()
    }

    /// 'created', 'shared' or 'copied'.
    #[getter]
    fn action(&self) -> &'static str {
        match self.0.action() {
            Action::Shared => "shared",
            Action::Copied { .. } => "copied",
            _ => "created",
        }
    }

    /// Whether the source's memory is used.
    #[getter]
    fn shared(&self) -> bool {
        self.0.is_shared()
    }

    /// Bytes that were copied.
    #[getter]
    fn copied_bytes(&self) -> usize {
        self.0.copied_bytes()
    }

    /// Why they were copied.
    #[getter]
    fn reasons(&self) -> Vec<&'static str> {
        names(self.0.reasons())
    }

    /// Name of the kernel that copied them on the host; None if none did.
    #[getter]
    fn kernel(&self) -> Option<&'static str> {
        self.0.kernel()
    }

    fn __repr__(&self) -> String {
        format!("Receipt({})", self.0)
    }
}

/// What a conversion would do.
#[pyclass(name = "Plan", module = "ndbridge", frozen)]
pub struct PyPlan(Plan);

#[pymethods]
impl PyPlan {
    /// 'share', 'copy' or 'refuse'.
    #[getter]
    fn action(&self) -> &'static str {
        match self.0 {
            Plan::Share => "share",
            Plan::Copy { .. } => "copy",
            Plan::Refuse(_) => "refuse",
        }
    }

    /// Bytes that would be copied.
    #[getter]
    fn copied_bytes(&self) -> usize {
        match self.0 {
            Plan::Copy { bytes, .. } => bytes,
            Plan::Share | Plan::Refuse(_) => 0,
        }
    }

    /// Why they would be copied.
    #[getter]
    fn reasons(&self) -> Vec<&'static str> {
        match &self.0 {
            Plan::Copy { reasons, .. } => names(*reasons),
            Plan::Share | Plan::Refuse(_) => Vec::new(),
        }
    }

    fn __repr__(&self) -> String {
        format!("Plan({})", self.0)
    }
}

/// What `asarray(x, ...)` would do, without doing it.
#[pyfunction]
#[pyo3(signature = (x, dtype=None, copy=None, device=None))]
pub fn plan(
    x: &Bound<'_, PyAny>,
    dtype: Option<DTypeArgument>,
    copy: Option<bool>,
    device: Option<DeviceArgument>,
) -> PyResult<PyPlan> {
    let request = request_anywhere("asarray", dtype, copy, device)?;
    let planned = Source::of(x, &request)?.plan(&request);
    match request.device {
        Some(device) if device.check_exists().is_err() => {
            Ok(PyPlan(Plan::Refuse(Refusal::NoDevice { device })))
        }
        _ => Ok(PyPlan(planned)),
    }
}

/// The tensor of an argument that is to be looked at in place.
fn in_place(call: &'static str, x: &Bound<'_, PyAny>) -> PyResult<ndbridge::Tensor> {
    let request = Request::new(call).with_copy(CopyRule::Never);
    let source = Source::of(x, &request)?;
    source.convert(&request).map_err(|error| {
        PyTypeError::new_err(format!("{call}() looks at arrays in place: {error}"))
    })
}

/// Whether two arrays have a byte in common; exact, also for interleaved views.
#[pyfunction]
pub fn shares_memory(a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(ndbridge::shares_memory(&in_place("shares_memory", a)?, &in_place("shares_memory", b)?))
}

/// Whether two arrays have the same shape and equal elements, as in NumPy.
#[pyfunction]
pub fn array_equal(a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>) -> PyResult<bool> {
    let request = Request::new("array_equal");
    let (a, b) = (Source::of(a, &request)?, Source::of(b, &request)?);
    ndbridge::array_equal(&a.convert(&request)?, &b.convert(&request)?).map_err(to_py_err)
}
