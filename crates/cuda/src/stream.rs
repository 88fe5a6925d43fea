//! Streams: the queues of work of a device.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use cust::stream::{Stream as CustStream, StreamFlags};
use smallvec::SmallVec;

use super::device::Gpu;
use super::driver::{self, Handle, NOT_READY, code_of, from_cust};
use super::event::Event;
use ndbridge_storage::StorageError;

const LEGACY: Handle = 1;
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
}

enum Kind {
    Own(ManuallyDrop<CustStream>),
    /// Lives as long as its context.
    Legacy,
    /// Somebody else's, who may destroy it; or the one that means another stream on each thread.
    External,
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
        let _entered = gpu.enter()?;
        let stream = CustStream::new(StreamFlags::DEFAULT, None);
        let stream = stream.map_err(from_cust("cuStreamCreateWithPriority"))?;
        let handle = stream.as_inner() as Handle;
        Ok(Self(Arc::new(Inner { gpu, handle, kind: Kind::Own(ManuallyDrop::new(stream)) })))
    }

    /// The legacy default stream of a device: that of code which names no stream.
    ///
    /// # Errors
    /// [`StorageError::NoDevice`] if there is no such device.
    pub fn legacy(ordinal: usize) -> Result<Self, StorageError> {
        let gpu = Gpu::get(ordinal)?;
        Ok(Self(Arc::new(Inner { gpu, handle: LEGACY, kind: Kind::Legacy })))
    }

    /// The calling thread's default stream, of code compiled for per-thread default streams.
    ///
    /// # Errors
    /// [`StorageError::NoDevice`] if there is no such device.
    pub fn per_thread(ordinal: usize) -> Result<Self, StorageError> {
        let gpu = Gpu::get(ordinal)?;
        Ok(Self(Arc::new(Inner { gpu, handle: PER_THREAD, kind: Kind::External })))
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
    /// The handle is a live stream of this device for as long as this value is current, or is passed
    /// to a call. What was enqueued may still run after the stream was destroyed.
    pub unsafe fn external(ordinal: usize, handle: usize) -> Result<Self, StorageError> {
        match handle {
            0 => Err(StorageError::AmbiguousStream),
            LEGACY => Self::legacy(ordinal),
            PER_THREAD => Self::per_thread(ordinal),
            _ => {
                let gpu = Gpu::get(ordinal)?;
                Ok(Self(Arc::new(Inner { gpu, handle, kind: Kind::External })))
            }
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

    /// Whether the stream lives as long as this value, whoever else uses it.
    pub(super) fn outlives_notes(&self) -> bool {
        !matches!(self.0.kind, Kind::External)
    }

    pub(super) fn is_legacy(&self) -> bool {
        self.handle() == LEGACY
    }

    /// Whether memory can be allocated and freed in this stream's order.
    pub(super) fn is_own(&self) -> bool {
        matches!(self.0.kind, Kind::Own(_))
    }

    /// The point after all that was enqueued so far.
    pub(super) fn mark(&self) -> Result<Event, StorageError> {
        Event::after(self.gpu(), self.handle())
    }

    /// Makes what is enqueued here from now on wait for what is on `earlier` so far.
    ///
    /// # Errors
    /// The driver's.
    pub fn wait_for(&self, earlier: &Self) -> Result<(), StorageError> {
        if self == earlier {
            return Ok(());
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
        Ok(())
    }

    /// Waits, and does nothing else.
    pub(super) fn wait(&self) -> Result<(), StorageError> {
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
        let _entered = self.gpu().enter()?;
        let mut status = 0;
        // SAFETY: a live stream; `status` is good for writing.
        unsafe { driver::cuStreamIsCapturing(self.handle(), &raw mut status) }?;
        Ok(status != 0)
    }

    /// As [`is_capturing`](Self::is_capturing), for those who cannot do anything about an error.
    pub(super) fn is_capturing_quietly(&self) -> bool {
        self.handle() != LEGACY && self.is_capturing().unwrap_or(false)
    }

    /// An error that names `call`, which would wait, if the stream is capturing.
    pub(super) fn refuse_capture(&self, call: &'static str) -> Result<(), StorageError> {
        // The legacy stream cannot be captured; asked while another is, it answers an error.
        if self.handle() != LEGACY && self.is_capturing()? {
            return Err(StorageError::Capturing { call });
        }
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Kind::Own(stream) = &mut self.kind else { return };
        // SAFETY: taken once, here.
        let stream = unsafe { ManuallyDrop::take(stream) };
        match self.gpu.enter().or_else(|_| self.gpu.enter()) {
            Ok(_entered) => drop(stream),
            // Without its context the driver destroys nothing.
            Err(_) => std::mem::forget(stream),
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

/// Waits until all work on a device has run.
///
/// # Errors
/// [`StorageError::NoDevice`] if there is no such device; the driver's error of that work.
pub fn synchronize(ordinal: usize) -> Result<(), StorageError> {
    let gpu = Gpu::get(ordinal)?;
    gpu.wait_for_all()?;
    super::block::free_late(gpu);
    super::pending::release_passed();
    Ok(())
}

/// While this lives, calls of this thread that a capture elsewhere would forbid are allowed: they
/// concern work that no capture contains.
pub(super) struct Relaxed {
    before: Option<i32>,
}

impl Relaxed {
    const RELAXED: i32 = 2;

    pub(super) fn new() -> Self {
        Self { before: exchange(Self::RELAXED) }
    }
}

impl Drop for Relaxed {
    fn drop(&mut self) {
        self.before.map(exchange);
    }
}

/// Sets the thread's capture mode; gives the one before.
fn exchange(mode: i32) -> Option<i32> {
    let mut mode = mode;
    // SAFETY: `mode` is good for reading and writing.
    unsafe { driver::cuThreadExchangeStreamCaptureMode(&raw mut mode) }.ok()?;
    Some(mode)
}
