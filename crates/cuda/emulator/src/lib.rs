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
mod foreign;
mod forked;
mod host_function;
#[cfg(not(feature = "export"))]
mod interleave;
mod machine;
mod memory;
mod modes;
mod order;
mod promised;
mod ptx;
#[cfg(not(feature = "export"))]
#[expect(unsafe_code, reason = "binds the emulator as the program's driver")]
mod session;
mod violation;
mod waits;
#[expect(unsafe_code, reason = "runs kernels on arguments that it kept")]
mod work;

pub use api::lookup;
pub use code::Code;
pub use control::{
    call_names, calls, clear_faults, configure, drain, fail, finish, limit, live, register,
    report_waits_under, reset, reuse_addresses, used, violations,
};
pub use foreign::{foreign_read, foreign_write};
#[cfg(not(feature = "export"))]
pub use interleave::{Thread, interleave, switch};
pub use order::Order;
#[cfg(not(feature = "export"))]
pub use session::Session;
pub use violation::Violation;
