//! cust 0.3.2, unchanged: it runs on the emulator, and the emulator sees what is wrong with it.

use cust::memory::{CopyDestination, DeviceBuffer, LockedBuffer};
use cust::stream::{Stream, StreamFlags};
use ndbridge_cuda_emulator::{Violation, used, violations};

use crate::harness::{Setup, free};
use crate::violations::assert_found;

#[test]
fn plain_cust() {
    let setup = Setup::new();
    let stream = Stream::new(StreamFlags::DEFAULT, None).unwrap();
    let buffer = DeviceBuffer::from_slice(&[1f32, 2.0, 3.0]).unwrap();
    let mut target = LockedBuffer::new(&0f32, 3).unwrap();
    crate::harness::copy_to_locked(&buffer, &mut target, &stream);
    assert_eq!(target[..], [0.0; 3], "nothing has waited yet");
    stream.synchronize().unwrap();
    assert_eq!(target[..], [1.0, 2.0, 3.0]);
    drop((buffer, target));
    setup.session().assert_no_leak(0);
}

#[test]
fn a_buffer_dropped_without_a_context_leaks() {
    let _setup = Setup::new();
    let buffer = DeviceBuffer::from_slice(&[1u8, 2, 3]).unwrap();
    let addr = buffer.as_device_ptr().as_raw();
    std::thread::spawn(move || drop(buffer)).join().unwrap();
    assert_eq!(used(0), 3, "its Drop swallowed the error");
    assert_found!(Violation::NoContext { call: "cuMemFree_v2" });
    assert_eq!(free(addr), 0);
}

#[test]
fn a_cast_buffer_is_freed_twice() {
    let _setup = Setup::new();
    let buffer = DeviceBuffer::from_slice(&[0u32; 4]).unwrap().cast::<u8>();
    assert_eq!(used(0), 0, "cast freed what it returns");
    drop(buffer);
    assert_found!(Violation::BadFree { .. });
}

#[test]
fn a_slice_outlives_its_buffer() {
    let _setup = Setup::new();
    let buffer = DeviceBuffer::from_slice(&[1u8, 2]).unwrap();
    let slice = *buffer;
    drop(buffer);
    assert!(slice.copy_to(&mut [0u8; 2]).is_err());
    assert_found!(Violation::UseAfterFree { .. });
}

#[test]
fn a_callback_borrows_what_may_be_gone() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let _setup = Setup::new();
    let stream = Stream::new(StreamFlags::DEFAULT, None).unwrap();
    let flag = AtomicBool::new(false);
    stream.add_callback(Box::new(|| flag.store(true, Ordering::SeqCst))).unwrap();
    assert!(!flag.load(Ordering::SeqCst), "`flag` could be dropped here");
    stream.synchronize().unwrap();
    assert!(flag.load(Ordering::SeqCst));
}
