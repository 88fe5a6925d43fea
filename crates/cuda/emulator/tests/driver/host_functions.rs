//! Functions of the program that streams call.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use ndbridge_cuda_emulator::{Violation, report_waits_under, violations};

use crate::harness::*;
use crate::violations::assert_found;

#[test]
fn a_function_runs_on_a_thread_of_its_own() {
    static THREAD: Mutex<Option<ThreadId>> = Mutex::new(None);
    let _setup = Setup::new();
    let stream = stream(0);
    assert_eq!(call_on(stream, || *THREAD.lock().unwrap() = Some(thread::current().id())), 0);
    assert_eq!(*THREAD.lock().unwrap(), None, "it waits for its stream's turn");
    assert_eq!(wait(stream), 0);
    assert_ne!(THREAD.lock().unwrap().unwrap(), thread::current().id());
    assert_eq!(destroy(stream), 0);
}

#[test]
fn a_function_may_wait_for_a_thread_that_calls_the_driver() {
    let setup = Setup::new();
    let (context, stream, other) = (setup.contexts[0], stream(1), stream(1));
    let (meeting, addr) = (Arc::new(Barrier::new(2)), alloc_filled(4, 1));
    let here = meeting.clone();
    assert_eq!((call_on(stream, move || _ = here.wait()), fill(addr, 2, 4, stream)), (0, 0));
    thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            set_current(context);
            assert_eq!(wait(stream), 0);
        });
        // A query never waits for it, and another stream goes on beside it.
        assert_eq!((query(stream), query(stream)), (600, 600));
        assert_eq!((fill(addr, 3, 4, other), wait(other)), (0, 0));
        assert!(!waiter.is_finished());
        meeting.wait();
    });
    assert_eq!(read(addr, 4), [2; 4]);
    assert_found!(Violation::Race { .. });
    assert_eq!((free(addr), destroy(stream), destroy(other)), (0, 0, 0));
}

#[test]
fn a_destroyed_stream_still_calls() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let _setup = Setup::new();
    let (stream, addr) = (stream(1), alloc_filled(4, 1));
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap();
    let at_gate = gate.clone();
    let function = move || {
        drop(at_gate.lock().unwrap());
        CALLS.fetch_add(1, Ordering::SeqCst);
    };
    assert_eq!((call_on(stream, function), fill(addr, 2, 4, stream)), (0, 0));
    assert_eq!((destroy(stream), destroy(stream), wait(stream)), (0, 400, 400));
    assert_eq!(CALLS.load(Ordering::SeqCst), 0, "nobody waited");
    drop(closed);
    assert_eq!((synchronize(), CALLS.load(Ordering::SeqCst)), (0, 1));
    assert_eq!((read(addr, 4), free(addr)), (vec![2; 4], 0));
}

#[test]
fn a_wait_for_a_function_that_waits_for_the_waiter_is_reported() {
    let _setup = Setup::new();
    let stream = stream(1);
    let lock = Arc::new(Mutex::new(()));
    let held = lock.lock().unwrap();
    let of_function = lock.clone();
    let function = move || drop(of_function.lock().unwrap_or_else(PoisonError::into_inner));
    assert_eq!(call_on(stream, function), 0);
    assert_eq!(wait(stream), 702, "a GPU would wait for ever");
    assert_found!(Violation::Deadlock { call: "cuStreamSynchronize" });
    drop(held);
    assert_eq!((wait(stream), destroy(stream)), (0, 0));
}

#[test]
fn waits_under_a_lock_are_reported_where_work_is_under_way() {
    static IS_HELD: AtomicBool = AtomicBool::new(false);
    let _setup = Setup::new();
    report_waits_under(|| IS_HELD.load(Ordering::Relaxed));
    let (stream, addr) = (stream(1), alloc_filled(4, 1));
    assert_eq!((fill(addr, 2, 4, stream), wait(stream)), (0, 0));
    IS_HELD.store(true, Ordering::Relaxed);
    assert_eq!((wait(stream), fill(addr, 3, 4, stream)), (0, 0), "nothing to wait for");
    assert_found!();
    assert_eq!(wait(stream), 0);
    assert_found!(Violation::WaitUnderLock { call: "cuStreamSynchronize" });
    assert_eq!(to_host(&mut [0; 4], addr, stream), 0);
    assert_found!(Violation::WaitUnderLock { call: "cuMemcpyDtoHAsync_v2" });
    assert_eq!((fill(addr, 3, 4, stream), query(stream)), (0, 600));
    assert_found!();
    IS_HELD.store(false, Ordering::Relaxed);
    assert_eq!((fill(addr, 3, 4, stream), wait(stream), free(addr)), (0, 0, 0));
}
