#![doc = include_str!("../README.md")]

// With the feature `export`, which only the package of the shared library has, the functions carry
// the driver's names; the tests' crate finds them through `lookup`.
#[cfg_attr(feature = "export", expect(unsafe_code, reason = "exports the driver's symbols"))]
#[cfg_attr(not(feature = "export"), expect(non_snake_case, reason = "the driver's names"))]
mod api;
#[expect(unsafe_code, reason = "reads and writes what the program's arguments point to")]
mod arguments;
mod capture;
pub mod code;
mod context;
mod control;
#[cfg(feature = "export")]
#[expect(unsafe_code, reason = "exports functions for other languages")]
mod control_c;
mod copies;
mod machine;
mod memory;
mod order;
mod ptx;
#[cfg(not(feature = "export"))]
#[expect(unsafe_code, reason = "binds the emulator as the program's driver")]
mod session;
mod violation;
#[expect(unsafe_code, reason = "runs kernels on arguments that it kept")]
mod work;

pub use api::lookup;
pub use code::Code;
pub use control::{
    call_names, calls, clear_faults, configure, drain, fail, finish, limit, live, register,
    reserve_past, reset, used, violations,
};
pub use order::Order;
#[cfg(not(feature = "export"))]
pub use session::Session;
pub use violation::Violation;
