//! Children of a process that uses a device.

use std::sync::mpsc;
use std::thread;

use ndbridge_cuda::{self as cuda, Job, current_stream};
use ndbridge_cuda_emulator::Session;
use ndbridge_storage::{BorrowKind, Device, Storage, StorageError};

use crate::children::ask_child;
use crate::support::{download, pinned, upload, whole};

#[test]
fn dev_4_a_child_gets_errors_and_never_waits() {
    let _session = Session::start();
    let stream = current_stream(0).unwrap();
    let (busy, other) = (upload(&stream, &[1; 64]), upload(&stream, &[2; 64]));
    let host = pinned(&[3; 64]);
    let ((ready, is_ready), (end, is_end)) = (mpsc::channel(), mpsc::channel::<()>());
    thread::scope(|scope| {
        // Holds the notes of `busy` all the time.
        let (stream, busy) = (&stream, &busy);
        let hold = move || {
            let job = Job::on(stream).writes(busy);
            job.run(|_| {
                ready.send(()).unwrap();
                let _ = is_end.recv();
                Ok(())
            })
        };
        let holder = scope.spawn(hold);
        is_ready.recv().unwrap();
        let answer = ask_child(|| {
            let errors = [
                Storage::on_device(Device::Cuda(0), 64).map(drop),
                Storage::uninit_pinned(64).map(drop),
                busy.wait_until_ready(),
                cuda::synchronize(0),
                Device::Cuda(0).check_exists(),
                Job::on(stream).reads(busy).run(|_| Ok(())),
            ];
            let say_so = |result: &Result<(), StorageError>| {
                result.as_ref().is_err_and(|error| error.to_string().contains("was forked"))
            };
            // Nothing waits, and nothing is freed, when they go.
            drop((other.clone(), host.clone(), stream.clone()));
            let is_host_memory = host.borrow(BorrowKind::Write, &whole(&host, &[64])).is_ok();
            u8::from(errors.iter().all(say_so) && is_host_memory)
        });
        assert_eq!(answer, 1);
        drop(end);
        holder.join().unwrap().unwrap();
    });
    let answer = ask_child(|| {
        // The last handles.
        drop((busy, other, host));
        1
    });
    assert_eq!(answer, 1);
    assert_eq!(download(&stream, &upload(&stream, &[4; 64])), [4; 64], "the parent goes on");
}
