//! Memory of devices in a build without support for them: told apart, and refused.

use ndbridge_storage::{Device, Storage};
use ndbridge_tensor::Tensor;
use pyo3::prelude::*;

use crate::described::Described;
use crate::dlpack::DlExchange;

pub(super) const LEGACY: i64 = 1;

pub(super) const fn is_supported() -> bool {
    false
}

pub(super) fn own_stream(_ordinal: usize) -> PyResult<usize> {
    Ok(0)
}

pub(super) fn after_stream(_device: Device, _handle: i64) -> PyResult<()> {
    Ok(())
}

pub(super) fn after_current_stream(_table: &DlExchange, _described: &Described) -> PyResult<()> {
    Ok(())
}

pub(super) fn came_back(_storage: &Storage) -> PyResult<()> {
    Ok(())
}

pub(super) fn hand_over(_tensor: &Tensor, _stream: Option<i64>) -> PyResult<()> {
    Ok(())
}

pub(super) fn hand_over_to(_table: Option<&DlExchange>, _tensor: &Tensor) -> PyResult<()> {
    Ok(())
}
