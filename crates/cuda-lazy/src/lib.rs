#![doc = include_str!("../README.md")]

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod supported;
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[expect(unsafe_code, reason = "has the interface of the supported targets")]
mod unsupported;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
use supported as target;
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
use unsupported as target;

pub use target::{SYMBOLS, bind, is_bound, load, symbol};

/// Why no driver was bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no CUDA driver: {text}")]
pub struct Absent {
    /// What the dynamic loader said of the first place it looked at.
    pub text: String,
}
