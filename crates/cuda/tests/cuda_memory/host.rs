//! DEV-1 and DEV-2 on the host's side: what host code may touch, and when.

use ndbridge_cuda::{self as cuda, Stream, current_stream};
use ndbridge_cuda_emulator::Session;
use ndbridge_storage::{BorrowKind, Device, Storage, StorageError};

use crate::support::{
    download, enqueue_download, enqueue_upload, host_bytes, pinned, upload, whole,
};

#[test]
fn dev_1_device_memory_has_no_host_pointer() {
    let _session = Session::start();
    let storage = upload(&current_stream(0).unwrap(), &[1; 8]);
    let error = storage.host_ptr().unwrap_err();
    assert!(matches!(error, StorageError::NotHost { device: Device::Cuda(0), len_bytes: 8 }));
    assert!(error.to_string().contains("call cpu()"));
}

#[test]
fn dev_2_a_pinned_source_is_borrowed_until_it_was_read() {
    let _session = Session::start();
    let stream = Stream::new(0).unwrap();
    let (host, there) = (pinned(&[1; 4096]), Storage::on_device(Device::Cuda(0), 4096).unwrap());
    enqueue_upload(&stream, &host, &there);
    // Readers go together with the copy, a writer waits for it.
    assert_eq!(host_bytes(&host), [1; 4096]);
    let shape = [4096];
    let write = host.borrow(BorrowKind::Write, &whole(&host, &shape)).unwrap();
    drop(write);
    assert_eq!(download(&stream, &there), [1; 4096]);
}

#[test]
fn dev_2_a_pinned_source_outlives_its_handles_until_it_was_read() {
    let _session = Session::start();
    let stream = Stream::new(0).unwrap();
    let there = Storage::on_device(Device::Cuda(0), 4096).unwrap();
    let host = pinned(&[2; 4096]);
    enqueue_upload(&stream, &host, &there);
    drop(host);
    // Would be the same memory, had it been let go of.
    let other = pinned(&[9; 4096]);
    assert_eq!(download(&stream, &there), [2; 4096]);
    drop(other);
}

#[test]
fn dev_2_a_guard_waits_for_the_copy_to_its_memory() {
    let _session = Session::start();
    let stream = Stream::new(0).unwrap();
    let there = upload(&stream, &[3; 4096]);
    let host = pinned(&[0; 4096]);
    enqueue_download(&stream, &there, &host);
    assert_eq!(host_bytes(&host), [3; 4096]);
}

#[test]
fn dev_2_code_that_takes_no_borrow_waits_by_name() {
    let session = Session::start();
    let stream = Stream::new(0).unwrap();
    let there = upload(&stream, &[4; 4096]);
    let host = pinned(&[0; 4096]);
    enqueue_download(&stream, &there, &host);
    if session.is_emulated() {
        assert!(!host.is_ready().unwrap(), "the emulator runs nothing before it has to");
    }
    cuda::hand_over(&host, None, BorrowKind::Write).unwrap();
    assert!(host.is_ready().unwrap());
    assert_eq!(host_bytes(&host), [4; 4096]);
}

#[test]
fn dev_2_a_part_of_pinned_memory_does_not_wait_for_another() {
    let session = Session::start();
    let stream = Stream::new(0).unwrap();
    let there = upload(&stream, &[5; 4096]);
    let (host, idle) = (pinned(&[0; 4096]), pinned(&[6; 16]));
    enqueue_download(&stream, &there, &host);
    assert_eq!(host_bytes(&idle), [6; 16]);
    if session.is_emulated() {
        assert!(!host.is_ready().unwrap());
    }
    assert_eq!(host_bytes(&host), [5; 4096]);
}

#[test]
fn pinned_memory_is_kept_for_later() {
    let _session = Session::start();
    let address = {
        let host = pinned(&[1; 5000]);
        host.as_ptr() as usize
    };
    let again = pinned(&[2; 6000]);
    assert_eq!(again.as_ptr() as usize, address, "both take a block of 8192 bytes");
    let kept = ndbridge_cuda::memory_stats(0).unwrap().pinned_kept_bytes;
    drop(again);
    let now = ndbridge_cuda::memory_stats(0).unwrap().pinned_kept_bytes;
    assert_eq!(now, kept + 8192);
    ndbridge_cuda::empty_cache(0).unwrap();
    assert_eq!(ndbridge_cuda::memory_stats(0).unwrap().pinned_kept_bytes, 0);
}
