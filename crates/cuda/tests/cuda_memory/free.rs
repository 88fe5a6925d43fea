//! DEV-3: memory is freed in the order of its stream, after its last use.

use ndbridge_cuda::{self as cuda, Stream, current_stream};
use ndbridge_cuda_emulator::Session;
use ndbridge_storage::{BorrowKind, Device, Storage};

use crate::support::{copy, destroy, download, foreign_stream, upload};

#[test]
fn dev_3_memory_is_freed_after_its_readers_on_other_streams() {
    let _session = Session::start();
    let (a, b) = (Stream::new(0).unwrap(), Stream::new(0).unwrap());
    let storage = upload(&a, &[1; 64]);
    let taken = Storage::on_device(Device::Cuda(0), 64).unwrap();
    copy(&b, &storage, &taken);
    drop(storage); // the copy may still wait
    let reused = upload(&a, &[2; 64]);
    assert_eq!(download(&b, &taken), [1; 64]);
    assert_eq!(download(&a, &reused), [2; 64]);
}

#[test]
fn dev_3_a_thread_without_context_frees() {
    let session = Session::start();
    let before = live(&session);
    let storage = upload(&current_stream(0).unwrap(), &[1; 64]);
    std::thread::spawn(move || drop(storage)).join().unwrap();
    cuda::synchronize(0).unwrap();
    assert_eq!(live(&session), before);
}

#[test]
fn dev_3_a_stream_lives_as_long_as_its_notes() {
    let _session = Session::start();
    let stream = Stream::new(0).unwrap();
    let storage = upload(&stream, &[7; 64]);
    drop(stream);
    assert_eq!(download(&current_stream(0).unwrap(), &storage), [7; 64]);
}

#[test]
fn dev_3_exported_memory_is_freed_after_work_that_nobody_noted() {
    let session = Session::start();
    let before = live(&session);
    for anywhere in [false, true] {
        let home = current_stream(0).unwrap();
        let storage = upload(&home, &[1; 64]);
        let taken = Storage::on_device(Device::Cuda(0), 64).unwrap();
        let (raw, foreign) = foreign_stream(0);
        let legacy = Stream::legacy(0).unwrap();
        let theirs = if anywhere { &foreign } else { &legacy };
        cuda::hand_over(&storage, Some(theirs), BorrowKind::Read).unwrap();
        theirs.wait_for(&home).unwrap();
        // The consumer's own work, of which there is no note.
        unnoted_copy(theirs, &storage, &taken);
        drop(storage);
        let reused = upload(&home, &[2; 64]);
        theirs.synchronize().unwrap();
        assert_eq!(download(&home, &reused), [2; 64]);
        drop((taken, reused));
        drop(foreign);
        destroy(raw);
    }
    cuda::synchronize(0).unwrap();
    assert_eq!(live(&session), before);
}

fn unnoted_copy(stream: &Stream, from: &Storage, to: &Storage) {
    use ndbridge_cuda::Job;
    crate::support::run_unnoted(Job::on(stream), from, to);
}

fn live(session: &Session) -> usize {
    if session.is_emulated() { ndbridge_cuda_emulator::live() } else { 0 }
}
