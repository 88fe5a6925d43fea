//! Capture and graphs.

use std::ptr::null_mut;

use cust::sys;

use super::Stream;

pub const GLOBAL: u32 = 0;
pub const RELAXED: u32 = 2;

fn mode(number: u32) -> sys::CUstreamCaptureMode {
    use sys::CUstreamCaptureMode_enum as M;
    match number {
        GLOBAL => M::CU_STREAM_CAPTURE_MODE_GLOBAL,
        1 => M::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL,
        _ => M::CU_STREAM_CAPTURE_MODE_RELAXED,
    }
}

pub fn begin_capture(stream: Stream, number: u32) -> i32 {
    driver!(cuStreamBeginCapture_v2(stream as sys::CUstream, mode(number)))
}

pub fn end_capture(stream: Stream) -> Result<usize, i32> {
    let mut graph = null_mut();
    let code = driver!(cuStreamEndCapture(stream as sys::CUstream, &mut graph));
    if code == 0 { Ok(graph as usize) } else { Err(code) }
}

/// 0: not capturing, 1: capturing, 2: the capture is lost.
pub fn capture_status(stream: Stream) -> Result<i32, i32> {
    let mut status = sys::CUstreamCaptureStatus_enum::CU_STREAM_CAPTURE_STATUS_NONE;
    let code = driver!(cuStreamIsCapturing(stream as sys::CUstream, &mut status));
    if code == 0 { Ok(status as i32) } else { Err(code) }
}

pub fn exchange_mode(number: u32) {
    let mut mode = mode(number);
    assert_eq!(driver!(cuThreadExchangeStreamCaptureMode(&mut mode)), 0);
}

/// Instantiates a captured graph, enqueues it on a stream, and destroys both.
pub fn launch_graph(graph: usize, stream: Stream) -> i32 {
    launch_and(graph, stream, || ())
}

/// As [`launch_graph`], and waits before it destroys them.
pub fn run_graph(graph: usize, stream: Stream) -> i32 {
    launch_and(graph, stream, || assert_eq!(super::wait(stream), 0))
}

fn launch_and(graph: usize, stream: Stream, then: impl FnOnce()) -> i32 {
    let mut instance = null_mut();
    assert_eq!(driver!(cuGraphInstantiateWithFlags(&mut instance, graph as sys::CUgraph, 0)), 0);
    let code = driver!(cuGraphLaunch(instance, stream as sys::CUstream));
    then();
    assert_eq!((driver!(cuGraphExecDestroy(instance)), destroy_graph(graph)), (0, 0));
    code
}

pub fn destroy_graph(graph: usize) -> i32 {
    driver!(cuGraphDestroy(graph as sys::CUgraph))
}
