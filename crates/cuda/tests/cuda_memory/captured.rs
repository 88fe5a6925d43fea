//! Graphs of others: what they have not written is not read, and nothing ends their capture.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndbridge_cuda::{self as cuda, Stream, current_stream, with_stream};
use ndbridge_cuda_emulator::{Session, fail, limit};
use ndbridge_storage::{BorrowKind, Device, Storage, StorageError};

use crate::support::{
    begin_capture, copy, destroy, download, end_capture, foreign_on_device, foreign_stream,
    hand_over_to, hand_over_to_default, pinned, try_copy, upload, wait_for_queue, wait_within,
};

fn is_not_run(result: Result<(), StorageError>) -> bool {
    let error = result.unwrap_err();
    let text = error.to_string();
    matches!(error, StorageError::NotRun { .. }) && text.contains("Stream::external(0x")
}

#[test]
fn dev_2_a_stream_that_is_captured_is_not_waited_for_and_not_passed_over() {
    let _session = Session::start();
    let home = current_stream(0).unwrap();
    let (raw, captured) = foreign_stream(0);
    begin_capture(raw);
    assert!(is_not_run(wait_for_queue(raw)));
    // Whoever captures makes that stream ours.
    with_stream(&captured, || wait_for_queue(raw)).unwrap();
    assert!(!home.is_capturing().unwrap());
    end_capture(raw);
    wait_for_queue(raw).unwrap();
    drop(captured);
    destroy(raw);
}

#[test]
fn dev_2_what_a_graph_will_write_is_nobody_elses_until_the_capture_ends() {
    let _session = Session::start();
    let home = current_stream(0).unwrap();
    let (raw, captured) = foreign_stream(0);
    let (other, _other) = foreign_stream(0);
    let (from, to, kept) =
        (upload(&home, &[1; 64]), upload(&home, &[0; 64]), upload(&home, &[5; 64]));
    cuda::synchronize(0).unwrap();
    begin_capture(raw);
    copy(&captured, &from, &to);
    let theirs = with_stream(&captured, || foreign_on_device((), kept.as_ptr(), 64));
    for written in [&to, &theirs] {
        assert!(is_not_run(try_copy(&home, written, &from)));
        assert!(is_not_run(try_copy(&home, &from, written)));
        assert!(is_not_run(written.wait_until_ready()));
        assert!(is_not_run(written.is_ready().map(drop)));
        assert!(is_not_run(hand_over_to(written, other)));
        hand_over_to(written, raw).unwrap();
    }
    copy(&captured, &to, &theirs); // in the graph's own order
    end_capture(raw);
    assert_eq!(download(&home, &to), [0; 64], "whoever runs the graph sees to its order");
    to.wait_until_ready().unwrap();
    drop((theirs, captured));
    destroy(raw);
    cuda::synchronize(0).unwrap();
    drop(kept);
}

#[test]
fn dev_2_a_capture_that_others_work_on_goes_on_though_nobody_names_its_stream() {
    static THEIRS: AtomicUsize = AtomicUsize::new(0);
    let _session = Session::start();
    wait_within(|_| Some(THEIRS.load(Ordering::Relaxed)), |work| work());
    let home = current_stream(0).unwrap();
    let (raw, captured) = foreign_stream(0);
    let (from, to) = (upload(&home, &[1; 64]), upload(&home, &[0; 64]));
    cuda::synchronize(0).unwrap();
    begin_capture(raw);
    copy(&captured, &from, &to);
    drop(captured);
    THEIRS.store(raw, Ordering::Relaxed);
    assert!(is_not_run(to.wait_until_ready()));
    end_capture(raw);
    assert_eq!(download(&home, &to), [0; 64]);
    THEIRS.store(0, Ordering::Relaxed);
    destroy(raw);
}

#[test]
fn dev_2_a_capture_that_ended_with_its_stream_is_over() {
    let _session = Session::start();
    let home = current_stream(0).unwrap();
    let (raw, captured) = foreign_stream(0);
    let (from, to) = (upload(&home, &[1; 64]), upload(&home, &[0; 64]));
    cuda::synchronize(0).unwrap();
    begin_capture(raw);
    copy(&captured, &from, &to);
    end_capture(raw);
    drop(captured);
    destroy(raw);
    assert_eq!(download(&home, &to), [0; 64]);
}

#[test]
fn dev_2_an_own_stream_that_is_captured_is_not_asked_for_the_end_of_its_work() {
    let _session = Session::start();
    let own = Stream::new(0).unwrap();
    let host = pinned(&[1; 64]);
    let storage = upload(&own, &[1; 64]);
    let (legacy, raw) = (Stream::legacy(0).unwrap(), own.handle());
    begin_capture(raw);
    let refused = |result: Result<(), StorageError>| {
        let error = result.unwrap_err();
        assert!(matches!(error, StorageError::Capturing { .. }), "{error}");
    };
    refused(storage.is_ready().map(drop));
    refused(storage.wait_until_ready());
    // These would end the capture: a stream of ours and the legacy default stream wait for each other.
    refused(legacy.synchronize());
    refused(legacy.is_done().map(drop));
    refused(current_stream(0).unwrap().wait_for(&legacy));
    refused(hand_over_to_default(&storage));
    refused(cuda::synchronize(0));
    refused(cuda::empty_cache(0));
    refused(own.wait_for(&current_stream(0).unwrap()));
    drop(host);
    end_capture(raw);
    assert!(storage.is_ready().is_ok());
    storage.wait_until_ready().unwrap();
}

#[test]
fn dev_2_nothing_is_allocated_on_a_home_stream_that_is_captured() {
    let _session = Session::start();
    let home = current_stream(0).unwrap();
    let (raw, other) = foreign_stream(0);
    begin_capture(home.handle());
    let error = with_stream(&other, || Storage::on_device(Device::Cuda(0), 64)).unwrap_err();
    assert!(matches!(error, StorageError::Capturing { .. }), "{error}");
    end_capture(home.handle());
    drop(other);
    destroy(raw);
}

/// More late memory than an allocation lets pass, of a consumer that names no stream.
fn much_late() {
    let new = |_| Storage::on_device(Device::Cuda(0), 64).unwrap();
    for storage in (0..300).map(new).collect::<Vec<_>>() {
        cuda::hand_over(&storage, None, BorrowKind::Read).unwrap();
    }
}

#[test]
fn dev_3_an_allocation_ends_no_capture_however_much_is_late() {
    let session = Session::start();
    let (raw, captured) = foreign_stream(0);
    much_late();
    begin_capture(raw);
    drop(Storage::on_device(Device::Cuda(0), 64).unwrap());
    end_capture(raw);
    drop(captured);
    destroy(raw);
    // Nothing is in the way any more.
    drop(Storage::on_device(Device::Cuda(0), 64).unwrap());
    cuda::synchronize(0).unwrap();
    cuda::empty_cache(0).unwrap();
    session.assert_no_leak(0);
}

#[test]
fn dev_3_other_libraries_are_asked_for_the_stream_they_capture() {
    static THEIRS: AtomicUsize = AtomicUsize::new(0);
    static LET_GO: AtomicUsize = AtomicUsize::new(0);
    let _session = Session::start();
    wait_within(
        |_| Some(THEIRS.load(Ordering::Relaxed)),
        |work| {
            LET_GO.fetch_add(1, Ordering::Relaxed);
            work();
        },
    );
    let (raw, stream) = foreign_stream(0);
    drop(stream);
    much_late();
    THEIRS.store(raw, Ordering::Relaxed);
    begin_capture(raw);
    drop(Storage::on_device(Device::Cuda(0), 64).unwrap());
    assert!(matches!(cuda::synchronize(0), Err(StorageError::Capturing { .. })));
    end_capture(raw);
    THEIRS.store(0, Ordering::Relaxed);
    assert_eq!(LET_GO.load(Ordering::Relaxed), 0, "nobody has waited");
    drop(Storage::on_device(Device::Cuda(0), 64).unwrap());
    assert_eq!(LET_GO.load(Ordering::Relaxed), 1);
    destroy(raw);
    cuda::synchronize(0).unwrap();
}

#[test]
fn dev_3_a_lack_of_memory_ends_no_capture() {
    let session = Session::start();
    if !session.is_emulated() {
        return; // faults are injected, a limit is set
    }
    cuda::empty_cache(0).unwrap();
    let total = cuda::memory_stats(0).unwrap().total_bytes;
    let (raw, captured) = foreign_stream(0);
    begin_capture(raw);
    limit(0, 1 << 20);
    let error = Storage::on_device(Device::Cuda(0), 2 << 20).unwrap_err();
    assert!(matches!(error, StorageError::DeviceMemory { .. }), "{error}");
    limit(0, total);
    cuda::hand_over(&pinned(&[1; 64]), None, BorrowKind::Read).unwrap();
    fail("cuMemHostAlloc", 0, 2);
    drop(pinned(&[2; 100_000]));
    end_capture(raw);
    drop(captured);
    destroy(raw);
}

#[test]
fn dev_3_pinned_memory_ends_no_capture_however_much_is_late() {
    let _session = Session::start();
    for _ in 0..65 {
        cuda::hand_over(&pinned(&[1; 64]), None, BorrowKind::Read).unwrap();
    }
    let (raw, captured) = foreign_stream(0);
    begin_capture(raw);
    drop(pinned(&[2; 64]));
    end_capture(raw);
    drop(captured);
    destroy(raw);
}

/// Memory of somebody else, who is told when it goes.
struct Told(Arc<AtomicUsize>, #[expect(dead_code, reason = "kept")] Storage);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Told {
    fn on_device(bytes: &[u8]) -> (Storage, Arc<AtomicUsize>) {
        let theirs = upload(&current_stream(0).unwrap(), bytes);
        cuda::synchronize(0).unwrap();
        let (ptr, gone) = (theirs.as_ptr(), Arc::new(AtomicUsize::new(0)));
        (foreign_on_device(Told(Arc::clone(&gone), theirs), ptr, bytes.len()), gone)
    }
}

#[test]
fn dev_3_the_end_of_foreign_memory_waits_for_nothing_and_ends_no_capture() {
    let session = Session::start();
    let (raw, captured) = foreign_stream(0);
    let side = Stream::new(0).unwrap();
    let is_gone = |gone: &AtomicUsize| gone.load(Ordering::Relaxed);
    let (unused, unused_gone) = Told::on_device(&[1; 64]);
    let (handed_on, handed_on_gone) = Told::on_device(&[2; 64]);
    let (on_legacy, on_legacy_gone) = Told::on_device(&[3; 64]);
    let (read, read_gone) = Told::on_device(&[4; 64]);
    let taken = with_stream(&side, || Storage::on_device(Device::Cuda(0), 64).unwrap());
    cuda::hand_over(&handed_on, None, BorrowKind::Read).unwrap();
    hand_over_to_default(&on_legacy).unwrap();
    copy(&side, &read, &taken);
    begin_capture(raw);
    drop((unused, handed_on, read));
    assert_eq!(is_gone(&unused_gone), 1, "nothing of ours used it");
    if session.is_emulated() {
        assert_eq!(is_gone(&read_gone), 0, "the copy has not run");
    }
    assert_eq!(is_gone(&handed_on_gone), 0);
    assert_eq!(download(&side, &taken), [4; 64]);
    drop(on_legacy);
    end_capture(raw);
    // Its work has run; no wait for the device is needed.
    side.synchronize().unwrap();
    assert_eq!((is_gone(&read_gone), is_gone(&handed_on_gone)), (1, 0));
    cuda::synchronize(0).unwrap();
    let all = [unused_gone, handed_on_gone, on_legacy_gone, read_gone];
    assert!(all.iter().all(|gone| is_gone(gone) == 1), "each once");
    drop(captured);
    destroy(raw);
}

#[test]
fn dev_3_memory_that_an_owner_holds_goes_with_it() {
    let session = Session::start();
    let ours = upload(&current_stream(0).unwrap(), &[1; 64]);
    cuda::hand_over(&ours, None, BorrowKind::Read).unwrap();
    let (ptr, gone) = (ours.as_ptr(), Arc::new(AtomicUsize::new(0)));
    let comes_back = foreign_on_device(Told(Arc::clone(&gone), ours), ptr, 64);
    cuda::hand_over(&comes_back, None, BorrowKind::Read).unwrap();
    drop(comes_back);
    assert_eq!(gone.load(Ordering::Relaxed), 0);
    cuda::synchronize(0).unwrap();
    assert_eq!(gone.load(Ordering::Relaxed), 1);
    session.assert_no_leak(0);
}

#[test]
fn own_2_a_foreign_owner_that_panics_loses_no_other() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("at its end");
        }
    }
    let session = Session::start();
    let stream = current_stream(0).unwrap();
    let memory = upload(&stream, &[1; 64]);
    let (first, first_gone) = Told::on_device(&[1; 64]);
    let (last, last_gone) = Told::on_device(&[1; 64]);
    let panics = foreign_on_device(Panics, memory.as_ptr(), 64);
    let own = upload(&stream, &[1; 64]);
    for storage in [&own, &first, &panics, &last] {
        cuda::hand_over(storage, None, BorrowKind::Read).unwrap();
    }
    drop((own, first, panics, last));
    let panicked = std::panic::catch_unwind(|| cuda::synchronize(0));
    assert!(panicked.is_err());
    cuda::synchronize(0).unwrap();
    assert_eq!((first_gone.load(Ordering::Relaxed), last_gone.load(Ordering::Relaxed)), (1, 1));
    drop(memory);
    cuda::synchronize(0).unwrap();
    cuda::empty_cache(0).unwrap();
    session.assert_no_leak(0);
}

#[test]
fn dev_3_a_failed_wait_leaves_late_what_is_late() {
    let session = Session::start();
    if !session.is_emulated() {
        return; // a fault is injected
    }
    let (storage, gone) = Told::on_device(&[1; 64]);
    cuda::hand_over(&storage, None, BorrowKind::Read).unwrap();
    drop(storage);
    fail("cuCtxSynchronize", 0, 999);
    assert!(cuda::synchronize(0).is_err());
    assert_eq!(gone.load(Ordering::Relaxed), 0);
    cuda::synchronize(0).unwrap();
    assert_eq!(gone.load(Ordering::Relaxed), 1);
}

#[test]
fn dev_2_the_first_kernel_of_a_kind_may_be_in_a_capture() {
    use ndbridge_tensor::{DType, Tensor};
    let _session = Session::start();
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32).unwrap().cuda(0).unwrap();
    let (from, to) = (zeros(&[6, 8]), zeros(&[8, 6]));
    cuda::synchronize(0).unwrap();
    let stream = Stream::new(0).unwrap();
    begin_capture(stream.handle());
    with_stream(&stream, || to.assign(&from.transpose().unwrap())).unwrap();
    end_capture(stream.handle()); // fails if the capture was lost
}

#[test]
fn dev_3_a_capture_that_nobody_can_see_is_in_the_way_once() {
    // In a process of its own: it changes what later allocations do.
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["captured::hidden", "--exact", "--ignored"]);
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "runs in a process of its own"]
fn hidden() {
    let session = Session::start();
    if !session.is_emulated() {
        return; // the capture is lost
    }
    let (raw, stream) = foreign_stream(0);
    drop(stream);
    much_late();
    begin_capture(raw);
    for _ in 0..3 {
        drop(Storage::on_device(Device::Cuda(0), 64).unwrap());
    }
    assert_eq!(ndbridge_cuda_emulator::violations().len(), 1);
    destroy(raw);
    cuda::synchronize(0).unwrap(); // asked for, it waits and frees all the same
    cuda::empty_cache(0).unwrap();
    session.assert_no_leak(0);
}
