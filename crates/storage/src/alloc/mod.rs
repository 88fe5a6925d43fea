//! Memory of our own, aligned for every consumer.

pub(crate) mod aligned;
#[expect(unsafe_code, reason = "calls the global allocator and frees what it gave")]
pub(crate) mod block;
mod cache;
mod classes;
#[expect(unsafe_code, reason = "declares memory filled when it is")]
mod filling;
#[expect(unsafe_code, reason = "hands out memory before it is filled")]
mod uninit;

pub use block::ALIGN_BYTES;
pub use cache::{CacheStats, cache_stats, empty_cache, set_cache_limit};
pub use filling::Filling;
pub use uninit::UninitStorage;
