//! Work on a stream, in its order.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, MutexGuard};

use smallvec::SmallVec;

use super::enqueue::Enqueue;
use super::event::Event;
use super::pending::{self, Pending};
use super::relaxed::Relaxed;
use super::stream::Stream;
use super::uses::{Later, Noted, Notes, Use, Uses};
use ndbridge_storage::{BorrowKind, Device, OwnedBorrow, Storage, StorageError};

/// Work to be enqueued on a stream: which storages it reads and writes.
///
/// ```
/// use ndbridge_cuda::{self as cuda, Job};
/// use ndbridge_storage::{Device, Storage};
/// if cuda::is_available() {
///     let new = || Storage::on_device(Device::Cuda(0), 64);
///     let (from, to) = (new()?, new()?);
///     let stream = cuda::current_stream(0)?;
///     Job::on(&stream).reads(&from).writes(&to).run(|enqueue| {
///         // SAFETY: both are 64 bytes on the device, and named above.
///         unsafe { enqueue.copy_on_device(to.as_ptr() as u64, from.as_ptr() as u64, 64) }
///     })?;
///     stream.synchronize()?;
/// }
/// # Ok::<(), ndbridge_storage::StorageError>(())
/// ```
#[must_use = "a job does nothing until it is run"]
pub struct Job<'a> {
    stream: &'a Stream,
    parts: SmallVec<[(&'a Arc<Uses>, BorrowKind); 3]>,
    host: SmallVec<[(BorrowKind, OwnedBorrow); 1]>,
    is_exact: bool,
}

impl<'a> Job<'a> {
    /// A job on `stream` that touches nothing yet.
    pub fn on(stream: &'a Stream) -> Self {
        Self { stream, parts: SmallVec::new(), host: SmallVec::new(), is_exact: false }
    }

    /// The job reads `storage`, on whatever device; nothing happens for host memory.
    pub fn reads(self, storage: &'a Storage) -> Self {
        self.with(storage, BorrowKind::Read)
    }

    /// The job writes `storage`, on whatever device; nothing happens for host memory.
    pub fn writes(self, storage: &'a Storage) -> Self {
        self.with(storage, BorrowKind::Write)
    }

    fn with(mut self, storage: &'a Storage, kind: BorrowKind) -> Self {
        if let Some(noted) = storage.notes::<Noted>() {
            let uses = noted.uses();
            match self.parts.iter_mut().find(|(other, _)| Arc::ptr_eq(other, uses)) {
                Some((_, other)) if kind == BorrowKind::Write => *other = kind,
                Some(_) => {}
                None => self.parts.push((uses, kind)),
            }
        }
        self
    }

    /// The job uses page-locked host memory that was borrowed for it: `held` is kept until the work
    /// has run.
    pub fn holding(mut self, kind: BorrowKind, held: OwnedBorrow) -> Self {
        self.host.push((kind, held));
        self
    }

    /// The end of this very job can be asked for later ([`Storage::is_ready`]), not only the end of
    /// what is on the stream then.
    pub fn exact_if(mut self, is_exact: bool) -> Self {
        self.is_exact = is_exact;
        self
    }

    /// Makes the stream wait for all that the job depends on, lets `work` enqueue it, notes it.
    ///
    /// # Errors
    /// The driver's, and those of `work`.
    pub fn run<R>(
        self,
        work: impl FnOnce(&Enqueue<'_>) -> Result<R, StorageError>,
    ) -> Result<R, StorageError> {
        let Self { stream, mut parts, host, is_exact } = self;
        let later = Later::of(stream)?;
        parts.iter().try_for_each(|(uses, _)| uses.check_later(&later))?;
        // All locks, always in the same order: no other thread comes between the waits and the notes.
        parts.sort_by_key(|(uses, _)| Arc::as_ptr(uses).addr());
        let mut locked: SmallVec<[(MutexGuard<'_, Notes>, BorrowKind); 3]> = SmallVec::new();
        for (uses, kind) in &parts {
            locked.push((uses.lock()?, *kind));
        }
        if later.is_captured && !host.is_empty() {
            // A graph would read or fill it later, or never.
            return Err(StorageError::Capturing { call: "copy host memory" });
        }
        for (notes, kind) in &locked {
            match kind {
                BorrowKind::Write => notes.before_write(&later)?,
                _ => notes.before_read(&later)?,
            }
        }
        let (entered, relaxed) = (stream.gpu().enter()?, Relaxed::new());
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&Enqueue::on(stream))));
        drop((relaxed, entered));
        // Also after an error or a panic: some of it may be on the stream.
        let noted = match later.is_captured {
            true => {
                note_captured(stream, &mut locked);
                Ok(Vec::new())
            }
            false => note(stream, &mut locked, &host, is_exact)
                .map_err(|error| without_notes(stream, &mut locked, error)),
        };
        // Before anything is let go of that may be foreign: its end may ask for the same locks.
        drop(locked);
        let noted = match noted {
            Ok(ends) => {
                hold_until(host, ends);
                Ok(())
            }
            Err(Unnoted { error, has_run }) => {
                if !has_run {
                    // Nobody knows whether it still runs: its memory stays as it is.
                    std::mem::forget(host);
                }
                Err(error)
            }
        };
        let result = outcome.unwrap_or_else(|panic| resume_unwind(panic))?;
        noted?;
        Ok(result)
    }
}

/// Notes what was enqueued; gives its end for each piece of host memory that it uses.
fn note(
    stream: &Stream,
    locked: &mut [(MutexGuard<'_, Notes>, BorrowKind)],
    host: &[(BorrowKind, OwnedBorrow)],
    is_exact: bool,
) -> Result<Vec<Event>, StorageError> {
    let ends = host.iter().map(|_| stream.mark()).collect::<Result<Vec<_>, _>>()?;
    if locked.is_empty() {
        return Ok(ends);
    }
    let used = Use::on(stream, is_exact)?;
    for (notes, kind) in locked {
        match kind {
            BorrowKind::Write => notes.note_write(used.clone()),
            _ => notes.note_read(used.clone()),
        }
    }
    Ok(ends)
}

/// Notes what was recorded: it has not run, and whoever runs the graph sees to its order then.
fn note_captured(stream: &Stream, locked: &mut [(MutexGuard<'_, Notes>, BorrowKind)]) {
    for (notes, kind) in locked {
        if *kind == BorrowKind::Write {
            notes.note_captured_write(stream);
        }
    }
}

/// Work that could not be noted.
struct Unnoted {
    error: StorageError,
    has_run: bool,
}

/// Waits for what could not be noted. If that fails too, the memory is freed when the device was waited
/// for.
fn without_notes(
    stream: &Stream,
    locked: &mut [(MutexGuard<'_, Notes>, BorrowKind)],
    error: StorageError,
) -> Unnoted {
    let has_run = stream.wait().is_ok();
    if !has_run {
        locked.iter_mut().for_each(|(notes, _)| notes.note_foreign_streams());
    }
    Unnoted { error, has_run }
}

/// Keeps host memory, and others away from it, until the work that uses it has run.
fn hold_until(host: SmallVec<[(BorrowKind, OwnedBorrow); 1]>, ends: Vec<Event>) {
    for ((kind, held), end) in host.into_iter().zip(ends) {
        let addresses = held.storage().addresses();
        pending::add(Pending { end: Arc::new(end), kind, addresses, held });
    }
}

/// As [`Storage::is_ready`].
pub(super) fn is_ready(storage: &Storage) -> Result<bool, StorageError> {
    if storage.device() == Device::CudaHost {
        return Ok(pending::is_written(&storage.addresses()));
    }
    storage.notes::<Noted>().map_or(Ok(true), |noted| noted.uses().is_written())
}

/// As [`Storage::wait_until_ready`].
pub(super) fn wait_until_ready(storage: &Storage) -> Result<(), StorageError> {
    if storage.device() == Device::CudaHost {
        return pending::settle(BorrowKind::Read, &storage.addresses());
    }
    storage.notes::<Noted>().map_or(Ok(()), |noted| noted.uses().wait_for(BorrowKind::Read))
}

/// As [`Storage::note_ready`].
pub(super) fn note_ready(storage: &Storage) -> Result<(), StorageError> {
    let Device::Cuda(ordinal) = storage.device() else { return Ok(()) };
    let current = super::current_stream(ordinal)?;
    Job::on(&current).writes(storage).run(|_| Ok(()))
}

/// Makes the stream of foreign code that gets this device memory wait for what is noted: for the
/// last write, and for the reads too if that code may write. Without a stream, that code sees to the
/// order itself. Page-locked memory is waited for.
///
/// Memory of our own is then freed after what is on the legacy default stream at its end, or, for any
/// other stream, after everything on the device: nobody can tell whether a foreign stream still
/// exists.
///
/// # Errors
/// [`StorageError::NotRun`] for memory that a captured graph writes, on another stream than that;
/// [`StorageError::Capturing`] where the stream is captured and cannot wait; the driver's.
pub fn hand_over(
    storage: &Storage,
    to: Option<&Stream>,
    kind: BorrowKind,
) -> Result<(), StorageError> {
    if storage.device() == Device::CudaHost {
        return pending::hand_over(storage);
    }
    let Some(noted) = storage.notes::<Noted>() else { return Ok(()) };
    let later = to.map(Later::of).transpose()?;
    if let Some(later) = &later {
        noted.uses().check_later(later)?;
    }
    let mut notes = noted.uses().lock()?;
    if let (Some(stream), Some(later)) = (to, later) {
        match kind {
            BorrowKind::Write => notes.before_write(&later)?,
            _ => notes.before_read(&later)?,
        }
        if stream.is_legacy() {
            // The streams of ours wait for it by themselves, those that our memory is freed on too.
            // Memory of others is kept until what is on it has run.
            if !noted.is_own() {
                notes.note_read(Use::on(stream, false)?);
            }
            return Ok(());
        }
    }
    notes.note_foreign_streams();
    Ok(())
}
