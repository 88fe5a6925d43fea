//! Where memory lives.

use std::fmt;
use std::str::FromStr;

/// The device whose memory a [`Storage`](crate::Storage) points to: plain data, no driver behind it.
///
/// Any device that DLPack has a number for is one, also if nobody drives it here: its memory can be
/// taken, viewed and passed on.
///
/// ```
/// use ndbridge_storage::Device;
///
/// assert_eq!("cuda:1".parse(), Ok(Device::Cuda(1)));
/// assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
/// assert_eq!(Device::Cpu.to_string(), "cpu");
/// assert!(!Device::Cuda(0).is_host());
/// let radeon = Device::from_dlpack(10, 1).unwrap();
/// assert_eq!(radeon.to_string(), "rocm:1");
/// assert!(radeon.check_exists().is_err()); // says that nothing here drives it
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
    /// Memory of a device of another kind, made by [`from_dlpack`](Self::from_dlpack); host code must
    /// not touch it.
    Other(OtherDevice),
}

/// A device by DLPack's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OtherDevice {
    // INVARIANT: positive, and none of the kinds that `Device` has an arm for.
    kind: i32,
    id: i32,
}

const CPU: i32 = 1;
const CUDA: i32 = 2;
const CUDA_HOST: i32 = 3;
const CUDA_MANAGED: i32 = 13;

/// What other kinds are called.
const NAMES: [(i32, &str); 12] = [
    (4, "opencl"),
    (7, "vulkan"),
    (8, "metal"),
    (9, "vpi"),
    (10, "rocm"),
    (11, "rocm_host"),
    (12, "ext_dev"),
    (14, "oneapi"),
    (15, "webgpu"),
    (16, "hexagon"),
    (17, "maia"),
    (18, "trainium"),
];

impl Device {
    /// The device with DLPack's number of its kind, and this ordinal among its kind; `None` if no
    /// device can have these. Memory that moves between the host and a CUDA device is on that.
    #[must_use]
    pub fn from_dlpack(kind: i32, id: i32) -> Option<Self> {
        match kind {
            ..=0 => None,
            CPU => Some(Device::Cpu),
            CUDA_HOST => Some(Device::CudaHost),
            CUDA | CUDA_MANAGED => usize::try_from(id).ok().map(Device::Cuda),
            _ => Some(Device::Other(OtherDevice { kind, id })),
        }
    }

    /// DLPack's number of the kind, and the ordinal among its kind; `None` if that is too large.
    #[must_use]
    pub fn to_dlpack(self) -> Option<(i32, i32)> {
        match self {
            Device::Cpu => Some((CPU, 0)),
            Device::CudaHost => Some((CUDA_HOST, 0)),
            Device::Cuda(ordinal) => i32::try_from(ordinal).ok().map(|id| (CUDA, id)),
            Device::Other(OtherDevice { kind, id }) => Some((kind, id)),
        }
    }

    /// Whether host code may dereference pointers into this memory.
    #[inline]
    pub const fn is_host(self) -> bool {
        matches!(self, Device::Cpu | Device::CudaHost)
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
            Device::CudaHost => f.write_str("cuda_host"),
            Device::Other(OtherDevice { kind, id }) => {
                match NAMES.iter().find(|(known, _)| known == kind) {
                    Some((_, name)) => write!(f, "{name}:{id}"),
                    None => write!(f, "dlpack_{kind}:{id}"),
                }
            }
        }
    }
}

impl FromStr for Device {
    type Err = DeviceError;

    /// Reads what [`Display`](fmt::Display) writes; `"cuda"` alone is the first device.
    fn from_str(name: &str) -> Result<Self, DeviceError> {
        match name {
            "cpu" | "cpu:0" => return Ok(Device::Cpu),
            "cuda_host" => return Ok(Device::CudaHost),
            _ => {}
        }
        let (kind, digits) = name.split_once(':').unwrap_or((name, "0"));
        // `parse` alone would also take "cuda:+1".
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let device = match kind {
            "cuda" => digits.parse().ok().map(Device::Cuda),
            _ => kind_named(kind)
                .zip(digits.parse().ok())
                .and_then(|(kind, id)| Device::from_dlpack(kind, id)),
        };
        device.filter(|_| is_number).ok_or_else(|| DeviceError { name: name.to_owned() })
    }
}

/// A device name that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(r#"unknown device {name:?}, expected "cpu", "cuda", "cuda:N" or "cuda_host""#)]
pub struct DeviceError {
    /// The name that was given.
    pub name: String,
}

/// DLPack's number of another kind by its name.
fn kind_named(name: &str) -> Option<i32> {
    if let Some((kind, _)) = NAMES.iter().find(|(_, known)| *known == name) {
        return Some(*kind);
    }
    let kind = name.strip_prefix("dlpack_")?.parse().ok()?;
    // Not by another name what has one.
    let is_nameless = matches!(Device::from_dlpack(kind, 0)?, Device::Other(_))
        && NAMES.iter().all(|(known, _)| *known != kind);
    is_nameless.then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for device in [Device::Cpu, Device::Cuda(0), Device::Cuda(17), Device::CudaHost] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        for kind in (4..40).filter(|&kind| kind != CUDA_MANAGED) {
            let device = Device::from_dlpack(kind, 3).unwrap();
            assert_eq!((device.to_string().parse(), device.is_host()), (Ok(device), false));
        }
    }

    #[test]
    fn dlpack_numbers_round_trip() {
        for numbers in [(1, 0), (2, 0), (2, 5), (3, 0), (8, 0), (10, 2), (14, 1), (99, -1)] {
            let device = Device::from_dlpack(numbers.0, numbers.1).unwrap();
            assert_eq!(device.to_dlpack(), Some(numbers), "{device}");
        }
        assert_eq!(Device::from_dlpack(CUDA_MANAGED, 1), Some(Device::Cuda(1)));
        assert_eq!(Device::Cuda(usize::MAX).to_dlpack(), None);
        for (kind, id) in [(0, 0), (-1, 0), (2, -1), (13, -1)] {
            assert_eq!(Device::from_dlpack(kind, id), None, "({kind}, {id})");
        }
    }

    #[test]
    fn dev_4_what_nobody_drives_is_refused_by_name() {
        for (name, reason) in [
            ("cuda:0", "no feature `cuda`"),
            ("cuda_host", "no feature `cuda`"),
            ("rocm:0", "nothing here drives it"),
            ("metal:0", "nothing here drives it"),
        ] {
            let device: Device = name.parse().unwrap();
            let error = device.check_exists().unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(reason), "{error}");
            assert!(!device.is_driven() && device.check_pointer(1, 1).is_ok());
        }
    }

    #[test]
    fn other_names_are_refused_with_the_name() {
        for name in [
            "",
            "CPU",
            "cuda:",
            "cuda:-1",
            "cuda:+1",
            "cuda:1x",
            "cpu:1",
            "tpu:0",
            "rocm:",
            "metal:-1",
            "dlpack_2:0",
            "dlpack_10:0",
            "dlpack_0:0",
        ] {
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
