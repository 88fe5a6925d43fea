//! DEV-4: what is missing or fails is an error that names it.

use ndbridge_cuda::{self as cuda, Stream};
use ndbridge_cuda_emulator::Session;
use ndbridge_storage::{Device, Storage, StorageError};

#[test]
fn dev_4_a_wrong_ordinal_is_named_with_the_count() {
    let _session = Session::start();
    let count = cuda::device_count().unwrap();
    for ordinal in [count, 63, 64, 1000, usize::MAX] {
        let errors = [
            Storage::on_device(Device::Cuda(ordinal), 1).unwrap_err(),
            Stream::new(ordinal).unwrap_err(),
            cuda::memory_stats(ordinal).unwrap_err(),
            cuda::synchronize(ordinal).unwrap_err(),
            Device::Cuda(ordinal).check_exists().unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, StorageError::NoDevice { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains(&format!("no device cuda:{ordinal}: this machine has {count}")));
        }
    }
    Device::Cuda(0).check_exists().unwrap();
    Device::CudaHost.check_exists().unwrap();
}

#[test]
fn dev_4_a_stream_that_may_mean_two_is_refused() {
    let _session = Session::start();
    let error = crate::support::external(0, 0).unwrap_err();
    assert!(matches!(error, StorageError::AmbiguousStream), "{error}");
    assert_eq!(crate::support::external(0, 1).unwrap(), Stream::legacy(0).unwrap());
    assert_eq!(crate::support::external(0, 2).unwrap(), Stream::per_thread(0).unwrap());
}

#[test]
fn dev_4_a_size_that_nothing_has_is_refused_before_the_driver_is_asked() {
    let _session = Session::start();
    assert!(matches!(
        Storage::on_device(Device::Cuda(0), usize::MAX),
        Err(StorageError::TooLarge { .. })
    ));
    assert!(matches!(Storage::uninit_pinned(usize::MAX), Err(StorageError::TooLarge { .. })));
}

#[test]
fn dev_4_an_error_has_the_drivers_function_code_and_text() {
    let session = Session::start();
    if !session.is_emulated() {
        return; // a fault is injected below
    }
    ndbridge_cuda_emulator::fail("cuStreamCreateWithPriority", 0, 46);
    let error = Stream::new(0).unwrap_err().to_string();
    assert!(error.starts_with("cuStreamCreateWithPriority: "), "{error}");
    // A code that cust's enum does not have comes through the functions declared here.
    ndbridge_cuda_emulator::fail("cuMemAllocFromPoolAsync", 0, 46);
    let error = Storage::on_device(Device::Cuda(0), 64).unwrap_err();
    assert!(matches!(error, StorageError::Driver { code: 46, .. }), "{error}");
    assert!(Storage::on_device(Device::Cuda(0), 64).is_ok());
}

#[test]
fn dev_4_a_start_that_fails_says_what_the_driver_said_and_what_to_do() {
    let session = Session::start();
    if !session.is_emulated() {
        return; // faults are injected
    }
    for (code, name, remedy) in [
        (3, "NOT_INITIALIZED", "forked child, start processes by spawn"),
        (100, "NO_DEVICE", "nvidia-smi"),
        (802, "SYSTEM_NOT_READY", "start the fabric manager"),
        (803, "SYSTEM_DRIVER_MISMATCH", "reboot"),
        (804, "COMPAT_NOT_SUPPORTED_ON_DEVICE", "driver's own"),
        (999, "UNKNOWN", "dmesg"),
    ] {
        ndbridge_cuda_emulator::fail("cuInit", 0, code);
        let error = cuda::device_count().unwrap_err();
        assert!(matches!(error, StorageError::NoDevice { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&format!("(CUDA error {code}, {name})")), "{text}");
        assert!(text.contains(remedy), "{text}");
        assert!(text.starts_with("no device cuda:0: cuInit: "), "{text}");
    }
    assert!(cuda::is_available());
}

#[test]
fn dev_4_no_code_is_lost_whatever_call_answers_it() {
    let session = Session::start();
    if !session.is_emulated() {
        return; // faults are injected
    }
    cuda::device_count().unwrap();
    // Those that cust has functions for; some codes are not in its enum.
    ndbridge_cuda_emulator::fail("cuStreamCreateWithPriority", 0, 810);
    let error = Stream::new(0).unwrap_err();
    assert!(matches!(error, StorageError::Driver { code: 810, .. }), "{error}");
    assert!(error.to_string().contains("810, MPS_CLIENT_TERMINATED)"), "{error}");
    ndbridge_cuda_emulator::fail("cuDeviceGetCount", 0, 226);
    let error = cuda::device_count().unwrap_err();
    assert!(error.to_string().contains("226, CONTAINED)"), "{error}");
    ndbridge_cuda_emulator::fail("cuDeviceGetName", 0, 917);
    let error = cuda::device_name(0).unwrap_err();
    assert!(error.to_string().contains("917, STREAM_DETACHED)"), "{error}");
    ndbridge_cuda_emulator::fail("cuMemAllocFromPoolAsync", 0, 709);
    let error = Storage::on_device(Device::Cuda(0), 64).unwrap_err();
    assert!(error.to_string().contains("cudaDeviceReset"), "{error}");
}
