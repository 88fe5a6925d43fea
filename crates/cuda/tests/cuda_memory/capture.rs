//! While a stream is captured nothing waits, nothing is made, and what was made goes on.

use ndbridge_cuda::{self as cuda, Stream, with_stream};
use ndbridge_cuda_emulator::Session;
use ndbridge_storage::{Device, Storage, StorageError};

use crate::support::{
    begin_capture, copy, destroy, download, end_capture, foreign_stream, pinned, upload,
};

#[test]
fn nothing_waits_for_a_captured_stream() {
    let _session = Session::start();
    let (raw, captured) = foreign_stream(0);
    // Made and ready before, in the order of that stream.
    let (from, to) = with_stream(&captured, || {
        (upload(&captured, &[1; 64]), Storage::on_device(Device::Cuda(0), 64).unwrap())
    });
    copy(&captured, &from, &to);
    cuda::synchronize(0).unwrap();
    captured.wait_for(&cuda::current_stream(0).unwrap()).unwrap();
    begin_capture(raw);
    assert!(captured.is_capturing().unwrap());
    for error in [
        captured.synchronize().unwrap_err(),
        captured.is_done().unwrap_err(),
        with_stream(&captured, || Storage::on_device(Device::Cuda(0), 64)).unwrap_err(),
    ] {
        assert!(matches!(error, StorageError::Capturing { .. }), "{error}");
    }
    // Recorded for a graph that never runs.
    copy(&captured, &from, &to);
    end_capture(raw);
    assert!(!captured.is_capturing().unwrap());
    assert_eq!(download(&captured, &to), [1; 64]);
    drop((from, to, captured));
    cuda::synchronize(0).unwrap();
    destroy(raw);
}

#[test]
fn a_graph_takes_memory_whose_other_work_is_done_and_no_other() {
    let _session = Session::start();
    let (raw, captured) = foreign_stream(0);
    let stream = Stream::new(0).unwrap();
    let (done, to) = (upload(&stream, &[1; 64]), upload(&stream, &[0; 64]));
    stream.synchronize().unwrap();
    let running = upload(&Stream::new(0).unwrap(), &[2; 64]);
    begin_capture(raw);
    copy(&captured, &done, &to);
    let error = crate::support::try_copy(&captured, &running, &to).unwrap_err();
    assert!(matches!(error, StorageError::Capturing { .. }), "{error}");
    end_capture(raw);
    assert_eq!(download(&stream, &to), [0; 64], "the graph has not run");
    drop((done, to, running, captured));
    cuda::synchronize(0).unwrap();
    destroy(raw);
}

#[test]
fn other_streams_go_on_while_one_is_captured() {
    let _session = Session::start();
    let (raw, captured) = foreign_stream(0);
    let stream = Stream::new(0).unwrap();
    begin_capture(raw);
    let storage = upload(&stream, &[2; 64]);
    let host = pinned(&[3; 64]);
    assert_eq!(download(&stream, &storage), [2; 64]);
    drop((storage, host));
    end_capture(raw);
    drop(captured);
    destroy(raw);
}
