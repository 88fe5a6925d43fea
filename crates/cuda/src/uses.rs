//! Who used a storage last, on which stream: what later work, and the free, has to wait for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use super::captures::Captured;
use super::device::{Gpu, check_process};
use super::event::Event;
use super::stream::Stream;
use ndbridge_storage::{BorrowKind, Device, StorageError};

/// Notes of the uses of one storage on devices.
pub(crate) struct Uses(Mutex<Notes>);

/// The last write, the reads since, and who else was told of the memory.
#[derive(Default)]
pub(super) struct Notes {
    write: Option<Use>,
    reads: SmallVec<[Use; 2]>,
    /// Streams whose captured work writes the memory.
    captured: SmallVec<[Captured; 1]>,
    /// Something was enqueued here, and not only elsewhere before the memory came.
    has_own_work: bool,
    has_unnoted_work: bool,
}

/// Past so many reads since the last write, those that have run are forgotten.
const MANY_READS: usize = 8;

/// Work on a stream that used a storage.
#[derive(Clone)]
pub(super) enum Use {
    /// Whatever is on the stream when somebody asks. One of ours, or the legacy default stream.
    Now(Stream),
    /// The end of that work; on such a stream, if it is one.
    Until(Arc<Event>, Option<Stream>),
}

/// A stream that is to wait.
#[derive(Clone, Copy)]
pub(super) struct Later<'s> {
    stream: &'s Stream,
    /// Its work is recorded for a graph.
    pub(super) is_captured: bool,
}

impl<'s> Later<'s> {
    /// # Errors
    /// [`StorageError::Capturing`] for the legacy default stream while a capture forbids to use it; the
    /// driver's.
    pub(super) fn of(stream: &'s Stream) -> Result<Self, StorageError> {
        stream.check_legacy()?;
        Ok(Self { stream, is_captured: stream.is_capturing()? })
    }
}

impl Use {
    /// Work that was just enqueued on `stream`; `exact` to be able to ask for its very end.
    pub(super) fn on(stream: &Stream, exact: bool) -> Result<Self, StorageError> {
        let kept = stream.outlives_notes().then(|| stream.clone());
        match kept {
            Some(kept) if !exact => Ok(Self::Now(kept)),
            kept => Ok(Self::Until(Arc::new(stream.mark()?), kept)),
        }
    }

    /// Whatever is on `stream` by now.
    pub(super) fn up_to_now(stream: &Stream) -> Result<Self, StorageError> {
        Ok(Self::Until(Arc::new(stream.mark_outside()?), None))
    }

    /// The stream, if its handle means what it meant: another library's may have been given to a new
    /// stream, or mean another one on each thread.
    fn stream(&self) -> Option<&Stream> {
        match self {
            Self::Now(stream) => Some(stream),
            Self::Until(_, stream) => stream.as_ref(),
        }
    }

    /// Makes `later` wait for this work.
    pub(super) fn hold_back(&self, later: &Later<'_>) -> Result<(), StorageError> {
        let Later { stream: later, is_captured } = *later;
        if self.stream() == Some(later) {
            return Ok(());
        }
        if is_captured {
            // A graph cannot wait for what is not in it: such a wait would end the capture.
            let call = "use memory whose work on another stream still runs";
            let has_passed = self.has_passed()?;
            return if has_passed { Ok(()) } else { Err(StorageError::Capturing { call }) };
        }
        match self {
            Self::Until(end, _) => end.hold_back(later.gpu(), later.handle()),
            // A mark on a captured stream would draw the later one into the capture.
            Self::Now(stream) => stream.mark_outside()?.hold_back(later.gpu(), later.handle()),
        }
    }

    fn wait(&self) -> Result<(), StorageError> {
        match self {
            Self::Until(end, _) => end.wait(),
            Self::Now(stream) => stream.mark_outside()?.wait(),
        }
    }

    pub(super) fn has_passed(&self) -> Result<bool, StorageError> {
        match self {
            Self::Until(end, _) => end.has_passed(),
            Self::Now(stream) => {
                stream.refuse_capture("ask for the end of earlier work")?;
                stream.has_run()
            }
        }
    }

    /// Makes this work's end one that can be asked for, of a stream that goes on.
    fn pin_down(&mut self) -> Result<(), StorageError> {
        if let Self::Now(stream) = self {
            let end = Arc::new(stream.mark_outside()?);
            *self = Self::Until(end, Some(stream.clone()));
        }
        Ok(())
    }
}

impl Uses {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::default()))
    }

    /// An error in a child, where nobody may be left to unlock them.
    pub(super) fn lock(&self) -> Result<MutexGuard<'_, Notes>, StorageError> {
        check_process(Device::Cuda(0))?;
        // Notes are only added whole: a panic elsewhere left them as they were.
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for the last write, and, if somebody is to write, for the reads since. Not under the lock:
    /// whoever waits for that may be needed for the work to end.
    pub(super) fn wait_for(&self, kind: BorrowKind) -> Result<(), StorageError> {
        self.check_captured()?;
        let notes = self.lock()?;
        let uses: SmallVec<[Use; 3]> = match kind {
            BorrowKind::Read => notes.write.iter().cloned().collect(),
            _ => notes.all().cloned().collect(),
        };
        drop(notes);
        uses.iter().try_for_each(Use::wait)
    }

    /// Whether the last write has run.
    pub(super) fn is_written(&self) -> Result<bool, StorageError> {
        self.check_captured()?;
        let notes = self.lock()?;
        notes.write.as_ref().map_or(Ok(true), Use::has_passed)
    }

    /// As [`check_captured`](Self::check_captured), for a stream that is to use the memory: inside of the
    /// capture its own order holds.
    pub(super) fn check_later(&self, later: &Later<'_>) -> Result<(), StorageError> {
        if later.is_captured { Ok(()) } else { self.check_captured() }
    }

    /// An error while a graph that writes the memory is being captured. Afterwards whoever runs the graph
    /// sees to its order. Not under the lock: other libraries are asked.
    fn check_captured(&self) -> Result<(), StorageError> {
        let captured = self.lock()?.captured.clone();
        if captured.is_empty() {
            return Ok(());
        }
        captured.iter().try_for_each(Captured::check)?;
        self.lock()?.captured.retain(|other| !captured.contains(other));
        Ok(())
    }
}

impl Notes {
    /// Makes `stream` wait for what a reader depends on.
    pub(super) fn before_read(&self, later: &Later<'_>) -> Result<(), StorageError> {
        self.write.iter().try_for_each(|write| write.hold_back(later))
    }

    /// Makes `stream` wait for what a writer depends on.
    pub(super) fn before_write(&self, later: &Later<'_>) -> Result<(), StorageError> {
        self.all().try_for_each(|used| used.hold_back(later))
    }

    pub(super) fn note_read(&mut self, used: Use) {
        self.has_own_work = true;
        if let Some(stream) = used.stream() {
            self.reads.retain(|earlier| earlier.stream() != Some(stream));
        } else if self.reads.len() >= MANY_READS {
            self.reads.retain(|earlier| !earlier.has_passed().unwrap_or(false));
        }
        self.reads.push(used);
    }

    pub(super) fn note_write(&mut self, used: Use) {
        self.has_own_work = true;
        self.reads.clear();
        self.write = Some(used);
    }

    /// Notes a write that is recorded on `stream`, and runs with the graph.
    pub(super) fn note_captured_write(&mut self, stream: &Stream) {
        let captured = Captured::on(stream);
        if !self.captured.contains(&captured) {
            self.captured.push(captured);
        }
    }

    /// Notes that foreign code may enqueue work that uses the storage, on streams that may not exist
    /// any more when it is freed.
    pub(super) fn note_foreign_streams(&mut self) {
        self.has_unnoted_work = true;
    }

    pub(super) fn has_unnoted_work(&self) -> bool {
        self.has_unnoted_work
    }

    /// Fixes the end of every noted use, as far as streams that are not captured have them.
    pub(super) fn pin_down(&mut self) {
        for used in self.write.iter_mut().chain(&mut self.reads) {
            // What fails is asked for again, later.
            let _ = used.pin_down();
        }
    }

    /// Whether everything that was enqueued here has run.
    pub(super) fn have_passed(&self) -> Result<bool, StorageError> {
        if !self.has_own_work {
            return Ok(true);
        }
        for used in self.all() {
            if !used.has_passed()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn all(&self) -> impl Iterator<Item = &Use> {
        self.write.iter().chain(&self.reads)
    }
}

/// The notes that a storage on a device comes with.
pub(crate) struct Noted {
    uses: Arc<Uses>,
    gpu: &'static Gpu,
    /// The memory frees itself after the notes.
    is_own: bool,
}

impl Noted {
    /// Notes of memory that frees itself after them.
    pub(super) fn shared(uses: &Arc<Uses>, gpu: &'static Gpu) -> Self {
        Self { uses: Arc::clone(uses), gpu, is_own: true }
    }

    /// Notes of foreign memory on a device, ready on the thread's current stream.
    pub(crate) fn foreign(ordinal: usize) -> Result<Self, StorageError> {
        let uses = Uses::new();
        let ready_on = super::current_stream(ordinal)?;
        let is_captured = ready_on.is_capturing()?;
        let mut notes = uses.lock()?;
        if is_captured {
            notes.note_captured_write(&ready_on);
        } else {
            notes.write = Some(Use::on(&ready_on, false)?);
        }
        drop(notes);
        Ok(Self { uses, gpu: ready_on.gpu(), is_own: false })
    }

    pub(super) fn gpu(&self) -> &'static Gpu {
        self.gpu
    }

    pub(super) fn is_own(&self) -> bool {
        self.is_own
    }

    pub(super) fn uses(&self) -> &Arc<Uses> {
        &self.uses
    }
}
