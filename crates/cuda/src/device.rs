//! Devices: found once, opened once, never closed.

use std::collections::HashMap;
use std::ffi::c_char;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use cust::sys::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED as HAS_POOLS;

use super::captures::Streams;
use super::codes::CAPTURE_IMPLICIT;
use super::driver::{self, Handle, code_of};
use super::event::Events;
use super::late;
use super::relaxed::Relaxed;
use super::stream::{self, Stream};
use ndbridge_storage::{Device, StorageError, fork};

/// One GPU: its primary context, the stream that work goes to by default, its memory pool.
///
/// Lives as long as the process: the driver is gone before static destructors run.
pub(super) struct Gpu {
    pub(super) ordinal: usize,
    // INVARIANT: the device's primary context, retained and never released.
    context: Handle,
    /// Our own pool, so that nobody else's settings change; `None` where the device has none.
    pub(super) pool: Option<Handle>,
    home: OnceLock<Stream>,
    pub(super) events: Events,
    /// Functions, of modules that are never unloaded.
    pub(super) kernels: Mutex<HashMap<&'static str, Handle>>,
    /// The streams that exist, to be asked whether they are captured.
    pub(super) streams: Streams,
    /// Memory that could not end when it was its time.
    pub(super) late: late::List,
}

const MAX_DEVICES: usize = 64;

/// The process that used the driver first: its [`fork::generation`], and 1; 0 until then.
static USED_IN: AtomicU64 = AtomicU64::new(0);

/// Whether the driver was used before this process was forked: it answers errors here, and locks of
/// devices and of notes may be held by threads that are not here. So nothing of them is touched.
#[inline]
pub(super) fn is_left_to_parent() -> bool {
    let used_in = USED_IN.load(Ordering::Relaxed);
    used_in != 0 && used_in != fork::generation() + 1
}

/// An error if nothing of CUDA may be touched in this process; that of `device`.
#[inline]
pub(super) fn check_process(device: Device) -> Result<(), StorageError> {
    if is_left_to_parent() { Err(left_to_parent(device)) } else { Ok(()) }
}

#[cold]
fn left_to_parent(device: Device) -> StorageError {
    let reason = "CUDA was used before this process was forked: the CUDA driver does not work in a \
                  forked child, start processes by spawn or forkserver";
    StorageError::NoDevice { device, reason: reason.to_owned() }
}

static OPEN: [OnceLock<&'static Gpu>; MAX_DEVICES] = [const { OnceLock::new() }; MAX_DEVICES];

impl Gpu {
    /// The device with this ordinal, opened at the first call.
    pub(super) fn get(ordinal: usize) -> Result<&'static Self, StorageError> {
        match OPEN.get(ordinal).and_then(OnceLock::get) {
            Some(gpu) => Ok(gpu),
            None => Self::open(ordinal),
        }
    }

    /// A device that is open already, else the first: for what concerns no device in particular.
    pub(super) fn any() -> Result<&'static Self, StorageError> {
        match OPEN.iter().find_map(OnceLock::get) {
            Some(gpu) => Ok(gpu),
            None => Self::open(0),
        }
    }

    #[cold]
    fn open(ordinal: usize) -> Result<&'static Self, StorageError> {
        static OPENING: Mutex<()> = Mutex::new(());
        let device = Device::Cuda(ordinal);
        check_exists(device)?;
        let slot = OPEN.get(ordinal).ok_or_else(|| {
            let reason = format!("{MAX_DEVICES} CUDA devices are the most that are used");
            StorageError::NoDevice { device, reason }
        })?;
        let _one = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gpu) = slot.get() {
            return Ok(gpu);
        }
        let _relaxed = Relaxed::new();
        let raw = raw_device(ordinal)?;
        let mut context: Handle = 0;
        // SAFETY: `context` is good for writing, the device is one of the driver's.
        unsafe { driver::cuDevicePrimaryCtxRetain(&raw mut context, raw) }?;
        let pool = if has_pools(raw)? { Some(super::pool::create(raw)?) } else { None };
        let gpu = Self {
            ordinal,
            context,
            pool,
            home: OnceLock::new(),
            events: Events::default(),
            kernels: Mutex::default(),
            streams: Streams::default(),
            late: late::List::default(),
        };
        Ok(slot.get_or_init(|| Box::leak(Box::new(gpu))))
    }

    /// The device's name in this workspace.
    pub(super) fn device(&self) -> Device {
        Device::Cuda(self.ordinal)
    }

    pub(super) fn context(&self) -> Handle {
        self.context
    }

    /// The stream that work goes to unless another one is current.
    pub(super) fn home(&'static self) -> Result<&'static Stream, StorageError> {
        if let Some(home) = self.home.get() {
            return Ok(home);
        }
        let stream = Stream::made_for(self)?;
        Ok(self.home.get_or_init(|| stream))
    }

    /// Waits, as `wait` does it, for every device that this process uses, be it by other libraries.
    pub(super) fn wait_for_devices(
        wait: fn(&'static Self) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        for ordinal in 0..super::device_count()?.min(MAX_DEVICES) {
            if is_in_use(ordinal)? {
                wait(Self::get(ordinal)?)?;
            }
        }
        Ok(())
    }

    /// Waits until all work on the device has run.
    pub(super) fn wait_for_all(&self) -> Result<(), StorageError> {
        let _entered = self.enter()?;
        // SAFETY: the context is entered.
        unsafe { driver::cuCtxSynchronize() }
    }

    /// Whether the work on a stream of the device is recorded for a graph.
    pub(super) fn is_captured(&self, stream: Handle) -> Result<bool, StorageError> {
        let _entered = self.enter()?;
        let mut status = 0;
        // SAFETY: a live stream; `status` is good for writing.
        unsafe { driver::cuStreamIsCapturing(stream, &raw mut status) }?;
        Ok(status != 0)
    }

    /// Whether a stream is captured that the legacy default stream would have to wait for. Asking ends
    /// no capture.
    pub(super) fn is_legacy_blocked(&self) -> Result<bool, StorageError> {
        match self.is_captured(stream::LEGACY) {
            Err(error) if code_of(&error) == Some(CAPTURE_IMPLICIT) => Ok(true),
            other => other,
        }
    }

    /// Makes this device's context the current one of the thread until the guard drops.
    #[inline]
    pub(super) fn enter(&self) -> Result<Entered, StorageError> {
        check_process(self.device())?;
        let context = self.context();
        let pushed = current_context()? != context;
        if pushed {
            // SAFETY: a retained primary context, never released.
            unsafe { driver::cuCtxPushCurrent_v2(context) }?;
        }
        Ok(Entered { pushed, _of_this_thread: PhantomData })
    }
}

/// While this lives, the device's context is the thread's current one.
pub(super) struct Entered {
    pushed: bool,
    _of_this_thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        if self.pushed {
            pop_context();
        }
    }
}

fn pop_context() {
    let mut popped: Handle = 0;
    // SAFETY: `popped` is good for writing a handle.
    let answer = unsafe { driver::cuCtxPopCurrent_v2(&raw mut popped) };
    if answer.is_err() {
        // The context must not stay: the thread's next user would work on the wrong device.
        // SAFETY: as above.
        let _ = unsafe { driver::cuCtxPopCurrent_v2(&raw mut popped) };
    }
}

fn current_context() -> Result<Handle, StorageError> {
    let mut current: Handle = 0;
    // SAFETY: `current` is good for writing a handle.
    unsafe { driver::cuCtxGetCurrent(&raw mut current) }?;
    Ok(current)
}

/// The driver's number of a device.
fn raw_device(ordinal: usize) -> Result<i32, StorageError> {
    let mut device = 0;
    // SAFETY: `device` is good for writing.
    unsafe { driver::cuDeviceGet(&raw mut device, ordinal as i32) }?;
    Ok(device)
}

/// Whether somebody in this process has the device's primary context.
fn is_in_use(ordinal: usize) -> Result<bool, StorageError> {
    let (mut flags, mut is_active) = (0, 0);
    let device = raw_device(ordinal)?;
    // SAFETY: both are good for writing.
    unsafe { driver::cuDevicePrimaryCtxGetState(device, &raw mut flags, &raw mut is_active) }?;
    Ok(is_active != 0)
}

fn has_pools(device: i32) -> Result<bool, StorageError> {
    let mut value = 0;
    // SAFETY: `value` is good for writing.
    unsafe { driver::cuDeviceGetAttribute(&raw mut value, HAS_POOLS as i32, device) }?;
    Ok(value != 0)
}

/// Number of devices; an error of `device` if there is no driver.
fn count_for(device: Device) -> Result<usize, StorageError> {
    check_process(device)?;
    let _ =
        USED_IN.compare_exchange(0, fork::generation() + 1, Ordering::Relaxed, Ordering::Relaxed);
    let missing = |reason: String| StorageError::NoDevice { device, reason };
    ndbridge_cuda_lazy::load().map_err(|absent| missing(absent.to_string()))?;
    // SAFETY: 0 is the one value of the flags.
    unsafe { driver::cuInit(0) }.map_err(|error| missing(error.to_string()))?;
    let mut count = 0;
    // SAFETY: `count` is good for writing.
    unsafe { driver::cuDeviceGetCount(&raw mut count) }?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// As [`Device::check_exists`].
pub(crate) fn check_exists(device: Device) -> Result<(), StorageError> {
    let count = count_for(device)?;
    let is_there = match device {
        Device::Cuda(ordinal) => ordinal < count,
        _ => count > 0,
    };
    if is_there {
        return Ok(());
    }
    let plural = if count == 1 { "" } else { "s" };
    let reason = format!("this machine has {count} CUDA device{plural}");
    Err(StorageError::NoDevice { device, reason })
}

/// Number of CUDA devices.
///
/// # Errors
/// [`StorageError::NoDevice`] with the loader's text if there is no driver.
pub fn device_count() -> Result<usize, StorageError> {
    count_for(Device::Cuda(0))
}

/// Whether there is a driver and at least one device.
///
/// ```
/// use ndbridge_cuda as cuda;
/// if !cuda::is_available() {
///     assert!(cuda::device_name(0).is_err()); // says why
/// }
/// ```
#[must_use]
pub fn is_available() -> bool {
    device_count().is_ok_and(|count| count > 0)
}

/// The vendor's name of a device.
///
/// # Errors
/// [`StorageError::NoDevice`] if there is no such device.
pub fn device_name(ordinal: usize) -> Result<String, StorageError> {
    let gpu = Gpu::get(ordinal)?;
    let device = raw_device(gpu.ordinal)?;
    let mut name = [0_u8; 256];
    let (at, len) = (name.as_mut_ptr().cast::<c_char>(), name.len() as i32);
    // SAFETY: as many bytes are good for writing.
    unsafe { driver::cuDeviceGetName(at, len, device) }?;
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    Ok(String::from_utf8_lossy(&name[..end]).into_owned())
}
