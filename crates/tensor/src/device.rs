//! From one place to another: the host, page-locked host memory, devices.

use ndbridge_storage::Device;

use crate::error::TensorError;
use crate::plan::Request;
use crate::tensor::Tensor;

impl Tensor {
    /// This tensor if it is on `device`, else a copy there.
    ///
    /// The receipt of the result tells which. Host memory of either kind is on [`Device::Cpu`]. The
    /// copy keeps the order of the axes and has no gaps; work that comes later waits for it by
    /// itself.
    ///
    /// ```
    /// use ndbridge_tensor::{Device, Tensor};
    /// let tensor = Tensor::from_vec(vec![1.0_f32, 2.0]);
    /// assert!(tensor.to_device(Device::Cpu)?.receipt().is_shared());
    /// match tensor.to_device(Device::Cuda(0)) {
    ///     Ok(there) => assert_eq!(there.cpu()?.to_vec::<f32>()?, [1.0, 2.0]),
    ///     Err(error) => assert!(error.to_string().starts_with("no device cuda:0: ")),
    /// }
    /// # Ok::<(), ndbridge_tensor::TensorError>(())
    /// ```
    ///
    /// # Errors
    /// [`StorageError::NoDevice`](ndbridge_storage::StorageError::NoDevice) without that device, a
    /// driver, or the feature `cuda`; where a copy is needed, as [`copy`](Self::copy).
    #[track_caller]
    pub fn to_device(&self, device: Device) -> Result<Self, TensorError> {
        self.convert(&Request::new("to_device").with_device(device))
    }

    /// As [`to_device`](Self::to_device), returning while the copy may still run: from page-locked
    /// memory to a device, between devices, and from a device into new page-locked memory.
    ///
    /// Whatever uses the result waits by itself: work on devices in its own order, a guard on the
    /// host. The source is borrowed until the copy has run; a guard that wants to write it waits.
    ///
    /// # Errors
    /// As [`to_device`](Self::to_device). What goes wrong in the copy itself is an error of the call
    /// that waits for it.
    #[track_caller]
    pub fn to_device_non_blocking(&self, device: Device) -> Result<Self, TensorError> {
        let request = Request::new("to_device").with_device(device);
        self.convert(&Request { non_blocking: true, ..request })
    }

    /// This tensor if it is in host memory, else a copy there.
    ///
    /// # Errors
    /// As [`to_device`](Self::to_device).
    #[track_caller]
    pub fn cpu(&self) -> Result<Self, TensorError> {
        self.convert(&Request::new("cpu").with_device(Device::Cpu))
    }

    /// This tensor if it is on the CUDA device with this ordinal, else a copy there.
    ///
    /// # Errors
    /// As [`to_device`](Self::to_device).
    #[track_caller]
    pub fn cuda(&self, ordinal: usize) -> Result<Self, TensorError> {
        self.convert(&Request::new("cuda").with_device(Device::Cuda(ordinal)))
    }

    /// This tensor if it is in page-locked host memory, else a copy there: what devices copy from
    /// and to at full speed, and while the host goes on.
    ///
    /// # Errors
    /// As [`to_device`](Self::to_device).
    #[track_caller]
    pub fn pin_memory(&self) -> Result<Self, TensorError> {
        self.convert(&Request::new("pin_memory").with_device(Device::CudaHost))
    }

    /// Whether it is on a device that something here drives.
    pub(crate) fn is_elsewhere(&self) -> bool {
        !self.device().is_host() && self.storage().backend().is_some()
    }

    /// Whether the copy that fills this tensor has run. Always true on the host, but for page-locked
    /// memory.
    ///
    /// # Errors
    /// What went wrong in that work.
    pub fn is_ready(&self) -> Result<bool, TensorError> {
        Ok(self.storage().is_ready()?)
    }

    /// Waits until [`is_ready`](Self::is_ready).
    ///
    /// # Errors
    /// What went wrong in that work.
    pub fn wait_until_ready(&self) -> Result<(), TensorError> {
        Ok(self.storage().wait_until_ready()?)
    }
}
