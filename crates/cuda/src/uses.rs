//! Who used a storage last, on which stream: what later work, and the free, has to wait for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use super::device::{Gpu, check_process};
use super::event::Event;
use super::stream::Stream;
use ndbridge_storage::{Device, StorageError};

/// Notes of the uses of one storage on devices.
pub(crate) struct Uses(Mutex<Notes>);

/// The last write, the reads since, and who else was told of the memory.
#[derive(Default)]
pub(super) struct Notes {
    write: Option<Use>,
    reads: SmallVec<[Use; 2]>,
    has_unnoted_work: bool,
}

/// Past so many reads since the last write, those that have run are forgotten.
const MANY_READS: usize = 8;

/// Work on a stream that used a storage.
#[derive(Clone)]
pub(super) struct Use {
    stream: Stream,
    /// The end of that work; `None`: whatever is on the stream when somebody asks.
    end: Option<Arc<Event>>,
}

/// A stream that is to wait.
#[derive(Clone, Copy)]
pub(super) struct Later<'s> {
    stream: &'s Stream,
    /// Its work is recorded for a graph.
    pub(super) is_captured: bool,
}

impl<'s> Later<'s> {
    pub(super) fn of(stream: &'s Stream) -> Self {
        Self { stream, is_captured: stream.is_capturing_quietly() }
    }
}

impl Use {
    /// Work that was just enqueued on `stream`; `exact` to be able to ask for its very end.
    pub(super) fn on(stream: &Stream, exact: bool) -> Result<Self, StorageError> {
        let end =
            if exact || !stream.outlives_notes() { Some(Arc::new(stream.mark()?)) } else { None };
        Ok(Self { stream: stream.clone(), end })
    }

    /// Makes `later` wait for this work.
    fn hold_back(&self, later: &Later<'_>) -> Result<(), StorageError> {
        let Later { stream: later, is_captured } = *later;
        // Of foreign streams the handle says little: it may mean another one on each thread, or have
        // been given to a new stream.
        if self.stream.outlives_notes() && self.stream == *later {
            return Ok(());
        }
        if is_captured {
            // A graph cannot wait for what is not in it: such a wait would end the capture.
            let call = "use memory whose work on another stream still runs";
            let has_passed = self.has_passed()?;
            return if has_passed { Ok(()) } else { Err(StorageError::Capturing { call }) };
        }
        match &self.end {
            Some(end) => end.hold_back(later.gpu(), later.handle()),
            // A mark on a captured stream would draw the later one into the capture.
            None if self.stream.is_capturing_quietly() => {
                let call = "use memory that was last used on the stream";
                Err(StorageError::Capturing { call })
            }
            None => later.wait_for(&self.stream),
        }
    }

    fn wait(&self) -> Result<(), StorageError> {
        match &self.end {
            Some(end) => end.wait(),
            None => self.stream.mark()?.wait(),
        }
    }

    fn has_passed(&self) -> Result<bool, StorageError> {
        match &self.end {
            Some(end) => end.has_passed(),
            None => self.stream.has_run(),
        }
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
        if used.stream.outlives_notes() {
            self.reads.retain(|earlier| earlier.stream != used.stream);
        } else if self.reads.len() >= MANY_READS {
            self.reads.retain(|earlier| !earlier.has_passed().unwrap_or(false));
        }
        self.reads.push(used);
    }

    pub(super) fn note_write(&mut self, used: Use) {
        self.reads.clear();
        self.write = Some(used);
    }

    /// Notes that foreign code may enqueue work that uses the storage, on streams that may not exist
    /// any more when it is freed.
    pub(super) fn note_foreign_streams(&mut self) {
        self.has_unnoted_work = true;
    }

    pub(super) fn has_unnoted_work(&self) -> bool {
        self.has_unnoted_work
    }

    /// Waits for every noted use, and forgets it.
    pub(super) fn wait_for_all(&mut self) -> Result<(), StorageError> {
        self.all().try_for_each(Use::wait)?;
        (self.write, self.reads) = (None, SmallVec::new());
        Ok(())
    }

    /// Whether the last write has run.
    pub(super) fn is_written(&self) -> Result<bool, StorageError> {
        self.write.as_ref().map_or(Ok(true), Use::has_passed)
    }

    /// Waits for the last write.
    pub(super) fn wait_for_write(&self) -> Result<(), StorageError> {
        self.write.iter().try_for_each(Use::wait)
    }

    fn all(&self) -> impl Iterator<Item = &Use> {
        self.write.iter().chain(&self.reads)
    }
}

/// The notes that a storage on a device comes with.
pub(crate) struct Noted {
    uses: Arc<Uses>,
    /// The memory is freed by somebody who does not know of the notes.
    waits_at_end: Option<&'static Gpu>,
}

impl Noted {
    /// Notes of memory that frees itself after them.
    pub(super) fn shared(uses: &Arc<Uses>) -> Self {
        Self { uses: Arc::clone(uses), waits_at_end: None }
    }

    /// Notes of foreign memory on a device, ready on the thread's current stream.
    pub(crate) fn foreign(ordinal: usize) -> Result<Self, StorageError> {
        let uses = Uses::new();
        let ready_on = super::current_stream(ordinal)?;
        let waits_at_end = Some(ready_on.gpu());
        if !ready_on.is_capturing_quietly() {
            uses.lock()?.note_write(Use::on(&ready_on, false)?);
        }
        Ok(Self { uses, waits_at_end })
    }

    pub(super) fn uses(&self) -> &Arc<Uses> {
        &self.uses
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        let Some(gpu) = self.waits_at_end else { return };
        let Ok(mut notes) = self.uses.lock() else { return };
        if notes.wait_for_all().is_err() || notes.has_unnoted_work() {
            // The memory goes now: better late than under running work.
            let _ = gpu.wait_for_all();
        }
    }
}
