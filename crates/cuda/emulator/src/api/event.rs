//! Events.

use std::ffi::c_uint;

use crate::arguments::Out;
use crate::code::INVALID_HANDLE;
use crate::order::event::Event;

const DISABLE_TIMING: c_uint = 2;

driver_functions! {
    cuEventCreate(out: Out<u64>, flags: c_uint) @context |machine| {
        machine.unsafe_in_capture("cuEventCreate")?;
        let (handle, has_timing) = (machine.handle(), flags & DISABLE_TIMING == 0);
        let context = machine.contexts[context].handle;
        machine.events.insert(handle, Event::new(context, has_timing));
        out.put(handle)
    }
    cuEventDestroy_v2(event: u64) @_context |machine| {
        machine.events.remove(&event).map(drop).ok_or(INVALID_HANDLE)
    }
    cuEventRecord(event: u64, stream: u64) @context |machine| {
        let stream = machine.stream(stream, context)?;
        machine.record(event, stream)
    }
    cuEventRecordWithFlags(event: u64, stream: u64, _flags: c_uint) @context |machine| {
        let stream = machine.stream(stream, context)?;
        machine.record(event, stream)
    }
    cuEventQuery(event: u64) @_context |machine| { machine.query_event(event) }
    cuEventSynchronize(event: u64) @_context |machine| { machine.synchronize_event(event) }
    cuEventElapsedTime(out: Out<f32>, start: u64, end: u64) @_context |machine| {
        out.put(machine.elapsed(start, end)?)
    }
}
