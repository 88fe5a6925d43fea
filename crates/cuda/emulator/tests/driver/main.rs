//! The emulated driver through its own functions, as cust declares them: each mistake beside a
//! correct program that is like it.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod capture;
#[path = "../../../../ledger/tests/children/mod.rs"]
mod children;
mod copies;
mod cust_itself;
mod foreign;
mod forks;
#[expect(unsafe_code, reason = "calls the driver")]
mod harness;
mod host_functions;
mod host_memory;
mod interleavings;
mod kernels;
mod machine;
mod order_model;
mod pools;
mod streams;
mod violations;
