//! The shared library as a program's driver.
#![expect(unsafe_code, reason = "calls functions of the library")]
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::transmute;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::null_mut;

use cust::memory::{CopyDestination, DeviceBuffer};
use ndbridge_cuda_lazy::{is_bound, load, symbol};

// Tests of a package do not build its shared libraries. In the folder that the tests are built in
// what it needs is built already.
fn library() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let folder = program.ancestors().nth(2).unwrap();
    let profile = match folder.file_name().unwrap().to_str() {
        Some("debug") => "dev",
        other => other.unwrap(),
    };
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", env!("CARGO_PKG_NAME"), "--profile", profile]);
    let status = build.arg("--target-dir").arg(target).status().unwrap();
    assert!(status.success());
    folder.join("libndbridge_emulated_cuda.so")
}

#[test]
fn cust_runs_on_the_library() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "loaded"]).env("NDBRIDGE_CUDA_DRIVER", library());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// A control function of the library.
fn control(name: &CStr) -> *mut c_void {
    symbol(name).unwrap().as_ptr()
}

fn violations() -> String {
    type Violations = unsafe extern "C" fn(*mut c_char, usize) -> usize;
    let violations = control(c"ndbridge_emulator_violations");
    // SAFETY: the function of this name has this type.
    let violations = unsafe { transmute::<*mut c_void, Violations>(violations) };
    // SAFETY: asks only for the length.
    let len = unsafe { violations(null_mut(), 0) };
    let mut text = vec![0u8; len + 1];
    // SAFETY: a buffer of this length.
    assert_eq!(unsafe { violations(text.as_mut_ptr().cast(), text.len()) }, len);
    CString::from_vec_with_nul(text).unwrap().into_string().unwrap()
}

fn number(name: &CStr) -> u64 {
    // SAFETY: the functions asked for have this type.
    let function = unsafe { transmute::<*mut c_void, extern "C" fn(usize) -> u64>(control(name)) };
    function(0)
}

fn calls(name: &CStr) -> u64 {
    type Calls = unsafe extern "C" fn(*const c_char) -> u64;
    // SAFETY: the function of this name has this type.
    let calls = unsafe { transmute::<*mut c_void, Calls>(control(c"ndbridge_emulator_calls")) };
    // SAFETY: a C string.
    unsafe { calls(name.as_ptr()) }
}

fn fail(name: &CStr, nth: u64, code: c_int) {
    type Fail = unsafe extern "C" fn(*const c_char, u64, c_int);
    // SAFETY: the function of this name has this type.
    let fail = unsafe { transmute::<*mut c_void, Fail>(control(c"ndbridge_emulator_fail")) };
    // SAFETY: a C string.
    unsafe { fail(name.as_ptr(), nth, code) }
}

fn configure(devices: usize, bytes_each: usize) {
    let configure = control(c"ndbridge_emulator_configure");
    // SAFETY: the function of this name has this type.
    let configure = unsafe { transmute::<*mut c_void, extern "C" fn(usize, usize)>(configure) };
    configure(devices, bytes_each);
}

#[test]
#[ignore = "needs the environment of its twin"]
fn loaded() {
    assert_eq!(load(), Ok(()));
    assert!(is_bound());
    cust::init(cust::CudaFlags::empty()).unwrap();
    let device = |ordinal| cust::device::Device::get_device(ordinal).unwrap();
    assert_eq!(cust::device::Device::num_devices(), Ok(2));
    assert_eq!(device(1).total_memory(), Ok(1 << 30));
    configure(3, 1 << 20);
    assert_eq!(cust::device::Device::num_devices(), Ok(3));
    let _context = cust::context::Context::new(device(0)).unwrap();

    let buffer = DeviceBuffer::from_slice(&[1u8, 2, 3]).unwrap();
    let mut target = [0; 3];
    buffer.copy_to(&mut target).unwrap();
    assert_eq!((target, violations()), ([1, 2, 3], String::new()));
    let numbers = [c"ndbridge_emulator_used", c"ndbridge_emulator_live"].map(number);
    assert_eq!((numbers, calls(c"cuMemcpyDtoH_v2")), ([3, 1], 1));

    fail(c"cuMemAlloc_v2", 0, 2);
    assert!(DeviceBuffer::from_slice(&[1u8]).is_err());
    let slice = *buffer;
    drop(buffer);
    assert!(slice.copy_to(&mut target).is_err());
    let text = violations();
    assert!(text.starts_with("cuMemcpyDtoH: memory at 0x") && text.lines().count() == 1, "{text}");
    assert_eq!(violations(), "");
}
