//! CUDA devices: memory, streams, and the order of the work on them.
//!
//! Built on `cust` for devices, contexts, streams and modules, over a driver that is looked for when
//! the first device is. Without a driver every call is [`StorageError::NoDevice`] with the loader's
//! own text, and host work goes on.
//!
//! ```text
//! Storage (Cuda(i)) --> Block: address, bytes ------> freed on its stream, after
//!      |                                                   |
//!      +-----> Uses: who wrote last, who reads <-----------+
//!                ^
//! Job: enqueues work on a stream, after all it depends on, and notes it here
//! ```
//!
//! **Order** (DEV-2, DEV-3). Every storage remembers the stream that wrote it last and those that
//! have read it since. A [`Job`] makes its stream wait for what it depends on before it enqueues
//! anything, and is noted while the notes of all its storages are locked: no other thread comes
//! between. Memory is freed in the order of a stream, after the last noted use. The granularity is
//! a storage: two views of one allocation wait for each other even where they share no byte.
//!
//! **Host memory** that a device reads or writes while the host goes on is pinned, and borrowed until
//! the copy has run. A borrow of such memory first waits for the copies that it conflicts with.
//!
//! **Contexts.** The primary context of a device is used, as by the CUDA runtime and PyTorch. It is
//! current only inside a call; the caller's current context is what it was afterwards.
//!
//! # Limitations
//! - As everywhere in CUDA, a child process cannot use devices if the process that forked it did: each
//!   call is an error that says so, and what the parent has on devices is left to the parent.
//! - Streams made here are blocking streams: they and the legacy default stream wait for each other.
//! - Memory that a captured graph uses is not noted: who replays the graph keeps it alive.

#[expect(unsafe_code, reason = "allocates and frees device memory")]
mod block;
#[expect(unsafe_code, reason = "opens devices and switches contexts through the driver")]
mod device;
#[expect(unsafe_code, reason = "declares and calls the driver's functions")]
mod driver;
#[expect(unsafe_code, reason = "creates, records and waits for events through the driver")]
mod event;
#[expect(unsafe_code, reason = "enqueues copies and kernels through the driver")]
mod job;
mod pending;
#[expect(unsafe_code, reason = "allocates page-locked memory through the driver")]
mod pinned;
#[expect(unsafe_code, reason = "asks the driver about an address")]
mod pointer;
#[expect(unsafe_code, reason = "asks and sets attributes of the memory pool through the driver")]
mod pool;
#[expect(unsafe_code, reason = "copies between pageable memory and page-locked chunks")]
mod staging;
#[expect(unsafe_code, reason = "takes the word of the caller for a stream handle")]
mod stream;
mod uses;

pub use device::{device_count, device_name, is_available};
pub use job::{Consumer, Enqueue, Job, Kernel};
pub use pending::hand_over_host_memory;
pub use pointer::{PointerFacts, PointerKind, check_pointer, pointer_facts};
pub use pool::{MemoryStats, empty_cache, memory_stats, reset_peak_stats, set_release_threshold};
pub use stream::{Stream, StreamScope, current_stream, synchronize, with_stream};

pub(crate) use device::check_exists;
pub(crate) use pending::settle;
pub(crate) use pinned::Pinned;
pub(crate) use uses::Noted;

#[cfg(doc)]
use crate::StorageError;
