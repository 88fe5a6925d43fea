//! Linux on x86-64 and aarch64.

#[expect(unsafe_code, reason = "fills the slots, on the word of who gives the functions")]
mod binding;
#[expect(unsafe_code, reason = "C functions that call the driver's")]
mod hooks;
#[expect(unsafe_code, reason = "calls the dynamic loader")]
mod library;
#[expect(unsafe_code, reason = "defines symbols in assembly")]
mod trampolines;

pub use binding::{bind, is_bound, load, symbol};
pub use trampolines::SYMBOLS;
