//! Capture of streams, and graphs that come of it.

use std::ffi::{c_int, c_uint, c_ulonglong};

use crate::arguments::Out;
use crate::capture::exchange_mode;
use crate::code::STREAM_CAPTURE_IMPLICIT;

driver_functions! {
    cuThreadExchangeStreamCaptureMode(mode: Out<c_uint>) |_machine| {
        mode.put(exchange_mode(mode.take()?)?)
    }
    cuStreamBeginCapture_v2(stream: u64, mode: c_uint) @context |machine| {
        let stream = machine.stream(stream, context)?;
        machine.begin_capture(stream, mode)
    }
    cuStreamEndCapture(stream: u64, out: Out<u64>) @context |machine| {
        let stream = machine.stream(stream, context)?;
        out.put_unless_null(0);
        out.put(machine.end_capture(stream)?)
    }
    cuStreamIsCapturing(stream: u64, out: Out<c_int>) @context |machine| {
        let stream = machine.stream(stream, context)?;
        // A question only: it breaks no capture.
        if !machine.implicit(stream)?.is_empty() {
            return Err(STREAM_CAPTURE_IMPLICIT);
        }
        out.put(machine.capture_status(stream))
    }
    cuGraphInstantiateWithFlags(out: Out<u64>, graph: u64, _flags: c_ulonglong) |machine| {
        out.put(machine.instantiate(graph)?)
    }
    cuGraphLaunch(graph: u64, stream: u64) @context |machine| {
        let stream = machine.stream(stream, context)?;
        machine.launch_graph(graph, stream)
    }
    cuGraphExecDestroy(graph: u64) |machine| {
        machine.destroy_graph(graph)
    }
    cuGraphDestroy(graph: u64) |machine| {
        machine.destroy_graph(graph)
    }
}
