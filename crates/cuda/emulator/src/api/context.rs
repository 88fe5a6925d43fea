//! Contexts.

use std::ffi::{c_int, c_uint};

use crate::arguments::Out;
use crate::code::{INVALID_CONTEXT, INVALID_VALUE};
use crate::machine::{current_context, with_context_stack};

/// Priorities of streams, the lowest and the highest.
const PRIORITIES: (c_int, c_int) = (0, -5);

driver_functions! {
    cuDevicePrimaryCtxRetain(out: Out<u64>, device: c_int) |machine| {
        let device = machine.device(device)?;
        out.put(machine.retain(device))
    }
    cuDevicePrimaryCtxRelease_v2(device: c_int) |machine| {
        let device = machine.device(device)?;
        machine.release(device)
    }
    cuDevicePrimaryCtxSetFlags_v2(device: c_int, _flags: c_uint) |machine| {
        machine.device(device).map(drop)
    }
    cuDevicePrimaryCtxGetState(device: c_int, flags: Out<c_uint>, active: Out<c_int>) |machine| {
        let device = machine.device(device)?;
        let mut contexts = machine.contexts.iter();
        let is_active = contexts.any(|context| context.device == device && context.retained > 0);
        flags.put(0)?;
        active.put(is_active as c_int)
    }
    cuCtxSetCurrent(context: u64) |machine| {
        if context != 0 && !machine.is_context(context) {
            return Err(INVALID_CONTEXT);
        }
        with_context_stack(|contexts| {
            contexts.pop();
            contexts.extend((context != 0).then_some(context));
        });
        Ok(())
    }
    cuCtxPushCurrent_v2(context: u64) |machine| {
        if !machine.is_context(context) {
            return Err(INVALID_CONTEXT);
        }
        with_context_stack(|contexts| contexts.push(context));
        Ok(())
    }
    cuCtxPopCurrent_v2(out: Out<u64>) |_machine| {
        let context = with_context_stack(Vec::pop).ok_or(INVALID_CONTEXT)?;
        out.put_unless_null(context);
        Ok(())
    }
    cuCtxGetCurrent(out: Out<u64>) |_machine| { out.put(current_context()) }
    cuCtxGetDevice(out: Out<c_int>) @context |machine| {
        out.put(machine.contexts[context].device as c_int)
    }
    cuCtxGetFlags(out: Out<c_uint>) @_context |machine| { out.put(0) }
    cuCtxGetApiVersion(context: u64, out: Out<c_uint>) |machine| {
        if context != 0 && !machine.is_context(context) {
            return Err(INVALID_CONTEXT);
        }
        out.put(3020)
    }
    cuCtxSynchronize() @context |machine| { machine.synchronize_context(context) }
    cuCtxGetStreamPriorityRange(least: Out<c_int>, greatest: Out<c_int>) @_context |machine| {
        least.put_unless_null(PRIORITIES.0);
        greatest.put_unless_null(PRIORITIES.1);
        Ok(())
    }
    cuCtxEnablePeerAccess(peer: u64, flags: c_uint) @context |machine| {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        machine.enable_peer(context, peer)
    }
    cuCtxDisablePeerAccess(peer: u64) @context |machine| { machine.disable_peer(context, peer) }
}
