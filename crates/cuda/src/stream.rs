//! Streams: the queues of work of a device.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;

use super::codes::NOT_READY;
use super::device::{Gpu, is_left_to_parent};
use super::driver::{self, Handle, code_of};
use super::event::Event;
use super::relaxed::Relaxed;
use super::{captures, late};
use ndbridge_storage::StorageError;

pub(super) const LEGACY: Handle = 1;
const PER_THREAD: Handle = 2;

/// A queue of work on one device: what is enqueued on it runs in that order.
///
/// A value: clones are the same stream, and one that was made here is destroyed after its last clone
/// and the last note of its work are gone.
///
/// ```
/// use ndbridge_cuda::{self as cuda, Stream};
/// if cuda::is_available() {
///     let copies = Stream::new(0)?;
///     cuda::with_stream(&copies, || assert_eq!(cuda::current_stream(0).unwrap(), copies));
/// }
/// # Ok::<(), ndbridge_storage::StorageError>(())
/// ```
#[derive(Clone)]
pub struct Stream(Arc<Inner>);

struct Inner {
    gpu: &'static Gpu,
    handle: Handle,
    kind: Kind,
    /// Of the streams that are asked whether they are captured; another one for each value.
    number: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Destroyed at its end.
    Own,
    /// Lives as long as its context.
    Legacy,
    /// Means another stream on each thread.
    PerThread,
    /// Somebody else's, who may destroy it when the value is gone.
    External,
    /// Somebody else's, for one call.
    Named,
}

impl Stream {
    /// A new stream on the device with this ordinal.
    ///
    /// # Errors
    /// [`StorageError::NoDevice`] if there is none.
    pub fn new(ordinal: usize) -> Result<Self, StorageError> {
        Self::made_for(Gpu::get(ordinal)?)
    }

    pub(super) fn made_for(gpu: &'static Gpu) -> Result<Self, StorageError> {
        // It and the legacy default stream wait for each other.
        const BLOCKING: u32 = 0;
        let _entered = gpu.enter()?;
        let _relaxed = Relaxed::new();
        let mut handle: Handle = 0;
        // SAFETY: `handle` is good for writing; the context is entered.
        unsafe { driver::cuStreamCreateWithPriority(&raw mut handle, BLOCKING, 0) }?;
        Ok(Self::of(gpu, handle, Kind::Own))
    }

    fn of(gpu: &'static Gpu, handle: Handle, kind: Kind) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = match kind {
            Kind::Own | Kind::External => NEXT.fetch_add(1, Ordering::Relaxed),
            Kind::Legacy | Kind::PerThread | Kind::Named => 0,
        };
        if number != 0 {
            gpu.streams.add(number, handle);
        }
        Self(Arc::new(Inner { gpu, handle, kind, number }))
    }

    /// The legacy default stream of a device: that of code which names no stream.
    ///
    /// # Errors
    /// [`StorageError::NoDevice`] if there is no such device.
    pub fn legacy(ordinal: usize) -> Result<Self, StorageError> {
        Ok(Self::of(Gpu::get(ordinal)?, LEGACY, Kind::Legacy))
    }

    /// The calling thread's default stream, of code compiled for per-thread default streams.
    ///
    /// # Errors
    /// [`StorageError::NoDevice`] if there is no such device.
    pub fn per_thread(ordinal: usize) -> Result<Self, StorageError> {
        Ok(Self::of(Gpu::get(ordinal)?, PER_THREAD, Kind::PerThread))
    }

    /// A stream that something else made, such as torch's current one.
    ///
    /// 1 is the legacy default stream, 2 the per-thread one; 0, which may mean either, is refused.
    ///
    /// # Errors
    /// [`StorageError::AmbiguousStream`] for 0, [`StorageError::NoDevice`] if there is no such
    /// device.
    ///
    /// # Safety
    /// The handle is a live stream of this device for as long as this value or a clone of it lives, in a
    /// [`StreamScope`] too. What was enqueued may still run after the stream was destroyed.
    pub unsafe fn external(ordinal: usize, handle: usize) -> Result<Self, StorageError> {
        Self::with_handle(ordinal, handle, Kind::External)
    }

    /// As [`external`](Self::external), for a value that is not kept.
    ///
    /// # Safety
    /// The handle is a live stream of this device while the value lives.
    pub(super) unsafe fn named(ordinal: usize, handle: usize) -> Result<Self, StorageError> {
        Self::with_handle(ordinal, handle, Kind::Named)
    }

    fn with_handle(ordinal: usize, handle: usize, kind: Kind) -> Result<Self, StorageError> {
        match handle {
            0 => Err(StorageError::AmbiguousStream),
            LEGACY => Self::legacy(ordinal),
            PER_THREAD => Self::per_thread(ordinal),
            _ => Ok(Self::of(Gpu::get(ordinal)?, handle, kind)),
        }
    }

    /// The device's ordinal.
    #[must_use]
    pub fn ordinal(&self) -> usize {
        self.0.gpu.ordinal
    }

    /// The driver's handle (`CUstream`): 1 for the legacy default stream, 2 for the per-thread one.
    #[must_use]
    pub fn handle(&self) -> usize {
        self.0.handle
    }

    pub(super) fn gpu(&self) -> &'static Gpu {
        self.0.gpu
    }

    pub(super) fn number(&self) -> u64 {
        self.0.number
    }

    /// Whether the stream lives as long as this value, whoever else uses it.
    pub(super) fn outlives_notes(&self) -> bool {
        matches!(self.0.kind, Kind::Own | Kind::Legacy)
    }

    pub(super) fn is_per_thread(&self) -> bool {
        self.0.kind == Kind::PerThread
    }

    pub(super) fn is_legacy(&self) -> bool {
        self.handle() == LEGACY
    }

    /// Whether memory can be allocated and freed in this stream's order.
    pub(super) fn is_own(&self) -> bool {
        self.0.kind == Kind::Own
    }

    /// The point after all that was enqueued so far; one of a graph, if the stream is captured.
    pub(super) fn mark(&self) -> Result<Event, StorageError> {
        self.check_legacy()?;
        Event::after(self.gpu(), self.handle())
    }

    /// As [`mark`](Self::mark), for those who are in no capture and are not to be drawn into one.
    pub(super) fn mark_outside(&self) -> Result<Event, StorageError> {
        self.refuse_capture("use memory that was last used on the stream")?;
        self.mark()
    }

    /// Makes what is enqueued here from now on wait for what is on `earlier` so far.
    ///
    /// If `earlier` is captured for a graph, this stream is from now on too.
    ///
    /// # Errors
    /// [`StorageError::Capturing`] if this stream is captured and `earlier` is not: a graph cannot wait for
    /// what is not in it. The driver's.
    pub fn wait_for(&self, earlier: &Self) -> Result<(), StorageError> {
        if self == earlier {
            return Ok(());
        }
        if self.is_capturing()? && !earlier.is_capturing()? {
            return Err(StorageError::Capturing { call: "wait for a stream that is not" });
        }
        earlier.mark()?.hold_back(self.gpu(), self.handle())
    }

    /// Waits until everything enqueued so far has run.
    ///
    /// # Errors
    /// The driver's: also what went wrong in that work, which is reported here first.
    pub fn synchronize(&self) -> Result<(), StorageError> {
        self.refuse_capture("synchronize")?;
        self.wait()?;
        super::pending::release_passed();
        late::end_passed(self.gpu());
        Ok(())
    }

    /// Waits, and does nothing else.
    pub(super) fn wait(&self) -> Result<(), StorageError> {
        self.check_legacy()?;
        let _entered = self.gpu().enter()?;
        let _relaxed = Relaxed::new();
        // SAFETY: a live stream.
        unsafe { driver::cuStreamSynchronize(self.handle()) }
    }

    /// Whether everything enqueued so far has run.
    ///
    /// # Errors
    /// The driver's.
    pub fn is_done(&self) -> Result<bool, StorageError> {
        self.refuse_capture("is_done")?;
        self.has_run()
    }

    /// As [`is_done`](Self::is_done), of a stream that is not captured.
    pub(super) fn has_run(&self) -> Result<bool, StorageError> {
        self.check_legacy()?;
        let _entered = self.gpu().enter()?;
        let _relaxed = Relaxed::new();
        // SAFETY: a live stream.
        match unsafe { driver::cuStreamQuery(self.handle()) } {
            Ok(()) => Ok(true),
            Err(error) if code_of(&error) == Some(NOT_READY) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether work on this stream is recorded for a graph instead of run.
    ///
    /// # Errors
    /// The driver's.
    pub fn is_capturing(&self) -> Result<bool, StorageError> {
        // The legacy stream cannot be captured; asked while another is, it answers an error.
        if self.is_legacy() { Ok(false) } else { self.gpu().is_captured(self.handle()) }
    }

    /// An error that names `call`, which would wait, if the stream is capturing.
    pub(super) fn refuse_capture(&self, call: &'static str) -> Result<(), StorageError> {
        if self.is_capturing()? { Err(StorageError::Capturing { call }) } else { Ok(()) }
    }

    /// An error if this is the legacy default stream, and a stream is captured that waits for it: any
    /// work here would end that capture.
    pub(super) fn check_legacy(&self) -> Result<(), StorageError> {
        if self.is_legacy() && self.gpu().is_legacy_blocked()? {
            let call = "use the legacy default stream";
            return Err(StorageError::Capturing { call });
        }
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.number == 0 || is_left_to_parent() {
            return;
        }
        self.gpu.streams.remove(self.number);
        // Without its context the driver destroys nothing.
        if self.kind == Kind::Own
            && let Ok(_entered) = self.gpu.enter().or_else(|_| self.gpu.enter())
        {
            let _relaxed = Relaxed::new();
            // SAFETY: made by `made_for`, and this is its last value. Its work goes on.
            let _ = unsafe { driver::cuStreamDestroy_v2(self.handle) };
        }
    }
}

impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.gpu(), other.gpu()) && self.handle() == other.handle()
    }
}

impl Eq for Stream {}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("device", &self.gpu().device())
            .field("handle", &format_args!("{:#x}", self.handle()))
            .finish()
    }
}

thread_local! {
    /// With the number of the scope that made each current.
    static CURRENT: RefCell<SmallVec<[(u64, Stream); 2]>> =
        const { RefCell::new(SmallVec::new_const()) };
    static SCOPES: Cell<u64> = const { Cell::new(0) };
}

/// The stream that this thread's work on a device goes to.
///
/// # Errors
/// [`StorageError::NoDevice`] if there is no such device.
pub fn current_stream(ordinal: usize) -> Result<Stream, StorageError> {
    let set = CURRENT.with_borrow(|set| {
        set.iter().rev().find(|(_, stream)| stream.ordinal() == ordinal).map(|(_, s)| s.clone())
    });
    match set {
        Some(stream) => Ok(stream),
        None => Gpu::get(ordinal)?.home().cloned(),
    }
}

/// Runs `work` with `stream` as this thread's current stream of its device.
pub fn with_stream<R>(stream: &Stream, work: impl FnOnce() -> R) -> R {
    let _scope = StreamScope::enter(stream);
    work()
}

/// While this lives, a stream is this thread's current one of its device, unless a later scope has
/// another. Each scope ends by itself, in whatever order.
#[must_use = "the stream is current only while the scope lives"]
#[derive(Debug)]
pub struct StreamScope {
    number: u64,
    _of_this_thread: PhantomData<*const ()>,
}

impl StreamScope {
    /// Makes `stream` the current one.
    pub fn enter(stream: &Stream) -> Self {
        let number = SCOPES.replace(SCOPES.get() + 1);
        CURRENT.with_borrow_mut(|set| set.push((number, stream.clone())));
        Self { number, _of_this_thread: PhantomData }
    }
}

impl Drop for StreamScope {
    fn drop(&mut self) {
        let own = |set: &RefCell<SmallVec<[(u64, Stream); 2]>>| {
            let mut set = set.borrow_mut();
            let at = set.iter().position(|(number, _)| *number == self.number)?;
            Some(set.remove(at))
        };
        // At the end of the thread the list may be gone before the scope is.
        drop(CURRENT.try_with(own));
    }
}

/// Waits until all work on a device has run, and ends what had to wait for that.
///
/// # Errors
/// [`StorageError::NoDevice`] if there is no such device; [`StorageError::Capturing`] while a stream is
/// captured: the driver would end the capture. (It does so where the capture is on a stream that was
/// never named here.) The driver's error of that work.
pub fn synchronize(ordinal: usize) -> Result<(), StorageError> {
    late::end_all_after(Gpu::get(ordinal)?, captures::wait_asked)?;
    super::pending::release_passed();
    Ok(())
}
