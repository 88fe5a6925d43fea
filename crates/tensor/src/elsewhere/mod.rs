//! Copies on, to and from CUDA devices.
//!
//! On one device a pair of layouts is simplified as on the host ([`crate::copy::pair`]) and a kernel
//! does the rest ([`launch`]). Between places only blocks without gaps travel ([`transfer`]); what
//! has gaps is packed where it lies, what changes its data type is cast on the device.

mod assign;
#[expect(unsafe_code, reason = "launches kernels on addresses of tensors")]
#[path = "../../../cuda/src/launch.rs"]
mod launch;
#[expect(unsafe_code, reason = "copies blocks between host and device")]
#[path = "crossing.rs"]
mod transfer;

pub(crate) use assign::{assign_disjoint, fill};
pub(crate) use transfer::{Target, copy_to};
