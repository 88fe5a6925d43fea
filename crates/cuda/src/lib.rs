#![doc = include_str!("../README.md")]

#[expect(unsafe_code, reason = "drives devices for layers that know none of them")]
mod backend;
#[expect(unsafe_code, reason = "allocates and frees device memory")]
mod block;
mod captures;
mod codes;
#[expect(unsafe_code, reason = "opens devices and switches contexts through the driver")]
mod device;
#[expect(unsafe_code, reason = "declares and calls the driver's functions")]
mod driver;
#[expect(unsafe_code, reason = "enqueues copies and kernels through the driver")]
mod enqueue;
#[expect(unsafe_code, reason = "creates, records and waits for events through the driver")]
mod event;
mod job;
mod late;
#[expect(unsafe_code, reason = "launches kernels on addresses of tensors")]
mod launch;
mod pending;
#[expect(unsafe_code, reason = "allocates page-locked memory through the driver")]
mod pinned;
#[expect(unsafe_code, reason = "asks the driver about an address")]
mod pointer;
#[expect(unsafe_code, reason = "asks and sets attributes of the memory pool through the driver")]
mod pool;
#[expect(unsafe_code, reason = "sets the capture mode of the thread")]
mod relaxed;
#[expect(unsafe_code, reason = "copies between pageable memory and page-locked chunks")]
mod staging;
#[expect(unsafe_code, reason = "takes the word of the caller for a stream handle")]
mod stream;
mod uses;

// The order of this crate's locks in the list of the process. None of them is taken while another one
// is held; the ledger's, which come later, are.
const RANK_OF_PENDING: u8 = 190;
const RANK_OF_LATE: u8 = 191;
const RANK_OF_KEPT: u8 = 192;
const RANK_OF_SURROUNDINGS: u8 = 193;

pub use device::{device_count, device_name, is_available};
pub use enqueue::{Enqueue, Kernel};
pub use job::{Job, hand_over};
pub use pointer::{PointerFacts, PointerKind, check_pointer, pointer_facts};
pub use pool::{MemoryStats, empty_cache, memory_stats, reset_peak_stats, set_release_threshold};
pub use stream::{Stream, StreamScope, current_stream, synchronize, with_stream};
