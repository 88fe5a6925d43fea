//! A driver that is part of the program.
#![expect(unsafe_code, reason = "binds functions of its own as the driver's")]

use std::ffi::{CStr, c_int, c_uint, c_void};

use cust::error::CudaError;
use ndbridge_cuda_lazy::{bind, is_bound, load, symbol};

extern "C" fn init(_flags: c_uint) -> c_int {
    0
}

extern "C" fn newer() {}

/// # Safety
/// `count` may be written.
unsafe extern "C" fn device_count(count: *mut c_int) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { count.write(7) };
    0
}

fn find(name: &CStr) -> *mut c_void {
    match name.to_bytes() {
        b"cuInit" => init as *mut c_void,
        b"cuDeviceGetCount" => device_count as *mut c_void,
        b"cuNewerThanTheHeader" => newer as *mut c_void,
        _ => std::ptr::null_mut(),
    }
}

#[test]
fn cust_calls_the_bound_functions() {
    // SAFETY: the functions above have the driver's signatures.
    assert!(unsafe { bind(find) });
    // SAFETY: as above.
    assert!(!unsafe { bind(find) }, "the first stays");
    assert_eq!(load(), Ok(()));
    assert!(is_bound());
    cust::init(cust::CudaFlags::empty()).unwrap();
    assert_eq!(cust::device::Device::num_devices(), Ok(7));
    assert_eq!(
        cust::device::Device::get_device(0).err(),
        Some(CudaError::SharedObjectSymbolNotFound),
        "lacking"
    );
    assert!(symbol(c"cuNewerThanTheHeader").is_some());
    assert_eq!(symbol(c"cuMemFree_v2"), None);
}
