//! DEV-2: what is enqueued waits for what it depends on, on whatever stream.

use ndbridge_cuda::{self as cuda, Stream, StreamScope, current_stream, with_stream};
use ndbridge_cuda_emulator::Session;
use ndbridge_storage::Storage;
use ndbridge_storage::{BorrowKind, Device};

use crate::support::{
    copy, current_context, destroy, download, foreign_stream, primary_context, set_context, upload,
    write,
};

fn streams() -> [Stream; 3] {
    [(); 3].map(|()| Stream::new(0).unwrap())
}

#[test]
fn dev_2_a_reader_on_another_stream_waits_for_the_writer() {
    let _session = Session::start();
    let [a, b, c] = streams();
    let bytes: Vec<u8> = (0..=255).collect();
    let first = upload(&a, &bytes);
    let second = Storage::on_device(Device::Cuda(0), bytes.len()).unwrap();
    copy(&b, &first, &second);
    assert_eq!(download(&c, &second), bytes);
}

#[test]
fn dev_2_a_writer_on_another_stream_waits_for_the_readers() {
    let _session = Session::start();
    let [a, b, c] = streams();
    let storage = upload(&a, &[1; 64]);
    let copies = [(); 2].map(|()| Storage::on_device(Device::Cuda(0), 64).unwrap());
    copy(&b, &storage, &copies[0]);
    copy(&c, &storage, &copies[1]);
    write(&a, &storage, &[2; 64]).unwrap();
    for taken in &copies {
        assert_eq!(download(&b, taken), [1; 64]);
    }
    assert_eq!(download(&c, &storage), [2; 64]);
}

#[test]
fn dev_2_one_stream_needs_no_event() {
    let session = Session::start();
    let [a, ..] = streams();
    let storage = upload(&a, &[1; 64]);
    // A block comes from the device's own stream unless another one is current.
    let _scope = StreamScope::enter(&a);
    let other = Storage::on_device(Device::Cuda(0), 64).unwrap();
    let before = ndbridge_cuda_emulator::calls("cuEventRecord");
    for _ in 0..10 {
        copy(&a, &storage, &other);
        copy(&a, &other, &storage);
    }
    if session.is_emulated() {
        assert_eq!(ndbridge_cuda_emulator::calls("cuEventRecord"), before);
    }
    assert_eq!(download(&a, &other), [1; 64]);
}

#[test]
fn dev_2_devices_wait_for_each_other() {
    let _session = Session::start();
    if cuda::device_count().unwrap() < 2 {
        return; // a machine with one GPU shows the rest
    }
    let (here, there) = (Stream::new(0).unwrap(), Stream::new(1).unwrap());
    let bytes: Vec<u8> = (0..100).collect();
    let first = upload(&here, &bytes);
    let second = Storage::on_device(Device::Cuda(1), 100).unwrap();
    copy(&here, &first, &second);
    write(&here, &first, &[0; 100]).unwrap();
    let third = Storage::on_device(Device::Cuda(0), 100).unwrap();
    copy(&there, &second, &third);
    assert_eq!(download(&here, &third), bytes);
    assert_eq!(download(&there, &second), bytes);
}

#[test]
fn dev_2_the_current_stream_is_the_threads_and_the_devices() {
    let _session = Session::start();
    let [a, b, _] = streams();
    let home = current_stream(0).unwrap();
    with_stream(&a, || {
        assert_eq!(current_stream(0).unwrap(), a);
        with_stream(&b, || assert_eq!(current_stream(0).unwrap(), b));
        assert_eq!(current_stream(0).unwrap(), a);
        let elsewhere =
            std::thread::scope(|scope| scope.spawn(|| current_stream(0).unwrap()).join().unwrap());
        assert_eq!(elsewhere, home);
    });
    assert_eq!(current_stream(0).unwrap(), home);
    let panicked = std::panic::catch_unwind(|| with_stream(&a, || panic!("inside")));
    assert!(panicked.is_err() && current_stream(0).unwrap() == home);
}

#[test]
fn dev_2_a_foreign_stream_is_ordered_and_may_die() {
    let _session = Session::start();
    let [a, ..] = streams();
    let storage = upload(&a, &[3; 64]);
    let other = Storage::on_device(Device::Cuda(0), 64).unwrap();
    let (raw, foreign) = foreign_stream(0);
    copy(&foreign, &storage, &other);
    drop(foreign);
    destroy(raw);
    write(&a, &storage, &[4; 64]).unwrap();
    assert_eq!(download(&a, &other), [3; 64]);
    assert_eq!(download(&a, &storage), [4; 64]);
}

#[test]
fn dev_2_memory_made_while_a_foreign_stream_is_current_is_ready_there() {
    let _session = Session::start();
    let (raw, foreign) = foreign_stream(0);
    let storage = with_stream(&foreign, || upload(&foreign, &[5; 64]));
    assert_eq!(download(&foreign, &storage), [5; 64]);
    drop((storage, foreign));
    destroy(raw);
}

#[test]
fn dev_2_a_consumer_waits_for_the_writer_and_we_for_its_stream() {
    let _session = Session::start();
    let [a, b, _] = streams();
    let storage = upload(&a, &[6; 64]);
    cuda::hand_over(&storage, Some(&b), BorrowKind::Write).unwrap();
    // As the consumer does, who keeps no notes.
    let private = Storage::on_device(Device::Cuda(0), 64).unwrap();
    b.wait_for(&current_stream(0).unwrap()).unwrap();
    copy(&b, &storage, &private);
    assert_eq!(download(&b, &private), [6; 64]);
    // It comes back: our stream was made to wait by the consumer.
    a.wait_for(&b).unwrap();
    with_stream(&a, || storage.note_ready()).unwrap();
    assert_eq!(download(&a, &storage), [6; 64]);
}

#[test]
fn dev_2_threads_share_a_storage() {
    let _session = Session::start();
    let home = current_stream(0).unwrap();
    let storage = upload(&home, &[0; 64]);
    std::thread::scope(|scope| {
        for thread in 1..=4_u8 {
            let storage = &storage;
            scope.spawn(move || {
                let stream = Stream::new(0).unwrap();
                for round in 0..10 {
                    write(&stream, storage, &[thread; 64]).unwrap();
                    let seen = download(&stream, storage);
                    assert!(seen.iter().all(|&byte| byte == seen[0]), "{round}: {seen:?}");
                }
            });
        }
    });
}

#[test]
fn dev_2_the_callers_context_stays() {
    let _session = Session::start();
    for callers in
        [0, primary_context(0), primary_context((cuda::device_count().unwrap() - 1) as i32)]
    {
        set_context(callers);
        let last = cuda::device_count().unwrap() - 1;
        let stream = Stream::new(last).unwrap();
        let storage = upload(&stream, &[1; 16]);
        assert_eq!(current_context(), callers);
        download(&stream, &storage);
        drop((storage, stream));
        cuda::memory_stats(last).unwrap();
        cuda::empty_cache(last).unwrap();
        assert_eq!(current_context(), callers);
    }
    set_context(0);
}

#[test]
fn dev_2_readiness_is_that_of_the_copy() {
    let _session = Session::start();
    let [a, ..] = streams();
    let host = crate::support::pinned(&[9; 1 << 16]);
    let storage = Storage::on_device(Device::Cuda(0), 1 << 16).unwrap();
    crate::support::enqueue_upload(&a, &host, &storage);
    storage.wait_until_ready().unwrap();
    assert!(storage.is_ready().unwrap());
    assert_eq!(download(&a, &storage)[0], 9);
}

#[test]
fn dev_2_who_waits_for_memory_holds_up_nobody_who_uses_it() {
    let _session = Session::start();
    let stream = Stream::new(0).unwrap();
    let storage = upload(&stream, &[1; 64]);
    let (other, (answer, answered)) = (storage.clone(), std::sync::mpsc::channel());
    // Has to end before the write has: such a function may need what a user of the memory holds.
    crate::support::call_from(&stream, move || {
        let (done, is_done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            cuda::hand_over(&other, None, ndbridge_storage::BorrowKind::Read).unwrap();
            let _ = done.send(());
        });
        answer.send(is_done.recv_timeout(std::time::Duration::from_secs(20)).is_ok()).unwrap();
    });
    storage.wait_until_ready().unwrap();
    assert!(answered.recv().unwrap(), "the notes are locked while somebody waits");
}
