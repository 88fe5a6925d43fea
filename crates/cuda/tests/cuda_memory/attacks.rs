//! What was once possible: found by trying to break the rules.

use ndbridge_cuda::{self as cuda, self, Job, Stream, StreamScope, current_stream, with_stream};
use ndbridge_cuda_emulator::{Session, interleave};
use ndbridge_storage::{BorrowKind, Device, Storage, StorageError};

use crate::support::{
    begin_capture, copy, copy_then_panic, destroy, download, end_capture, enqueue_download,
    enqueue_upload, foreign_pinned, foreign_stream, host_bytes, pinned, run_unnoted, try_copy,
    upload, whole,
};

#[test]
fn dev_2_per_thread_streams_of_two_threads_are_two() {
    let _session = Session::start();
    let source = upload(&current_stream(0).unwrap(), &[1; 64]);
    let storage = Storage::on_device(Device::Cuda(0), 64).unwrap();
    copy(&Stream::per_thread(0).unwrap(), &source, &storage);
    std::thread::scope(|scope| {
        let read = || download(&Stream::per_thread(0).unwrap(), &storage);
        assert_eq!(scope.spawn(read).join().unwrap(), [1; 64]);
    });
    cuda::synchronize(0).unwrap();
}

#[test]
fn dev_2_work_of_a_job_that_panics_is_noted() {
    let _session = Session::start();
    let (a, b) = (Stream::new(0).unwrap(), Stream::new(0).unwrap());
    let (host, to) = (pinned(&[9; 64]), Storage::on_device(Device::Cuda(0), 64).unwrap());
    let held = host.borrow_owned(BorrowKind::Read, &whole(&host, &[64])).unwrap();
    let from = host.host_ptr().unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        copy_then_panic(Job::on(&a).writes(&to).holding(BorrowKind::Read, held), &to, from);
    }));
    assert!(panicked.is_err());
    // Waits for the copy, as after any other job.
    drop(host.borrow(BorrowKind::Write, &whole(&host, &[64])).unwrap());
    assert_eq!(download(&b, &to), [9; 64]);
}

#[test]
fn dev_2_scopes_end_by_themselves_in_whatever_order() {
    let _session = Session::start();
    let home = current_stream(0).unwrap();
    let (first, second) = (Stream::new(0).unwrap(), Stream::new(0).unwrap());
    let (outer, inner) = (StreamScope::enter(&first), StreamScope::enter(&second));
    drop(outer);
    assert_eq!(current_stream(0).unwrap(), second);
    drop(inner);
    assert_eq!(current_stream(0).unwrap(), home);
    std::thread::spawn(move || {
        thread_local! {
            static KEPT: std::cell::RefCell<Option<StreamScope>> =
                const { std::cell::RefCell::new(None) };
        }
        KEPT.set(Some(StreamScope::enter(&first))); // ends when the thread does
    })
    .join()
    .unwrap();
}

/// An owner whose end uses the storage that its memory was copied to.
struct Reenters(Storage, Storage, #[expect(dead_code, reason = "kept")] Storage);

impl Drop for Reenters {
    fn drop(&mut self) {
        copy(&current_stream(0).unwrap(), &self.1, &self.0);
    }
}

#[test]
fn dev_2_owners_end_without_a_lock() {
    let _session = Session::start();
    let stream = current_stream(0).unwrap();
    let (to, other) = (upload(&stream, &[1; 64]), upload(&stream, &[2; 64]));
    for _ in 0..40 {
        let memory = pinned(&[3; 64]);
        let ptr = memory.host_ptr().unwrap();
        let foreign = foreign_pinned(Reenters(to.clone(), other.clone(), memory), ptr, 64);
        enqueue_upload(&stream, &foreign, &to);
        drop(foreign);
        while !stream.is_done().unwrap() {}
    }
    cuda::synchronize(0).unwrap();
}

#[test]
fn dev_2_everybody_who_waits_for_a_copy_waits_to_its_end() {
    let _session = Session::start();
    let stream = current_stream(0).unwrap();
    let len_bytes = 1 << 20;
    let from = upload(&stream, &vec![7; len_bytes]);
    for _ in 0..20 {
        let host = pinned(&vec![0; len_bytes]);
        enqueue_download(&stream, &from, &host);
        std::thread::scope(|scope| {
            scope.spawn(|| host.wait_until_ready().unwrap());
            scope.spawn(|| assert_eq!(host_bytes(&host)[len_bytes - 1], 7));
            cuda::hand_over(&host, None, BorrowKind::Write).unwrap();
            assert_eq!(host_bytes(&host)[len_bytes - 1], 7);
        });
    }
}

#[test]
fn dev_2_a_captured_stream_draws_no_other_one_in() {
    let _session = Session::start();
    let captured = Stream::new(0).unwrap();
    let home = current_stream(0).unwrap();
    let (from, to) = (upload(&captured, &[1; 64]), upload(&home, &[0; 64]));
    cuda::synchronize(0).unwrap();
    begin_capture(captured.handle());
    let error = try_copy(&home, &from, &to).unwrap_err();
    assert!(matches!(error, StorageError::Capturing { .. }), "{error}");
    assert!(!home.is_capturing().unwrap());
    end_capture(captured.handle());
    copy(&home, &from, &to);
    assert_eq!(download(&home, &to), [1; 64]);
}

#[test]
fn dev_3_the_end_of_memory_waits_for_nothing() {
    let session = Session::start();
    let stream = Stream::new(0).unwrap();
    let (raw, captured) = foreign_stream(0);
    let exported = upload(&stream, &[1; 64]);
    cuda::hand_over(&exported, None, BorrowKind::Read).unwrap();
    let on_captured = with_stream(&stream, || upload(&stream, &[2; 64]));
    cuda::synchronize(0).unwrap();
    begin_capture(raw);
    begin_capture(stream.handle());
    drop((exported, on_captured)); // else the captures would be lost
    end_capture(stream.handle());
    end_capture(raw);
    drop(captured);
    destroy(raw);
    drop(stream);
    cuda::synchronize(0).unwrap();
    cuda::empty_cache(0).unwrap();
    session.assert_no_leak(0);
}

#[test]
fn dev_3_late_memory_does_not_pile_up() {
    let session = Session::start();
    let stream = current_stream(0).unwrap();
    for _ in 0..1000 {
        let storage = upload(&stream, &[1; 64]);
        cuda::hand_over(&storage, None, BorrowKind::Read).unwrap();
    }
    if session.is_emulated() {
        assert!(ndbridge_cuda_emulator::live() < 400, "{}", ndbridge_cuda_emulator::live());
    }
    cuda::synchronize(0).unwrap();
}

/// An owner that asks at its end whether other memory can be borrowed for writing.
struct Asks(Storage, std::sync::mpsc::Sender<bool>, #[expect(dead_code, reason = "kept")] Storage);

impl Drop for Asks {
    fn drop(&mut self) {
        let write = self.0.borrow(BorrowKind::Write, &whole(&self.0, &[64]));
        self.1.send(write.is_ok()).unwrap();
    }
}

#[test]
fn dev_2_a_copy_that_nobody_waits_for_any_more_borrows_nothing() {
    let _session = Session::start();
    let stream = current_stream(0).unwrap();
    let there = upload(&stream, &[1; 64]);
    let (other, memory) = (pinned(&[2; 64]), pinned(&[3; 64]));
    let (answer, answered) = std::sync::mpsc::channel();
    let ptr = memory.host_ptr().unwrap();
    let foreign = foreign_pinned(Asks(other.clone(), answer, memory), ptr, 64);
    enqueue_upload(&stream, &foreign, &there);
    enqueue_upload(&stream, &other, &there);
    drop(foreign);
    // Both copies have run, and are let go of in one go: the end of the first one's memory comes before
    // that of the second, as a pause between finding out and letting go would.
    stream.synchronize().unwrap();
    assert!(answered.recv().unwrap(), "a conflict with a copy that has run");
}

#[test]
fn dev_3_late_memory_is_freed_only_after_a_wait_that_covers_it() {
    let session = Session::start();
    if !session.is_emulated() {
        return; // threads take turns between its calls
    }
    let home = current_stream(0).unwrap();
    let (raw, foreign) = foreign_stream(0);
    for seed in 0..1000 {
        let (storage, taken) = (upload(&home, &[1; 64]), upload(&home, &[0; 64]));
        cuda::hand_over(&storage, Some(&foreign), BorrowKind::Read).unwrap();
        foreign.wait_for(&home).unwrap();
        let waits = || (0..4).for_each(|_| cuda::synchronize(0).unwrap());
        let (foreign, taken) = (&foreign, &taken);
        let uses = move || {
            run_unnoted(Job::on(foreign), &storage, taken); // the consumer's own work
            drop(storage);
            foreign.synchronize().unwrap();
        };
        interleave(seed, vec![Box::new(waits), Box::new(uses)]);
    }
    drop(foreign);
    destroy(raw);
}
