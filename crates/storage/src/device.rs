//! Where memory lives.

use std::fmt;
use std::str::FromStr;

use crate::{DeviceError, StorageError};

/// The device whose memory a [`Storage`](crate::Storage) points to: plain data, no driver behind it.
///
/// ```
/// use ndbridge_storage::Device;
///
/// assert_eq!("cuda:1".parse(), Ok(Device::Cuda(1)));
/// assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
/// assert_eq!(Device::Cpu.to_string(), "cpu");
/// assert!(!Device::Cuda(0).is_host());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Device {
    /// Main memory.
    #[default]
    Cpu,
    /// Memory of the CUDA device with this ordinal; host code must not touch it.
    Cuda(usize),
    /// Pinned main memory, registered with CUDA; host code uses it like [`Device::Cpu`].
    CudaHost,
}

impl Device {
    /// Whether host code may dereference pointers into this memory.
    #[inline]
    pub const fn is_host(self) -> bool {
        matches!(self, Device::Cpu | Device::CudaHost)
    }

    /// Whether memory can be had there: always on the host; else there must be a driver, and such
    /// a device.
    ///
    /// # Errors
    /// [`StorageError::NoDevice`] that says what is missing.
    pub fn check_exists(self) -> Result<(), StorageError> {
        if self == Device::Cpu {
            return Ok(());
        }
        #[cfg(feature = "cuda")]
        return crate::cuda::check_exists(self);
        #[cfg(not(feature = "cuda"))]
        Err(StorageError::without_cuda(self))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
            Device::CudaHost => f.write_str("cuda_host"),
        }
    }
}

impl FromStr for Device {
    type Err = DeviceError;

    /// Reads what [`Display`](fmt::Display) writes; `"cuda"` alone is the first device.
    fn from_str(name: &str) -> Result<Self, DeviceError> {
        match name {
            "cpu" | "cpu:0" => return Ok(Device::Cpu),
            "cuda" => return Ok(Device::Cuda(0)),
            "cuda_host" => return Ok(Device::CudaHost),
            _ => {}
        }
        // `parse` alone would also take "cuda:+1".
        name.strip_prefix("cuda:")
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .map(Device::Cuda)
            .ok_or_else(|| DeviceError { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for device in [Device::Cpu, Device::Cuda(0), Device::Cuda(17), Device::CudaHost] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
    }

    #[test]
    fn other_names_are_refused_with_the_name() {
        for name in ["", "CPU", "cuda:", "cuda:-1", "cuda:+1", "cuda:1x", "cpu:1", "tpu:0"] {
            assert_eq!(
                name.parse::<Device>(),
                Err(DeviceError { name: name.to_owned() }),
                "{name:?}"
            );
        }
        let error = "tpu:0".parse::<Device>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown device \"tpu:0\", expected \"cpu\", \"cuda\", \"cuda:N\" or \"cuda_host\""
        );
    }
}
