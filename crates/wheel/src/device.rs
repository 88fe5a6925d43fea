//! Devices as arguments.

use ndbridge::Device;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Whatever names a device: a string such as `'cuda:0'`, or a `torch.device`.
pub struct DeviceArgument(pub Device);

impl DeviceArgument {
    /// The device that `object` names; `None` if it is of no kind that names one, or a string that
    /// names something else.
    pub fn of(object: &Bound<'_, PyAny>) -> PyResult<Option<Device>> {
        if let Ok(name) = object.cast::<PyString>() {
            return Ok(name.to_str()?.parse().ok());
        }
        if is_torch_device(object)? {
            return object.extract::<Self>().map(|device| Some(device.0));
        }
        Ok(None)
    }
}

impl<'py> FromPyObject<'_, 'py> for DeviceArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let name = match object.cast::<PyString>() {
            Ok(name) => name.to_owned(),
            Err(_) if is_torch_device(&object)? => object.str()?,
            Err(error) => return Err(error.into()),
        };
        let device = name.to_str()?.parse::<Device>();
        device.map(Self).map_err(|error| PyValueError::new_err(error.to_string()))
    }
}

fn is_torch_device(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let kind = object.get_type();
    Ok(kind.name()? == "device" && kind.module()? == "torch")
}
