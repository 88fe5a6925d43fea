//! Bytes to a device and back, by jobs.

use ndbridge_cuda::{Job, Stream};
use ndbridge_storage::{BorrowKind, Device, Region, Storage, StorageError};

pub fn address(storage: &Storage) -> u64 {
    storage.as_ptr() as u64
}

/// New memory on a device with these bytes, written on `stream`.
pub fn upload(stream: &Stream, bytes: &[u8]) -> Storage {
    let storage = Storage::on_device(Device::Cuda(stream.ordinal()), bytes.len()).unwrap();
    write(stream, &storage, bytes).unwrap();
    storage
}

/// Writes bytes on `stream`.
pub fn write(stream: &Stream, to: &Storage, bytes: &[u8]) -> Result<(), StorageError> {
    assert!(bytes.len() <= to.len_bytes());
    Job::on(stream).writes(to).run(|enqueue| {
        // SAFETY: as many bytes of pageable memory, which is read before this returns.
        unsafe { enqueue.copy_to_device(address(to), bytes.as_ptr(), bytes.len(), false) }
    })
}

/// Copies all bytes from one storage to another on `stream`.
pub fn copy(stream: &Stream, from: &Storage, to: &Storage) {
    try_copy(stream, from, to).unwrap();
}

/// The same, where it may be refused.
pub fn try_copy(stream: &Stream, from: &Storage, to: &Storage) -> Result<(), StorageError> {
    let len_bytes = from.len_bytes();
    assert_eq!(to.len_bytes(), len_bytes);
    let (here, there) = (ordinal(from), ordinal(to));
    let job = Job::on(stream).reads(from).writes(to);
    job.run(|enqueue| {
        let (to, from) = (address(to), address(from));
        if here == there {
            // SAFETY: as many bytes on this device, of two allocations, named by the job.
            unsafe { enqueue.copy_on_device(to, from, len_bytes) }
        } else {
            // SAFETY: as many bytes on both devices, named by the job.
            unsafe { enqueue.copy_between((there, to), (here, from), len_bytes) }
        }
    })
}

fn ordinal(storage: &Storage) -> usize {
    match storage.device() {
        ndbridge_storage::Device::Cuda(ordinal) => ordinal,
        other => panic!("{other} is no CUDA device"),
    }
}

/// All bytes, read on `stream` and waited for.
pub fn download(stream: &Stream, from: &Storage) -> Vec<u8> {
    let mut bytes = vec![0; from.len_bytes()];
    let to = bytes.as_mut_ptr();
    let read = Job::on(stream).reads(from).run(|enqueue| {
        // SAFETY: as many bytes, which nobody else touches; the stream is waited for below.
        unsafe { enqueue.copy_to_host(to, address(from), from.len_bytes(), false) }
    });
    read.unwrap();
    stream.synchronize().unwrap();
    bytes
}

/// Page-locked memory with these bytes.
pub fn pinned(bytes: &[u8]) -> Storage {
    let mut memory = Storage::uninit_pinned(bytes.len()).unwrap();
    memory.as_uninit_mut().write_copy_of_slice(bytes);
    // SAFETY: the line above wrote every byte.
    unsafe { memory.assume_init() }
}

/// All bytes of a storage.
pub fn whole<'s>(storage: &Storage, shape: &'s [usize; 1]) -> Region<'s> {
    let start = storage.as_ptr() as usize;
    assert_eq!(shape[0], storage.len_bytes());
    Region { start, item_bytes: 1, shape, strides: &[1] }
}

/// The bytes of host memory, read under a borrow.
pub fn host_bytes(storage: &Storage) -> Vec<u8> {
    let shape = [storage.len_bytes()];
    let _held = storage.borrow(BorrowKind::Read, &whole(storage, &shape)).unwrap();
    // SAFETY: host memory with values, borrowed for reading.
    unsafe { std::slice::from_raw_parts(storage.host_ptr().unwrap(), shape[0]) }.to_vec()
}

/// Enqueues a copy from page-locked memory to a device; nobody waits.
pub fn enqueue_upload(stream: &Stream, from: &Storage, to: &Storage) {
    let shape = [from.len_bytes()];
    let held = from.borrow_owned(BorrowKind::Read, &whole(from, &shape)).unwrap();
    let bytes = from.host_ptr().unwrap();
    let job = Job::on(stream).writes(to).holding(BorrowKind::Read, held).exact_if(true);
    let copied = job.run(|enqueue| {
        // SAFETY: as many bytes, held by the job until they were read.
        unsafe { enqueue.copy_to_device(address(to), bytes, shape[0], true) }
    });
    copied.unwrap();
}

/// Enqueues a copy from a device to page-locked memory; nobody waits.
pub fn enqueue_download(stream: &Stream, from: &Storage, to: &Storage) {
    let shape = [to.len_bytes()];
    let held = to.borrow_owned(BorrowKind::Write, &whole(to, &shape)).unwrap();
    let bytes = to.host_ptr().unwrap();
    let job = Job::on(stream).reads(from).holding(BorrowKind::Write, held);
    let copied = job.run(|enqueue| {
        // SAFETY: as many bytes, held by the job until they were written.
        unsafe { enqueue.copy_to_host(bytes, address(from), shape[0], true) }
    });
    copied.unwrap();
}

/// The caller's current context, and making one current: as a program beside us does.
pub fn current_context() -> usize {
    let mut context = std::ptr::null_mut();
    // SAFETY: good for writing a handle.
    let _answer = unsafe { cust::sys::cuCtxGetCurrent(&raw mut context) };
    context as usize
}

/// Makes a context current on this thread; 0 for none.
pub fn set_context(context: usize) {
    // SAFETY: a handle that `current_context` gave, or none.
    let _answer = unsafe { cust::sys::cuCtxSetCurrent(context as *mut _) };
}

/// The primary context of a device, retained by somebody else.
pub fn primary_context(ordinal: i32) -> usize {
    let mut context = std::ptr::null_mut();
    ndbridge_cuda::device_count().unwrap(); // initialises the driver
    // SAFETY: good for writing a handle.
    let _answer = unsafe { cust::sys::cuDevicePrimaryCtxRetain(&raw mut context, ordinal) };
    context as usize
}

/// Runs a call of the driver with the context of a device, as a program beside us does.
fn beside_us<R>(ordinal: usize, call: impl FnOnce() -> R) -> R {
    let before = current_context();
    set_context(primary_context(ordinal as i32));
    let answer = call();
    set_context(before);
    answer
}

/// A stream of somebody else, without `Drop`.
pub fn foreign_stream(ordinal: usize) -> (usize, Stream) {
    let mut raw = std::ptr::null_mut();
    beside_us(ordinal, || {
        // SAFETY: good for writing a handle; 1: does not wait for the legacy default stream.
        unsafe { cust::sys::cuStreamCreate(&raw mut raw, 1) }
    });
    // SAFETY: made just now.
    let stream = unsafe { Stream::external(ordinal, raw as usize) }.unwrap();
    (raw as usize, stream)
}

/// Destroys a stream of [`foreign_stream`], which was of the first device.
pub fn destroy(raw: usize) {
    beside_us(0, || {
        // SAFETY: made by `foreign_stream` on this device, not yet destroyed.
        unsafe { cust::sys::cuStreamDestroy_v2(raw as *mut _) }
    });
}

/// Starts a capture of a stream of the first device.
pub fn begin_capture(raw: usize) {
    use cust::sys::CUstreamCaptureMode_enum::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL as MODE;
    beside_us(0, || {
        // SAFETY: a live stream.
        unsafe { cust::sys::cuStreamBeginCapture_v2(raw as *mut _, MODE) }
    });
}

/// Ends a capture of a stream of the first device, and destroys the graph, which never runs.
pub fn end_capture(raw: usize) {
    let mut graph = std::ptr::null_mut();
    let answer = beside_us(0, || {
        // SAFETY: a stream that captures, good for writing a handle.
        unsafe { cust::sys::cuStreamEndCapture(raw as *mut _, &raw mut graph) }
    });
    assert_eq!(answer as i32, 0, "the capture was lost");
    beside_us(0, || {
        // SAFETY: a graph that was just made.
        unsafe { cust::sys::cuGraphDestroy(graph) }
    });
}

/// Copies without telling the storages, as foreign code does.
pub fn run_unnoted(job: Job<'_>, from: &Storage, to: &Storage) {
    let copied = job.run(|enqueue| {
        // SAFETY: as many bytes on this device, of two allocations that the test keeps.
        unsafe { enqueue.copy_on_device(address(to), address(from), from.len_bytes()) }
    });
    copied.unwrap();
}

/// The first byte, read on `stream` and waited for.
pub fn first_byte(stream: &Stream, from: &Storage) -> u8 {
    let mut byte = 0_u8;
    let to = &raw mut byte;
    let read = Job::on(stream).reads(from).run(|enqueue| {
        // SAFETY: one byte, which nobody else touches; the stream is waited for below.
        unsafe { enqueue.copy_to_host(to, address(from), 1, false) }
    });
    read.unwrap();
    stream.synchronize().unwrap();
    byte
}

/// A stream by its handle.
pub fn external(ordinal: usize, handle: usize) -> Result<Stream, StorageError> {
    // SAFETY: 0 is refused, 1 and 2 always live.
    unsafe { Stream::external(ordinal, handle) }
}

/// Enqueues a copy of 64 bytes of page-locked memory, and panics.
pub fn copy_then_panic(job: Job<'_>, to: &Storage, from: *const u8) {
    let copied: Result<(), StorageError> = job.run(|enqueue| {
        // SAFETY: 64 bytes of both, held and named by the job.
        unsafe { enqueue.copy_to_device(address(to), from, 64, true) }?;
        panic!("after the copy was enqueued")
    });
    copied.unwrap();
}

/// Page-locked memory that somebody else owns.
pub fn foreign_pinned<O: Send + Sync + 'static>(
    owner: O,
    ptr: *mut u8,
    len_bytes: usize,
) -> Storage {
    use ndbridge_storage::{Foreign, ForeignAccess, Mutability};
    let (mutability, access) = (Mutability::Writable, ForeignAccess::Private);
    let name = "foreign pinned memory";
    let device = Device::CudaHost;
    let foreign = Foreign { owner, name, ptr, len_bytes, device, mutability, access };
    // SAFETY: the owner keeps the memory, and nobody else uses it.
    unsafe { Storage::from_foreign(foreign) }.unwrap()
}

/// Memory of a device that somebody else owns, ready on the thread's current stream.
pub fn foreign_on_device<O: Send + Sync + 'static>(
    owner: O,
    ptr: *mut u8,
    len_bytes: usize,
) -> Storage {
    use ndbridge_storage::{Foreign, ForeignAccess, Mutability};
    let (mutability, access) = (Mutability::Writable, ForeignAccess::Private);
    let (name, device) = ("foreign device memory", Device::Cuda(0));
    let foreign = Foreign { owner, name, ptr, len_bytes, device, mutability, access };
    // SAFETY: the owner keeps the memory, and nobody else uses it.
    unsafe { Storage::from_foreign(foreign) }.unwrap()
}

/// Makes our current stream wait for somebody else's, as the boundary to other languages does.
pub fn wait_for_queue(handle: usize) -> Result<(), StorageError> {
    use ndbridge_storage::{Consumer, find_backend};
    let backend = find_backend(Device::Cuda(0))?;
    // SAFETY: a live stream of the first device.
    unsafe { backend.wait_for(Device::Cuda(0), Consumer::OnQueue(handle)) }
}

/// Gives memory to code that will use it on somebody else's stream.
pub fn hand_over_to(storage: &Storage, handle: usize) -> Result<(), StorageError> {
    use ndbridge_storage::Consumer;
    // SAFETY: a live stream of the storage's device.
    unsafe { storage.hand_over(Consumer::OnQueue(handle), BorrowKind::Write) }
}

/// Gives memory to code that names no stream.
pub fn hand_over_to_default(storage: &Storage) -> Result<(), StorageError> {
    use ndbridge_storage::Consumer;
    // SAFETY: no handle is named.
    unsafe { storage.hand_over(Consumer::OnDefaultQueue, BorrowKind::Write) }
}

/// Tells those who wait for devices what another library works on, and what to let go of.
pub fn wait_within(
    queue_of: fn(Device) -> Option<usize>,
    letting_go: fn(&mut (dyn FnMut() + Send)),
) {
    use ndbridge_storage::{Surroundings, find_backend};
    let surroundings = Surroundings { queue_of, letting_go };
    find_backend(Device::Cuda(0)).unwrap().wait_within(surroundings);
}

/// Has a stream call `function` when it comes to that.
pub fn call_from(stream: &Stream, function: impl FnOnce() + Send + 'static) {
    type Boxed = Box<dyn FnOnce() + Send>;
    extern "C" fn call(function: *mut std::ffi::c_void) {
        // SAFETY: made by `into_raw` below; the stream calls once.
        let function = unsafe { Box::from_raw(function.cast::<Boxed>()) };
        function();
    }
    let function: *mut Boxed = Box::into_raw(Box::new(Box::new(function)));
    let answer = beside_us(stream.ordinal(), || {
        let handle = stream.handle() as *mut _;
        // SAFETY: a live stream, and a function that takes what is passed.
        unsafe { cust::sys::cuLaunchHostFunc(handle, Some(call), function.cast()) }
    });
    assert_eq!(answer as i32, 0);
}
