//! Stream capture.

use ndbridge_cuda_emulator::{Violation, violations};

use crate::harness::*;
use crate::violations::assert_found;

const LOST: Result<usize, i32> = Err(901);

#[test]
fn captured_work_runs_when_its_graph_is_launched() {
    let _setup = Setup::new();
    let stream = stream(0);
    let addr = alloc_filled(4, 1);
    assert_eq!(capture_status(stream), Ok(0));
    assert_eq!(begin_capture(stream, GLOBAL), 0);
    assert_eq!(capture_status(stream), Ok(1));
    assert_eq!(fill(addr, 9, 4, stream), 0);
    let graph = end_capture(stream).unwrap();
    assert_eq!(capture_status(stream), Ok(0));
    assert_eq!(read(addr, 4), [1; 4]);
    assert_eq!((launch_graph(graph, stream), wait(stream)), (0, 0));
    assert_eq!(read(addr, 4), [9; 4]);
    assert_found!();
    assert_eq!((free(addr), destroy(stream)), (0, 0));
}

#[test]
fn waiting_loses_the_capture() {
    let _setup = Setup::new();
    let capturing = stream(1);
    let (before, addr) = (event(), alloc_filled(4, 1));
    let mut target = [0; 4];
    let calls: [(&str, i32, &mut dyn FnMut() -> i32); 8] = [
        ("cuStreamSynchronize", 900, &mut || wait(capturing)),
        ("cuStreamQuery", 900, &mut || query(capturing)),
        ("cuCtxSynchronize", 900, &mut synchronize),
        ("cuMemAlloc", 900, &mut || try_alloc(4).unwrap_err()),
        ("cuMemFree", 900, &mut || free(addr)),
        ("cuMemcpyDtoH", 900, &mut || to_host_now(&mut target, addr)),
        ("cuEventQuery", 900, &mut || query_event(before)),
        ("cuEventSynchronize", 900, &mut || wait_event(before)),
    ];
    for (name, code, call) in calls {
        assert_eq!(begin_capture(capturing, GLOBAL), 0);
        assert_eq!(call(), code, "{name}");
        assert_eq!(violations(), [Violation::SyncInCapture { call: name }]);
        assert_eq!(capture_status(capturing), Ok(2));
        assert_eq!(fill(addr, 1, 4, capturing), 901);
        assert_eq!(end_capture(capturing), LOST);
        assert_eq!(fill(addr, 1, 4, capturing), 0);
        assert_eq!(wait(capturing), 0);
    }
    assert_eq!((free(addr), destroy(capturing)), (0, 0));
}

#[test]
fn the_legacy_default_stream_loses_captures_of_blocking_streams() {
    let _setup = Setup::new();
    let (blocking, apart, addr) = (stream(0), stream(1), alloc_filled(4, 1));
    assert_eq!(begin_capture(blocking, RELAXED), 0);
    assert_eq!((capture_status(0), capture_status(blocking)), (Err(906), Ok(1)));
    assert_found!();
    assert_eq!(fill(addr, 2, 4, 0), 906);
    assert_found!(Violation::SyncInCapture { .. });
    assert_eq!(end_capture(blocking), LOST);
    assert_eq!(begin_capture(blocking, RELAXED), 0);
    assert_eq!(to_host_now(&mut [0; 4], addr), 906);
    assert_found!(Violation::SyncInCapture { .. });
    assert_eq!(end_capture(blocking), LOST);

    assert_eq!(begin_capture(apart, RELAXED), 0);
    assert_eq!(fill(addr, 2, 4, 0), 0);
    assert_eq!(to_host_now(&mut [0; 4], addr), 0);
    assert!(end_capture(apart).is_ok());
    assert_found!();
    assert_eq!(begin_capture(0, GLOBAL), 900, "it cannot be captured itself");
    assert_eq!(free(addr), 0);
}

#[test]
fn the_mode_decides_what_other_calls_may_do() {
    let _setup = Setup::new();
    let stream = stream(1);
    assert_eq!(begin_capture(stream, GLOBAL), 0);
    exchange_mode(RELAXED);
    let addr = alloc(4);
    exchange_mode(GLOBAL);
    assert!(end_capture(stream).is_ok());
    assert_eq!(begin_capture(stream, RELAXED), 0);
    assert_eq!(free(addr), 0);
    assert!(end_capture(stream).is_ok());
    assert_found!();
}

#[test]
fn captured_events_join_streams_and_cannot_be_waited_for() {
    let _setup = Setup::new();
    let (a, b, addr) = (stream(1), stream(1), alloc_filled(4, 1));
    let (fork, join, outside) = (event(), event(), event());
    assert_eq!(record(outside, b), 0);
    assert_eq!(begin_capture(a, RELAXED), 0);
    assert_eq!((record(fork, a), stream_waits(b, fork)), (0, 0));
    assert_eq!((capture_status(b), fill(addr, 2, 4, b)), (Ok(1), 0));
    assert_eq!(end_capture(b), Err(903));
    assert_eq!((record(join, b), stream_waits(a, join)), (0, 0));
    let graph = end_capture(a).unwrap();
    assert_eq!((capture_status(b), launch_graph(graph, a), wait(a)), (Ok(0), 0, 0));
    assert_eq!(read(addr, 4), [2; 4]);
    assert_found!();

    assert_eq!((begin_capture(a, RELAXED), record(fork, a)), (0, 0));
    assert_eq!(wait_event(fork), 907);
    assert_found!(Violation::SyncInCapture { call: "cuEventSynchronize" });
    assert_eq!(end_capture(a), LOST);
    assert_eq!(begin_capture(a, RELAXED), 0);
    assert_eq!(stream_waits(a, outside), 905, "it was recorded before the capture");
    assert_eq!(end_capture(a), LOST);
    assert_eq!((record(fork, a), wait_event(fork)), (0, 0), "recorded anew");
    assert_eq!(free(addr), 0);
}
