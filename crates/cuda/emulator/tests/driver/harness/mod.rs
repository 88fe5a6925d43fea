//! The driver's functions as safe calls. Handles and addresses are numbers: the emulator checks
//! each.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;

use cust::sys;
use ndbridge_cuda_emulator::Session;

/// Calls a driver function; its code.
macro_rules! driver {
    ($name:ident($($argument:expr),* $(,)?)) => {{
        // SAFETY: addresses of devices and handles are checked by the emulator; pointers to the
        // host's memory come from references and stay valid for as long as work uses them.
        let code = unsafe { sys::$name($($argument),*) };
        code as i32
    }};
}

mod graphs;
#[expect(unsafe_code, reason = "reads memory that the driver gave")]
mod host;
#[expect(unsafe_code, reason = "calls the driver, and is called")]
mod modules;
#[expect(unsafe_code, reason = "fills a structure with zeros")]
mod pools;

pub use graphs::{
    GLOBAL, RELAXED, begin_capture, capture_status, destroy_graph, end_capture, exchange_mode,
    launch_graph, run_graph,
};
pub use host::{HostBlock, MAPPED, attribute, attributes, managed, pinned, register, unregister};
pub use modules::{call_on, count_on, function, launch, load};
pub use pools::{Pool, RESERVED, RESERVED_HIGH, THRESHOLD, USED, USED_HIGH};

pub type Stream = usize;
pub type Event = usize;

/// A test: the emulator alone, device 0 current on this thread.
pub struct Setup {
    session: Session,
    /// The devices' primary contexts.
    pub contexts: [usize; 2],
}

impl Setup {
    pub fn new() -> Setup {
        let session = Session::start();
        assert!(session.is_emulated(), "these tests are about the emulator");
        assert_eq!(driver!(cuInit(0)), 0);
        let contexts = [0, 1].map(retain);
        set_current(contexts[0]);
        Setup { session, contexts }
    }

    pub fn session(&self) -> &Session {
        &self.session
    }
}

fn retain(device: i32) -> usize {
    let mut context = null_mut();
    assert_eq!(driver!(cuDevicePrimaryCtxRetain(&mut context, device)), 0);
    context as usize
}

pub fn set_current(context: usize) {
    assert_eq!(driver!(cuCtxSetCurrent(context as sys::CUcontext)), 0);
}

/// Runs `work` on another thread, which has no context.
pub fn elsewhere<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

pub fn synchronize() -> i32 {
    driver!(cuCtxSynchronize())
}

pub fn try_alloc(len: usize) -> Result<u64, i32> {
    let mut addr = 0;
    let code = driver!(cuMemAlloc_v2(&mut addr, len));
    if code == 0 { Ok(addr) } else { Err(code) }
}

pub fn alloc(len: usize) -> u64 {
    try_alloc(len).unwrap()
}

/// An allocation on the current device of known bytes.
pub fn alloc_filled(len: usize, value: u8) -> u64 {
    let addr = alloc(len);
    assert_eq!(driver!(cuMemsetD8_v2(addr, value, len)), 0);
    assert_eq!(synchronize(), 0);
    addr
}

pub fn free(addr: u64) -> i32 {
    driver!(cuMemFree_v2(addr))
}

pub fn alloc_async(len: usize, stream: Stream) -> Result<u64, i32> {
    let mut addr = 0;
    let code = driver!(cuMemAllocAsync(&mut addr, len, stream as sys::CUstream));
    if code == 0 { Ok(addr) } else { Err(code) }
}

pub fn free_async(addr: u64, stream: Stream) -> i32 {
    driver!(cuMemFreeAsync(addr, stream as sys::CUstream))
}

pub fn memory_info() -> (usize, usize) {
    let (mut free, mut total) = (0, 0);
    assert_eq!(driver!(cuMemGetInfo_v2(&mut free, &mut total)), 0);
    (free, total)
}

pub fn fill(addr: u64, value: u8, len: usize, stream: Stream) -> i32 {
    driver!(cuMemsetD8Async(addr, value, len, stream as sys::CUstream))
}

pub fn fill_2d(addr: u64, pitch: usize, value: u16, width: usize, height: usize) -> i32 {
    driver!(cuMemsetD2D16Async(addr, pitch, value, width, height, null_mut()))
}

/// Copies to pageable or pinned memory. Of pinned memory the caller waits before it reads.
pub fn to_host(into: &mut [u8], from: u64, stream: Stream) -> i32 {
    let (to, len) = (into.as_mut_ptr().cast(), into.len());
    driver!(cuMemcpyDtoHAsync_v2(to, from, len, stream as sys::CUstream))
}

pub fn to_host_now(into: &mut [u8], from: u64) -> i32 {
    driver!(cuMemcpyDtoH_v2(into.as_mut_ptr().cast(), from, into.len()))
}

pub fn read(from: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    assert_eq!(to_host_now(&mut bytes, from), 0);
    bytes
}

pub fn to_device(to: u64, from: &[u8], stream: Stream) -> i32 {
    driver!(cuMemcpyHtoDAsync_v2(to, from.as_ptr().cast(), from.len(), stream as sys::CUstream))
}

pub fn on_device(to: u64, from: u64, len: usize, stream: Stream) -> i32 {
    driver!(cuMemcpyDtoDAsync_v2(to, from, len, stream as sys::CUstream))
}

/// A copy between two addresses of the unified space.
pub fn unified(to: u64, from: u64, len: usize, stream: Stream) -> i32 {
    driver!(cuMemcpyAsync(to, from, len, stream as sys::CUstream))
}

pub fn peer(to: (u64, usize), from: (u64, usize), len: usize, stream: Stream) -> i32 {
    let (to_in, from_in) = (to.1 as sys::CUcontext, from.1 as sys::CUcontext);
    driver!(cuMemcpyPeerAsync(to.0, to_in, from.0, from_in, len, stream as sys::CUstream))
}

pub fn copy_2d(copy: &sys::CUDA_MEMCPY2D, stream: Stream) -> i32 {
    driver!(cuMemcpy2DAsync_v2(copy, stream as sys::CUstream))
}

pub fn copy_3d(copy: &sys::CUDA_MEMCPY3D, stream: Stream) -> i32 {
    driver!(cuMemcpy3DAsync_v2(copy, stream as sys::CUstream))
}

pub fn enable_peer(context: usize) -> i32 {
    driver!(cuCtxEnablePeerAccess(context as sys::CUcontext, 0))
}

pub fn disable_peer(context: usize) -> i32 {
    driver!(cuCtxDisablePeerAccess(context as sys::CUcontext))
}

/// A stream with flags: 1 for non-blocking.
pub fn stream(flags: u32) -> Stream {
    let mut stream = null_mut();
    assert_eq!(driver!(cuStreamCreateWithPriority(&mut stream, flags, 0)), 0);
    stream as Stream
}

pub fn destroy(stream: Stream) -> i32 {
    driver!(cuStreamDestroy_v2(stream as sys::CUstream))
}

pub fn wait(stream: Stream) -> i32 {
    driver!(cuStreamSynchronize(stream as sys::CUstream))
}

pub fn query(stream: Stream) -> i32 {
    driver!(cuStreamQuery(stream as sys::CUstream))
}

pub fn stream_facts(stream: Stream) -> (usize, u32) {
    let (mut context, mut flags) = (null_mut(), 0);
    assert_eq!(driver!(cuStreamGetCtx(stream as sys::CUstream, &mut context)), 0);
    assert_eq!(driver!(cuStreamGetFlags(stream as sys::CUstream, &mut flags)), 0);
    (context as usize, flags)
}

pub fn event() -> Event {
    let mut event = null_mut();
    assert_eq!(driver!(cuEventCreate(&mut event, 0)), 0);
    event as Event
}

pub fn record(event: Event, stream: Stream) -> i32 {
    driver!(cuEventRecord(event as sys::CUevent, stream as sys::CUstream))
}

pub fn stream_waits(stream: Stream, event: Event) -> i32 {
    driver!(cuStreamWaitEvent(stream as sys::CUstream, event as sys::CUevent, 0))
}

pub fn wait_event(event: Event) -> i32 {
    driver!(cuEventSynchronize(event as sys::CUevent))
}

pub fn query_event(event: Event) -> i32 {
    driver!(cuEventQuery(event as sys::CUevent))
}

/// Makes `later` wait for what is queued on `earlier`.
pub fn order(earlier: Stream, later: Stream) {
    let event = event();
    assert_eq!(record(event, earlier), 0);
    assert_eq!(stream_waits(later, event), 0);
    assert_eq!(driver!(cuEventDestroy_v2(event as sys::CUevent)), 0);
}

pub fn device_facts(device: i32) -> (String, String) {
    let mut name = [0u8; 64];
    assert_eq!(driver!(cuDeviceGetName(name.as_mut_ptr().cast(), 64, device)), 0);
    let mut bus = [0u8; 64];
    assert_eq!(driver!(cuDeviceGetPCIBusId(bus.as_mut_ptr().cast(), 64, device)), 0);
    let text = |bytes: &[u8]| {
        std::ffi::CStr::from_bytes_until_nul(bytes).unwrap().to_str().unwrap().to_owned()
    };
    (text(&name), text(&bus))
}

/// A function of the emulator, as the driver's header has it since its codes are no closed list.
macro_rules! function {
    ($name:literal: fn($($T:ty),*)) => {{
        let found = ndbridge_cuda_emulator::lookup($name);
        // SAFETY: the function of this name takes these and answers a code.
        unsafe { std::mem::transmute::<*mut c_void, extern "C" fn($($T),*) -> i32>(found) }
    }};
}

/// As [`try_alloc`], whatever the code.
pub fn alloc_code(len: usize) -> i32 {
    let mut addr = 0;
    function!(c"cuMemAlloc_v2": fn(&mut u64, usize))(&mut addr, len)
}

/// The driver's name of a code.
pub fn error_name(code: i32) -> Option<String> {
    let mut name = std::ptr::null();
    match function!(c"cuGetErrorName": fn(i32, &mut *const c_char))(code, &mut name) {
        // SAFETY: a string that lives as long as the program.
        0 => Some(unsafe { CStr::from_ptr(name) }.to_str().unwrap().to_owned()),
        _ => None,
    }
}

/// cust's own asynchronous copy; the target lives until the stream was waited for.
pub fn copy_to_locked(
    from: &cust::memory::DeviceBuffer<f32>,
    to: &mut cust::memory::LockedBuffer<f32>,
    stream: &cust::stream::Stream,
) {
    use cust::memory::AsyncCopyDestination;
    // SAFETY: both outlive the test's wait.
    unsafe { from.async_copy_to(to, stream) }.unwrap();
}
