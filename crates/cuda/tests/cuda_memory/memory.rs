//! The pool: statistics, limits, release; and what the driver knows of addresses.

use ndbridge_cuda::{self as cuda, PointerKind, check_pointer, current_stream, pointer_facts};
use ndbridge_cuda_emulator::{Session, limit};
use ndbridge_storage::{Device, Storage, StorageError};

use crate::support::{download, pinned, upload};

#[test]
fn statistics_follow_the_memory() {
    let _session = Session::start();
    cuda::empty_cache(0).unwrap();
    let before = cuda::memory_stats(0).unwrap();
    cuda::reset_peak_stats(0).unwrap();
    let storage = Storage::on_device(Device::Cuda(0), 1 << 20).unwrap();
    let held = cuda::memory_stats(0).unwrap();
    assert!(held.used_bytes >= before.used_bytes + (1 << 20));
    drop(storage);
    cuda::synchronize(0).unwrap();
    let after = cuda::memory_stats(0).unwrap();
    assert_eq!(after.used_bytes, before.used_bytes);
    assert!(after.used_peak_bytes >= held.used_bytes);
    assert!(after.reserved_bytes >= 1 << 20, "kept for later");
    cuda::empty_cache(0).unwrap();
    assert!(cuda::memory_stats(0).unwrap().reserved_bytes <= before.reserved_bytes);
}

#[test]
fn a_threshold_gives_memory_back() {
    let _session = Session::start();
    cuda::empty_cache(0).unwrap();
    let before = cuda::memory_stats(0).unwrap().reserved_bytes;
    cuda::set_release_threshold(0, 0).unwrap();
    drop(Storage::on_device(Device::Cuda(0), 64 << 20).unwrap());
    cuda::synchronize(0).unwrap();
    assert!(cuda::memory_stats(0).unwrap().reserved_bytes <= before);
    cuda::set_release_threshold(0, usize::MAX).unwrap();
}

#[test]
fn dev_4_out_of_memory_names_the_sizes_and_loses_nothing() {
    let session = Session::start();
    cuda::empty_cache(0).unwrap();
    let total = cuda::memory_stats(0).unwrap().total_bytes;
    let storage = upload(&current_stream(0).unwrap(), &[1; 64]);
    let error = Storage::on_device(Device::Cuda(0), total + 1).unwrap_err();
    match error {
        StorageError::DeviceMemory { device, asked, free, total: of, .. } => {
            assert_eq!((device, asked, of), (Device::Cuda(0), total + 1, total));
            assert!(free < total);
        }
        other => panic!("{other}"),
    }
    if session.is_emulated() {
        let text = Storage::on_device(Device::Cuda(0), total + 1).unwrap_err().to_string();
        assert!(text.starts_with("out of memory on cuda:0: asked for "), "{text}");
    }
    assert_eq!(download(&current_stream(0).unwrap(), &storage), [1; 64]);
}

#[test]
fn dev_4_what_the_pool_keeps_is_given_back_before_memory_is_short() {
    let session = Session::start();
    if !session.is_emulated() {
        return; // a limit is set below
    }
    cuda::empty_cache(0).unwrap();
    let total = cuda::memory_stats(0).unwrap().total_bytes;
    limit(0, 1 << 20);
    for len_bytes in [900_000, 500_000, 1_000_000, 64] {
        drop(Storage::on_device(Device::Cuda(0), len_bytes).unwrap());
    }
    let half = Storage::on_device(Device::Cuda(0), 500_000).unwrap();
    assert!(Storage::on_device(Device::Cuda(0), 900_000).is_err());
    drop(half);
    assert!(Storage::on_device(Device::Cuda(0), 900_000).is_ok());
    cuda::synchronize(0).unwrap();
    limit(0, total);
}

#[test]
fn ten_thousand_allocations_under_a_limit() {
    let session = Session::start();
    cuda::empty_cache(0).unwrap();
    let total = cuda::memory_stats(0).unwrap().total_bytes;
    if session.is_emulated() {
        limit(0, 1 << 20);
    }
    let stream = current_stream(0).unwrap();
    let mut kept = std::collections::VecDeque::new();
    for round in 0..10_000_usize {
        let len_bytes = 1 + round * 7919 % 40_000;
        let storage = Storage::on_device(Device::Cuda(0), len_bytes).unwrap();
        crate::support::write(&stream, &storage, &[round as u8; 1]).unwrap();
        kept.push_back((storage, round as u8));
        if kept.len() > 12 {
            let (oldest, mark) = kept.pop_front().unwrap();
            if round % 500 == 0 {
                assert_eq!(first_byte(&stream, &oldest), mark);
            }
        }
    }
    drop(kept);
    cuda::empty_cache(0).unwrap();
    session.assert_no_leak(0);
    if session.is_emulated() {
        limit(0, total);
    }
}

fn first_byte(stream: &cuda::Stream, storage: &Storage) -> u8 {
    crate::support::first_byte(stream, storage)
}

#[test]
fn no_bytes_need_no_memory() {
    let session = Session::start();
    let before = ndbridge_cuda_emulator::calls("cuMemAllocFromPoolAsync");
    let storage = Storage::on_device(Device::Cuda(0), 0).unwrap();
    assert_eq!((storage.len_bytes(), storage.device()), (0, Device::Cuda(0)));
    if session.is_emulated() {
        assert_eq!(ndbridge_cuda_emulator::calls("cuMemAllocFromPoolAsync"), before);
    }
}

#[test]
fn the_driver_says_what_an_address_is() {
    let _session = Session::start();
    let there = upload(&current_stream(0).unwrap(), &[1; 4096]);
    let address = there.as_ptr() as usize;
    let facts = pointer_facts(address + 100).unwrap();
    assert_eq!((facts.kind, facts.ordinal), (PointerKind::Device, 0));
    assert!(facts.allocation.contains(&address));
    let host = pinned(&[1; 100]);
    assert_eq!(pointer_facts(host.as_ptr() as usize).unwrap().kind, PointerKind::Pinned);
    let plain = [0_u8; 100];
    assert_eq!(pointer_facts(plain.as_ptr() as usize).unwrap().kind, PointerKind::Unregistered);
}

#[test]
fn dev_1_a_lie_about_memory_is_refused() {
    let _session = Session::start();
    let there = upload(&current_stream(0).unwrap(), &[1; 4096]);
    let (address, end) = (there.as_ptr() as usize, there.addresses().end);
    check_pointer(Device::Cuda(0), address, 4096).unwrap();
    check_pointer(Device::Cuda(0), address + 96, 4000).unwrap();
    check_pointer(Device::Cpu, 1, 1).unwrap();
    check_pointer(Device::Cuda(0), 1, 0).unwrap();
    let plain = [0_u8; 100];
    let host = plain.as_ptr() as usize;
    let allocation = pointer_facts(address).unwrap().allocation;
    for (device, address, len_bytes) in [
        (Device::Cuda(1), address, 4096),
        (Device::CudaHost, address, 4096),
        (Device::Cuda(0), host, 100),
        (Device::CudaHost, host, 100),
        (Device::Cuda(0), address, allocation.len() + 1),
        (Device::Cuda(0), end - 1, usize::MAX),
    ] {
        let error = check_pointer(device, address, len_bytes).unwrap_err();
        assert!(matches!(error, StorageError::WrongPointer { .. }), "{error}");
        assert!(error.to_string().contains(&device.to_string()), "{error}");
    }
}

#[test]
fn dev_4_memory_that_is_reserved_and_not_there_is_refused() {
    let session = Session::start();
    if !session.is_emulated() {
        return; // its pools reserve more than they give
    }
    let there = upload(&current_stream(0).unwrap(), &[1; 4096]);
    let address = there.as_ptr() as usize;
    let reserved = pointer_facts(address).unwrap().allocation.end - address;
    assert!(reserved > 8192, "{reserved}");
    check_pointer(Device::Cuda(0), address, 4096).unwrap();
    check_pointer(Device::Cuda(0), address + 4095, 1).unwrap();
    let error = check_pointer(Device::Cuda(0), address, reserved).unwrap_err();
    assert!(matches!(error, StorageError::WrongPointer { .. }), "{error}");
}
