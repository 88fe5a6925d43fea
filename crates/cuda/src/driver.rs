//! The driver's functions, each with its answer as a `Result`.
//!
//! Declared here although `cust` has them: its result type is an enum of the codes of CUDA 11.4, and a
//! driver of today answers others, which no value of that enum may hold. No call goes through `cust`.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;

use super::codes;
use ndbridge_storage::StorageError;

macro_rules! driver_functions {
    ($($(#[$attribute:meta])* $name:ident($($argument:ident: $T:ty),*);)*) => {
        mod raw {
            use super::*;
            unsafe extern "C" {
                $(pub(super) fn $name($($argument: $T),*) -> c_int;)*
            }
        }
        $(
            #[expect(non_snake_case, reason = "the driver's name")]
            $(#[$attribute])*
            #[doc = concat!("# Safety\nAs the driver's documentation of `", stringify!($name), "` asks.")]
            pub(super) unsafe fn $name($($argument: $T),*) -> Result<(), StorageError> {
                // SAFETY: promised by the caller; the symbol is that of `ndbridge-cuda-lazy`.
                let code = unsafe { raw::$name($($argument),*) };
                check(stringify!($name), code)
            }
        )*
    };
}

/// Handles of the driver (contexts, streams, events, pools, functions): opaque words.
pub(super) type Handle = usize;

driver_functions! {
    cuInit(flags: c_uint);
    cuDeviceGetCount(count: *mut c_int);
    cuDeviceGet(device: *mut c_int, ordinal: c_int);
    cuDeviceGetName(name: *mut c_char, len: c_int, device: c_int);
    cuDevicePrimaryCtxRetain(context: *mut Handle, device: c_int);
    cuDevicePrimaryCtxGetState(device: c_int, flags: *mut c_uint, is_active: *mut c_int);
    cuDeviceGetAttribute(value: *mut c_int, attribute: c_int, device: c_int);
    cuCtxGetCurrent(context: *mut Handle);
    cuCtxPushCurrent_v2(context: Handle);
    cuCtxPopCurrent_v2(context: *mut Handle);
    cuCtxSynchronize();
    cuMemGetInfo_v2(free: *mut usize, total: *mut usize);
    cuMemAlloc_v2(address: *mut u64, len_bytes: usize);
    cuMemFree_v2(address: u64);
    cuMemPoolCreate(pool: *mut Handle, properties: *const cust::sys::CUmemPoolProps);
    cuMemPoolTrimTo(pool: Handle, keep_bytes: usize);
    cuMemPoolSetAttribute(pool: Handle, attribute: c_int, value: *mut u64);
    cuMemPoolGetAttribute(pool: Handle, attribute: c_int, value: *mut u64);
    cuMemAllocFromPoolAsync(address: *mut u64, len_bytes: usize, pool: Handle, stream: Handle);
    cuMemFreeAsync(address: u64, stream: Handle);
    cuMemHostAlloc(address: *mut *mut u8, len_bytes: usize, flags: c_uint);
    cuMemFreeHost(address: *mut u8);
    cuMemcpyHtoDAsync_v2(to: u64, from: *const u8, len_bytes: usize, stream: Handle);
    cuMemcpyDtoHAsync_v2(to: *mut u8, from: u64, len_bytes: usize, stream: Handle);
    cuMemcpyDtoDAsync_v2(to: u64, from: u64, len_bytes: usize, stream: Handle);
    cuMemcpyPeerAsync(
        to: u64, to_context: Handle, from: u64, from_context: Handle, len_bytes: usize, stream: Handle
    );
    cuStreamCreateWithPriority(stream: *mut Handle, flags: c_uint, priority: c_int);
    cuStreamDestroy_v2(stream: Handle);
    cuStreamSynchronize(stream: Handle);
    cuStreamQuery(stream: Handle);
    cuStreamWaitEvent(stream: Handle, event: Handle, flags: c_uint);
    cuStreamIsCapturing(stream: Handle, status: *mut c_int);
    cuThreadExchangeStreamCaptureMode(mode: *mut c_int);
    cuEventCreate(event: *mut Handle, flags: c_uint);
    cuEventRecord(event: Handle, stream: Handle);
    cuEventQuery(event: Handle);
    cuEventSynchronize(event: Handle);
    cuModuleLoadDataEx(
        module: *mut Handle, image: *const c_char, count: c_uint, options: *mut c_int,
        values: *mut *mut c_void
    );
    cuModuleGetFunction(function: *mut Handle, module: Handle, name: *const c_char);
    cuPointerGetAttribute(value: *mut c_void, attribute: c_int, address: u64);
    #[expect(clippy::too_many_arguments, reason = "the driver's parameters")]
    cuLaunchKernel(
        function: Handle, grid_x: c_uint, grid_y: c_uint, grid_z: c_uint, block_x: c_uint,
        block_y: c_uint, block_z: c_uint, shared_bytes: c_uint, stream: Handle,
        parameters: *mut *mut c_void, extra: *mut *mut c_void
    );
}

fn check(call: &'static str, code: i32) -> Result<(), StorageError> {
    if code == 0 { Ok(()) } else { Err(failure(call, code)) }
}

#[cold]
fn failure(call: &'static str, code: i32) -> StorageError {
    let (name, text, remedy) = (codes::name_of(code), text_of(code), codes::remedy_of(code));
    StorageError::Driver { call, code, name, text, remedy }
}

/// The code, if the error is the driver's.
pub(super) fn code_of(error: &StorageError) -> Option<i32> {
    match error {
        StorageError::Driver { code, .. } => Some(*code),
        _ => None,
    }
}

fn text_of(code: i32) -> &'static str {
    unsafe extern "C" {
        fn cuGetErrorString(code: c_int, text: *mut *const c_char) -> c_int;
    }
    let mut text: *const c_char = ptr::null();
    // SAFETY: `text` is good for writing a pointer; the function works before any initialisation.
    let answer = unsafe { cuGetErrorString(code, &raw mut text) };
    if answer != 0 || text.is_null() {
        return "a code that the driver does not describe";
    }
    // SAFETY: a terminated string of the driver, which is never unloaded.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().unwrap_or("a text that is not UTF-8")
}
