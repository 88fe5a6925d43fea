//! Order between streams, and waiting.

use std::sync::atomic::{AtomicU32, Ordering};

use ndbridge_cuda_emulator::{Violation, violations};

use crate::harness::*;
use crate::violations::assert_found;

#[test]
fn work_waits_until_something_waits_for_it() {
    let _setup = Setup::new();
    let stream = stream(0);
    let addr = alloc_filled(4, 7);
    let mut target = pinned(4);
    target.bytes().fill(0);
    assert_eq!(to_host(target.bytes(), addr, stream), 0);
    assert_eq!(target.bytes(), [0; 4]);
    assert_eq!(query(stream), 600);
    assert_eq!(query(stream), 0, "a query finds one operation more done");
    assert_eq!(target.bytes(), [7; 4]);
    assert_eq!((target.free(), free(addr), destroy(stream)), (0, 0, 0));
}

#[test]
fn events() {
    let _setup = Setup::new();
    let stream = stream(0);
    let addr = alloc(4);
    let event = event();
    assert_eq!(query_event(event), 0, "never recorded");
    assert_eq!(fill(addr, 7, 4, stream), 0);
    assert_eq!(record(event, stream), 0);
    assert_eq!((query_event(event), query_event(event), query_event(event)), (600, 600, 0));
    assert_eq!(free(addr), 0, "the host saw it happen");
    assert_eq!(wait_event(event), 0);
    assert_found!();
}

#[test]
fn blocking_streams_and_the_legacy_default_stream_wait_for_each_other() {
    let _setup = Setup::new();
    let addr = alloc_filled(16, 0);
    for legacy in [0, 1] {
        let blocking = stream(0);
        assert_eq!((fill(addr, 1, 16, blocking), fill(addr, 2, 16, legacy)), (0, 0));
        assert_eq!((fill(addr, 3, 16, blocking), synchronize()), (0, 0));
        assert_eq!(read(addr, 16), [3; 16]);
        assert_found!();
        let apart = stream(1);
        assert_eq!((fill(addr, 1, 16, apart), fill(addr, 2, 16, legacy)), (0, 0));
        assert_eq!(synchronize(), 0);
        assert_found!(Violation::Race { .. });
        assert_eq!((destroy(blocking), destroy(apart)), (0, 0));
    }
    assert_eq!(free(addr), 0);
}

#[test]
fn each_thread_has_a_default_stream_of_its_own() {
    const PER_THREAD: Stream = 2;
    let setup = Setup::new();
    let context = setup.contexts[0];
    let addr = alloc_filled(16, 0);
    let fill_elsewhere = move |value| {
        let work = move || {
            set_current(context);
            assert_eq!(fill(addr, value, 16, PER_THREAD), 0);
        };
        std::thread::spawn(work).join().unwrap();
    };
    assert_eq!(fill(addr, 1, 16, PER_THREAD), 0);
    assert_eq!(fill(addr, 2, 16, PER_THREAD), 0, "the same stream");
    fill_elsewhere(3);
    assert_eq!(synchronize(), 0);
    assert_found!(Violation::Race { .. });

    // It is a blocking stream.
    assert_eq!(fill(addr, 4, 16, PER_THREAD), 0);
    assert_eq!(fill(addr, 5, 16, 0), 0);
    fill_elsewhere(6);
    assert_eq!(synchronize(), 0);
    assert_eq!(read(addr, 16), [6; 16]);
    assert_eq!(stream_facts(PER_THREAD), (context, 0));
    assert_eq!(free(addr), 0);
}

#[test]
fn a_wait_on_one_thread_orders_the_others() {
    let setup = Setup::new();
    let context = setup.contexts[0];
    let stream = stream(1);
    let addr = alloc(16);
    assert_eq!((fill(addr, 1, 16, stream), wait(stream)), (0, 0));
    std::thread::spawn(move || {
        set_current(context);
        assert_eq!(read(addr, 16), [1; 16]);
        assert_eq!(free(addr), 0);
    })
    .join()
    .unwrap();
    assert_found!();
}

#[test]
fn streams_know_their_context_and_flags() {
    let setup = Setup::new();
    let apart = stream(1);
    assert_eq!(stream_facts(apart), (setup.contexts[0], 1));
    assert_eq!(stream_facts(0), (setup.contexts[0], 0));
    assert_eq!(destroy(apart), 0);
    assert_eq!((wait(apart), destroy(apart), destroy(0)), (400, 400, 400));
}

#[test]
fn a_stream_calls_functions_of_the_host_in_order() {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let _setup = Setup::new();
    let stream = stream(0);
    assert_eq!(count_on(stream, &COUNTER), 0);
    assert_eq!(COUNTER.load(Ordering::SeqCst), 0);
    assert_eq!(wait(stream), 0);
    assert_eq!(COUNTER.load(Ordering::SeqCst), 1);
    assert_eq!(destroy(stream), 0);
}

#[test]
fn long_queues_on_many_threads() {
    let setup = Setup::new();
    let context = setup.contexts[0];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                set_current(context);
                let stream = stream(1);
                let addr = alloc_async(256, stream).unwrap();
                for value in 0..500 {
                    assert_eq!(fill(addr, value as u8, 256, stream), 0);
                }
                let mut target = [0; 256];
                assert_eq!(to_host(&mut target, addr, stream), 0);
                assert_eq!(target, [243; 256]);
                assert_eq!((free_async(addr, stream), wait(stream)), (0, 0));
                assert_eq!(destroy(stream), 0);
            });
        }
    });
    assert_found!();
    setup.session().assert_no_leak(0);
}
