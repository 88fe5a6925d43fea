//! Copies on, to and from devices, whatever drives them.
//!
//! On one device two layouts become one [`Walk`](ndbridge_layout::Walk), as on the host, and an
//! [`engine`] does the rest. Between places only blocks without gaps travel ([`crossing`]); what
//! has gaps is packed where it lies, what changes its data type is cast on the device.

mod assign;
#[expect(unsafe_code, reason = "copies blocks between host and device")]
mod crossing;
#[expect(unsafe_code, reason = "declares what the implementers promise")]
mod engine;

pub(crate) use assign::{assign_disjoint, fill};
pub(crate) use crossing::{Target, copy_to};
pub use engine::{DeviceElements, DeviceEngine, Engine};
