//! The driver and its devices.

use std::ffi::{c_char, c_int, c_uint};

use crate::arguments::Out;
use crate::code::{Code, INVALID_VALUE, describe};
use crate::copies::MAX_PITCH;
use crate::forked::note_owner;
use crate::machine::Machine;

/// The driver of CUDA 13.0.
const VERSION: c_int = 13000;

driver_functions! {
    cuInit(flags: c_uint) |machine| {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        machine.is_ready = true;
        note_owner();
        Ok(())
    }
    cuDriverGetVersion(out: Out<c_int>) |_machine| { out.put(VERSION) }
    cuGetErrorString(code: c_int, out: Out<*const c_char>) |_machine| {
        out.put(describe(code).ok_or(INVALID_VALUE)?.1.as_ptr())
    }
    cuGetErrorName(code: c_int, out: Out<*const c_char>) |_machine| {
        out.put(describe(code).ok_or(INVALID_VALUE)?.0.as_ptr())
    }
    cuDeviceGetCount(out: Out<c_int>) |machine| {
        out.put(machine.memory.devices.len() as c_int)
    }
    cuDeviceGet(out: Out<c_int>, ordinal: c_int) |machine| {
        machine.device(ordinal)?;
        out.put(ordinal)
    }
    cuDeviceGetName(out: Out<u8>, len: c_int, device: c_int) |machine| {
        machine.device(device)?;
        put_text(&out, len, &format!("Emulated CUDA device {device}"))
    }
    cuDeviceGetPCIBusId(out: Out<u8>, len: c_int, device: c_int) |machine| {
        machine.device(device)?;
        put_text(&out, len, &format!("0000:{:02x}:00.0", device + 1))
    }
    cuDeviceGetUuid(out: Out<[u8; 16]>, device: c_int) |machine| { uuid(machine, &out, device) }
    cuDeviceGetUuid_v2(out: Out<[u8; 16]>, device: c_int) |machine| { uuid(machine, &out, device) }
    cuDeviceTotalMem_v2(out: Out<usize>, device: c_int) |machine| {
        let device = machine.device(device)?;
        out.put(machine.memory.devices[device].limit)
    }
    cuDeviceGetAttribute(out: Out<c_int>, attribute: c_int, device: c_int) |machine| {
        machine.device(device)?;
        out.put(device_attribute(attribute, device))
    }
    cuDeviceCanAccessPeer(out: Out<c_int>, device: c_int, peer: c_int) |machine| {
        machine.device(device)?;
        machine.device(peer)?;
        out.put((device != peer) as c_int)
    }
}

fn put_text(out: &Out<u8>, len: c_int, text: &str) -> Result<(), Code> {
    let bytes = text.bytes().chain([0]);
    if len < bytes.clone().count() as c_int {
        return Err(INVALID_VALUE);
    }
    bytes.enumerate().try_for_each(|(index, byte)| out.element(index).put(byte))
}

fn uuid(machine: &Machine, out: &Out<[u8; 16]>, device: c_int) -> Result<(), Code> {
    let device = machine.device(device)?;
    let mut uuid = *b"emulated device.";
    uuid[15] = device as u8;
    out.put(uuid)
}

/// Attributes by the numbers of `CUdevice_attribute`.
fn device_attribute(attribute: c_int, device: c_int) -> c_int {
    match attribute {
        // Threads of a block: in all, along x, y, z.
        1..=3 => 1024,
        4 => 64,
        // Blocks of a grid along x, y, z.
        5 => c_int::MAX,
        6 | 7 => 65535,
        // Shared memory of a block, also if it opts in.
        8 | 97 => 48 << 10,
        // Threads of a warp.
        10 => 32,
        11 => MAX_PITCH as c_int,
        // Multiprocessors, and threads of one.
        16 => 4,
        39 => 2048,
        // Integrated: no. Maps host memory, overlaps copies, runs kernels side by side.
        19 | 31 | 40 => 1,
        33 => device + 1,
        // Unified addresses, managed memory (also at once), pools.
        41 | 83 | 89 | 115 => 1,
        // Compute capability.
        75 => 9,
        76 => 0,
        _ => 0,
    }
}
