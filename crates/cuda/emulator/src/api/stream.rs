//! Streams.

use std::ffi::{c_int, c_uint};

use crate::arguments::{HostFunction, Out};
use crate::code::{INVALID_HANDLE, INVALID_VALUE};
use crate::work::Work;

driver_functions! {
    cuStreamCreate(out: Out<u64>, flags: c_uint) @context |machine| {
        if flags > 1 {
            return Err(INVALID_VALUE);
        }
        machine.unsafe_in_capture("cuStreamCreate")?;
        out.put(machine.new_stream(context, flags, 0))
    }
    cuStreamCreateWithPriority(out: Out<u64>, flags: c_uint, priority: c_int) @context |machine| {
        if flags > 1 {
            return Err(INVALID_VALUE);
        }
        machine.unsafe_in_capture("cuStreamCreate")?;
        out.put(machine.new_stream(context, flags, priority.clamp(-5, 0)))
    }
    cuStreamDestroy_v2(stream: u64) @_context |machine| {
        // The default streams are not the program's.
        if stream <= 2 {
            return Err(INVALID_HANDLE);
        }
        machine.destroy_stream(stream)
    }
    cuStreamSynchronize(stream: u64) @context |machine| {
        let stream = machine.stream(stream, context)?;
        machine.synchronize("cuStreamSynchronize", stream)
    }
    cuStreamQuery(stream: u64) @context |machine| {
        let stream = machine.stream(stream, context)?;
        machine.query(stream)
    }
    cuStreamWaitEvent(stream: u64, event: u64, _flags: c_uint) @context |machine| {
        let stream = machine.stream(stream, context)?;
        machine.wait_event(stream, event)
    }
    cuStreamGetCtx(stream: u64, out: Out<u64>) @context |machine| {
        let stream = machine.stream(stream, context)?;
        out.put(machine.streams[&stream].context)
    }
    cuStreamGetFlags(stream: u64, out: Out<c_uint>) @context |machine| {
        let stream = machine.stream(stream, context)?;
        out.put(machine.streams[&stream].flags)
    }
    cuStreamGetPriority(stream: u64, out: Out<c_int>) @context |machine| {
        let stream = machine.stream(stream, context)?;
        out.put(machine.streams[&stream].priority)
    }
    cuLaunchHostFunc(stream: u64, function: HostFunction, data: usize) @context |machine| {
        if function.is_null() {
            return Err(INVALID_VALUE);
        }
        let stream = machine.stream(stream, context)?;
        machine.submit(stream, "cuLaunchHostFunc", Work::Host(function, data)).map(drop)
    }
}
