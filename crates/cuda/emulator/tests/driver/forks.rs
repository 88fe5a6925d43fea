//! Children of a process that uses the driver.

use ndbridge_cuda_emulator::{Violation, violations};

use crate::children::ask_child;
use crate::harness::*;

#[test]
fn every_call_in_a_child_answers_3_and_is_reported() {
    let _setup = Setup::new();
    let (stream, addr) = (stream(0), alloc_filled(4, 1));
    let answer = ask_child(|| {
        let codes = [wait(stream), synchronize(), free(addr), try_alloc(4).unwrap_err()];
        let reported = violations();
        let all = ["cuStreamSynchronize", "cuCtxSynchronize", "cuMemFree_v2", "cuMemAlloc_v2"];
        let expected = all.map(|call| Violation::Forked { call });
        u8::from(codes == [3; 4] && reported == expected)
    });
    assert_eq!((answer, violations()), (1, vec![]));
    assert_eq!((read(addr, 4), free(addr)), (vec![1; 4], 0), "the parent goes on");
}

#[test]
fn a_child_waits_for_no_call_of_its_parent() {
    let setup = Setup::new();
    let (context, stream) = (setup.contexts[0], stream(0));
    let (begun, is_begun) = std::sync::mpsc::channel();
    let (end, is_end) = std::sync::mpsc::channel::<()>();
    let (begun, is_end) = (std::sync::Mutex::new(begun), std::sync::Mutex::new(is_end));
    let function = move || {
        begun.lock().unwrap().send(()).unwrap();
        let _ = is_end.lock().unwrap().recv();
    };
    assert_eq!(call_on(stream, function), 0);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            set_current(context);
            assert_eq!(wait(stream), 0);
        });
        is_begun.recv().unwrap();
        assert_eq!(ask_child(|| wait(stream) as u8), 3);
        drop(end);
    });
    assert_eq!(destroy(stream), 0);
}
