//! Memory of CUDA devices, on the emulated driver or, with `NDBRIDGE_GPU=real`, on the machine's.
//!
//! At the end of every test on the emulated driver there must be no violation: no race, no use of
//! freed memory, no call without context.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its parts too")]

mod attacks;
mod capture;
mod captured;
#[cfg(unix)]
#[path = "../../../ledger/tests/children/mod.rs"]
mod children;
mod errors;
#[cfg(unix)]
mod forks;
mod free;
mod host;
mod memory;
mod order;
#[expect(unsafe_code, reason = "enqueues copies of bytes that each test owns")]
mod support;
