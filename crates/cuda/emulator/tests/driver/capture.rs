//! Stream capture.

use ndbridge_cuda_emulator::{Violation, foreign_read, violations};

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
    assert_found!(Violation::ReadBeforeGraph { .. });
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

/// Captures work on a stream, and ends the capture; its graph.
fn captured(stream: Stream, work: impl FnOnce()) -> usize {
    assert_eq!(begin_capture(stream, RELAXED), 0);
    work();
    end_capture(stream).unwrap()
}

#[test]
fn what_a_graph_is_to_write_is_read_by_nobody_before() {
    let _setup = Setup::new();
    let (a, b) = (stream(1), stream(1));
    let (from, to) = (alloc_filled(8, 1), alloc_filled(8, 0));
    let mut host = [0; 8];
    // While the stream still captures, on another one, and by another library.
    assert_eq!((begin_capture(a, RELAXED), on_device(to, from, 4, a)), (0, 0));
    assert_eq!((read(to + 4, 4), read(from, 8)), (vec![0; 4], vec![1; 8]));
    assert_found!();
    assert_eq!((to_host(&mut host, to, b), wait(b)), (0, 0));
    assert_found!(Violation::ReadBeforeGraph { .. });
    assert_eq!((foreign_read(b, to as usize, 8, 4), wait(b)), (0, 0));
    assert_found!(Violation::ReadBeforeGraph { addr, .. } if *addr == to);
    // Within the graph it may be read, and after a launch where that comes before.
    assert_eq!(on_device(to + 4, to, 4, a), 0);
    let graph = end_capture(a).unwrap();
    assert_eq!((launch_graph(graph, a), to_host(&mut host, to, a), wait(a)), (0, 0, 0));
    assert_eq!(host, [1; 8]);
    assert_found!();
    assert_eq!((free(from), free(to), destroy(a), destroy(b)), (0, 0, 0, 0));
}

#[test]
fn a_launch_that_is_not_waited_for_is_a_race() {
    let _setup = Setup::new();
    let (a, b, addr) = (stream(1), stream(1), alloc_filled(8, 0));
    let graph = captured(a, || assert_eq!(fill(addr, 1, 8, a), 0));
    assert_eq!((launch_graph(graph, a), to_host(&mut [0; 8], addr, b)), (0, 0));
    assert_eq!(synchronize(), 0);
    assert_found!(Violation::Race { .. });
    assert_eq!(free(addr), 0);
}

#[test]
fn what_something_else_wrote_is_no_longer_the_graphs() {
    let _setup = Setup::new();
    let (stream, addr) = (stream(1), alloc_filled(8, 0));
    let graph = captured(stream, || assert_eq!(fill(addr, 1, 8, stream), 0));
    assert_eq!((fill(addr + 2, 3, 4, stream), wait(stream)), (0, 0));
    assert_eq!(read(addr + 2, 4), [3; 4]);
    assert_found!();
    assert_eq!(read(addr, 8), [0, 0, 3, 3, 3, 3, 0, 0]);
    assert_found!(Violation::ReadBeforeGraph { .. });
    // A graph that is destroyed never writes; nor does a capture that is lost.
    assert_eq!(destroy_graph(graph), 0);
    assert_eq!(read(addr, 2), [0; 2]);
    assert_eq!(
        (begin_capture(stream, GLOBAL), fill(addr, 1, 8, stream), wait(stream)),
        (0, 0, 900)
    );
    assert_found!(Violation::SyncInCapture { .. });
    assert_eq!(end_capture(stream), LOST);
    assert_eq!(read(addr, 2), [0; 2]);
    assert_found!();
    assert_eq!(free(addr), 0);
}

#[test]
fn a_graph_may_read_what_it_writes_later() {
    let _setup = Setup::new();
    let (stream, from, to) = (stream(1), alloc_filled(8, 1), alloc_filled(8, 0));
    let graph = captured(stream, || {
        assert_eq!((on_device(to, from, 8, stream), fill(from, 2, 8, stream)), (0, 0));
    });
    assert_eq!(run_graph(graph, stream), 0);
    assert_eq!((read(to, 8), read(from, 8)), (vec![1; 8], vec![2; 8]));
    assert_found!();
    assert_eq!((free(from), free(to)), (0, 0));
}

#[test]
fn a_captured_kernel_marks_what_it_writes() {
    let _setup = Setup::new();
    let (stream, addr) = (stream(1), alloc_filled(4096, 1));
    let captured = captured(stream, || crate::kernels::fill_sevens(addr + 4, 1000, stream));
    assert_eq!((read(addr, 4), read(addr + 4004, 92)), (vec![1; 4], vec![1; 92]));
    assert_found!();
    for wrong in [4, 2000, 4003] {
        read(addr + wrong, 1);
        assert_found!(Violation::ReadBeforeGraph { .. });
    }
    assert_eq!((launch_graph(captured, stream), wait(stream)), (0, 0));
    assert_eq!(read(addr + 4, 4000), 7u32.to_le_bytes().repeat(1000));
    assert_found!();
    assert_eq!(free(addr), 0);
}

type Call<'a> = &'a (dyn Fn() -> i32 + Sync);

#[test]
fn unsafe_calls_are_refused_by_the_modes_of_thread_and_capture() {
    let setup = Setup::new();
    let (capturing, other, before) = (stream(1), stream(1), event());
    let (addr, pooled) = (alloc_filled(64, 1), alloc_async(64, 0).unwrap());
    assert_eq!((fill(pooled, 1, 64, 0), synchronize()), (0, 0));
    let unsafe_calls: [Call; 6] = [
        &|| try_alloc(4).map(free).unwrap_or_else(|code| code),
        &|| alloc_async(4, other).map_or_else(|code| code, |addr| free_async(addr, other)),
        &|| wait(other),
        &|| query(other),
        &|| query_event(before),
        &|| to_device(addr, &[1; 8], other),
    ];
    let safe_calls: [Call; 2] = [&|| record(before, other), &|| fill(addr, 2, 8, other)];
    // Mode of the capture, mode of the thread that calls, whether it captures itself.
    for (capture, thread, is_own) in [0, 1, 2]
        .into_iter()
        .flat_map(|c| [0, 1, 2].map(|t| (c, t)))
        .flat_map(|(c, t)| [true, false].map(|o| (c, t, o)))
    {
        let is_refused = match (thread, is_own) {
            (RELAXED, _) => false,
            (_, true) => capture != RELAXED,
            (GLOBAL, false) => capture == GLOBAL,
            _ => false,
        };
        let cases = unsafe_calls.iter().map(|call| (call, is_refused));
        for (number, (call, is_refused)) in
            cases.chain(safe_calls.iter().map(|call| (call, false))).enumerate()
        {
            assert_eq!(begin_capture(capturing, capture), 0);
            let ask = || {
                set_current(setup.contexts[0]);
                exchange_mode(thread);
                let code = call();
                exchange_mode(GLOBAL);
                code
            };
            let code = if is_own { ask() } else { elsewhere(ask) };
            let case = format!("call {number}, capture {capture}, thread {thread}, own {is_own}");
            assert_eq!(code, if is_refused { 900 } else { 0 }, "{case}");
            assert_eq!(end_capture(capturing).is_err(), is_refused, "{case}");
            assert_eq!(violations().len(), usize::from(is_refused), "{case}");
            assert_eq!(synchronize(), 0);
        }
    }
    assert_eq!((free(addr), free_async(pooled, 0), wait(0)), (0, 0, 0));
}
