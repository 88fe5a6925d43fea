//! Large copies between a device and pageable memory, through page-locked chunks.
//!
//! The driver stages such copies itself, on one thread. Here several threads fill or empty chunks
//! while the device copies others.

use super::device::Gpu;
use super::driver;
use super::event::Event;
use super::pinned::Pinned;
use super::relaxed::Relaxed;
use super::stream::Stream;
use ndbridge_storage::StorageError;

/// From here on, copies are staged here and not by the driver.
const STAGED_BYTES: usize = 32 << 20;
const CHUNK_BYTES: usize = 4 << 20;
const MAX_THREADS: usize = 4;
/// Chunks of a thread: one is filled while the other is copied.
const SLOTS: usize = 2;

/// Whether a copy of this size is staged here.
pub(super) fn pays(len_bytes: usize) -> bool {
    len_bytes >= STAGED_BYTES
}

/// Which way a staged copy goes.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    ToDevice,
    ToHost,
}

/// Copies `len_bytes` between pageable host memory and the device of `stream`; has run when this
/// returns.
///
/// # Safety
/// As many bytes at both addresses may be read, or written if they are the destination, by the
/// driver in the order of the stream and by this call.
pub(super) unsafe fn copy(
    direction: Direction,
    stream: &Stream,
    device: u64,
    host: *mut u8,
    len_bytes: usize,
) -> Result<(), StorageError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(MAX_THREADS);
    let host = HostAddress(host);
    let work = |first: usize| {
        let mut lane = Lane::new(direction, stream)?;
        let chunks = (first * CHUNK_BYTES..len_bytes).step_by(threads * CHUNK_BYTES);
        for (turn, start) in chunks.enumerate() {
            let bytes = CHUNK_BYTES.min(len_bytes - start);
            // SAFETY: a part of what the caller promises, and of no other thread.
            unsafe { lane.turn(turn % SLOTS, device + start as u64, host.at(start), bytes) }?;
        }
        lane.finish()
    };
    std::thread::scope(|scope| {
        let mut others = Vec::new();
        let mut own = Vec::from([0]);
        for first in 1..threads {
            // Without a thread for them, these chunks are this one's too.
            match std::thread::Builder::new().spawn_scoped(scope, move || work(first)) {
                Ok(other) => others.push(other),
                Err(_) => own.push(first),
            }
        }
        let own = own.into_iter().try_for_each(work);
        let join = |other: std::thread::ScopedJoinHandle<'_, Result<(), StorageError>>| {
            other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        others.into_iter().map(join).fold(own, Result::and)
    })
}

/// The start of the host memory; each thread touches chunks of its own.
#[derive(Clone, Copy)]
struct HostAddress(*mut u8);

// SAFETY: an address; whoever dereferences it says why.
unsafe impl Send for HostAddress {}
// SAFETY: as above.
unsafe impl Sync for HostAddress {}

impl HostAddress {
    fn at(self, bytes: usize) -> *mut u8 {
        self.0.wrapping_add(bytes)
    }
}

/// One thread's chunks.
struct Lane<'s> {
    direction: Direction,
    stream: &'s Stream,
    slots: [Slot; SLOTS],
}

struct Slot {
    memory: Pinned,
    /// The copy that uses the chunk, and where its bytes go on the host.
    busy: Option<(Event, *mut u8, usize)>,
}

impl<'s> Lane<'s> {
    fn new(direction: Direction, stream: &'s Stream) -> Result<Self, StorageError> {
        let slot =
            || Ok::<_, StorageError>(Slot { memory: Pinned::allocate(CHUNK_BYTES)?, busy: None });
        Ok(Self { direction, stream, slots: [slot()?, slot()?] })
    }

    /// Copies one chunk, after the chunk before it in this slot is done.
    ///
    /// # Safety
    /// As [`copy`], for these bytes.
    unsafe fn turn(
        &mut self,
        slot: usize,
        device: u64,
        host: *mut u8,
        bytes: usize,
    ) -> Result<(), StorageError> {
        let Self { direction, stream, slots } = self;
        let slot = &mut slots[slot];
        slot.finish(*direction)?;
        let gpu: &'static Gpu = stream.gpu();
        let (_entered, _relaxed) = (gpu.enter()?, Relaxed::new());
        let chunk = slot.memory.address().as_ptr();
        match direction {
            Direction::ToDevice => {
                // SAFETY: `bytes` of host memory, promised by the caller, into a chunk that is not
                // in use and has as many.
                unsafe { std::ptr::copy_nonoverlapping(host, chunk, bytes) };
                // SAFETY: the chunk stays until the event below has passed.
                unsafe { driver::cuMemcpyHtoDAsync_v2(device, chunk, bytes, stream.handle()) }?;
            }
            Direction::ToHost => {
                // SAFETY: as above, the other way round.
                unsafe { driver::cuMemcpyDtoHAsync_v2(chunk, device, bytes, stream.handle()) }?;
            }
        }
        match stream.mark() {
            Ok(end) => slot.busy = Some((end, host, bytes)),
            // Without an event: when everything on the stream has run, this has.
            Err(error) => {
                slot.memory.end_late_unless(stream.wait().is_ok());
                return Err(error);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), StorageError> {
        let direction = self.direction;
        self.slots.iter_mut().try_for_each(|slot| slot.finish(direction))
    }
}

impl Slot {
    /// Waits until the chunk is free, and takes out what came to it.
    fn finish(&mut self, direction: Direction) -> Result<(), StorageError> {
        let Some((end, host, bytes)) = &self.busy else { return Ok(()) };
        end.wait()?;
        if let Direction::ToHost = direction {
            // SAFETY: the copy into the chunk has run; the host memory is this thread's part of
            // what the caller of `copy` promises.
            unsafe { std::ptr::copy_nonoverlapping(self.memory.address().as_ptr(), *host, *bytes) };
        }
        self.busy = None;
        Ok(())
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        // After an error: a chunk must not go back while a copy uses it.
        if self.slots.iter().any(|slot| slot.busy.is_some()) {
            let has_run = self.stream.wait().is_ok();
            self.slots.iter().for_each(|slot| slot.memory.end_late_unless(has_run));
        }
    }
}
