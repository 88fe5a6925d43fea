//! Plain device memory, pinned, registered and managed host memory, and what addresses are.

use std::ffi::{c_int, c_uint};

use crate::arguments::{In, Out};
use crate::code::{Code, INVALID_VALUE};
use crate::machine::Machine;
use crate::memory::host::{HostBlock, Kind};
use crate::violation::Violation;

driver_functions! {
    cuMemGetInfo_v2(free: Out<usize>, total: Out<usize>) @context |machine| {
        let device = machine.contexts[context].device;
        free.put(machine.memory.free_bytes(device) as usize)?;
        total.put(machine.memory.devices[device].limit)
    }
    cuMemAlloc_v2(out: Out<u64>, len: usize) @context |machine| {
        machine.unsafe_in_capture("cuMemAlloc")?;
        let device = machine.contexts[context].device;
        out.put(machine.memory.alloc(device, len as u64)?)
    }
    cuMemFree_v2(addr: u64) @context |machine| {
        machine.unsafe_in_capture("cuMemFree")?;
        if addr == 0 { Ok(()) } else { free(machine, context, addr) }
    }
    cuMemGetAddressRange_v2(start: Out<u64>, len: Out<usize>, addr: u64) @_context |machine| {
        let (found, block) = machine.memory.block(addr).ok_or(INVALID_VALUE)?;
        start.put_unless_null(found);
        len.put_unless_null(block.len as usize);
        Ok(())
    }
    cuMemAllocHost_v2(out: Out<usize>, len: usize) @context |machine| {
        machine.unsafe_in_capture("cuMemAllocHost")?;
        let block = host_block(machine, context, len, Kind::Pinned, 0);
        out.put(machine.memory.host.alloc(block)?)
    }
    cuMemHostAlloc(out: Out<usize>, len: usize, flags: c_uint) @context |machine| {
        machine.unsafe_in_capture("cuMemHostAlloc")?;
        let block = host_block(machine, context, len, Kind::Pinned, flags);
        out.put(machine.memory.host.alloc(block)?)
    }
    cuMemFreeHost(start: usize) @context |machine| {
        machine.unsafe_in_capture("cuMemFreeHost")?;
        free_host(machine, context, start, Kind::Pinned)
    }
    cuMemAllocManaged(out: Out<u64>, len: usize, flags: c_uint) @context |machine| {
        machine.unsafe_in_capture("cuMemAllocManaged")?;
        let block = host_block(machine, context, len, Kind::Managed, flags);
        out.put(machine.memory.host.alloc(block)? as u64)
    }
    cuMemHostRegister_v2(start: usize, len: usize, flags: c_uint) @context |machine| {
        machine.unsafe_in_capture("cuMemHostRegister")?;
        let block = host_block(machine, context, len, Kind::Registered, flags);
        machine.memory.host.register(start, block)
    }
    cuMemHostUnregister(start: usize) @context |machine| {
        machine.unsafe_in_capture("cuMemHostUnregister")?;
        report_host_use(machine, start);
        let handle = machine.contexts[context].handle;
        machine.join_context(handle)?;
        machine.memory.host.unregister(start)
    }
    cuMemHostGetFlags(out: Out<c_uint>, addr: usize) @_context |machine| {
        let (_, block) = machine.memory.host.block(addr, 1).ok_or(INVALID_VALUE)?;
        out.put(block.flags)
    }
    cuMemHostGetDevicePointer_v2(out: Out<usize>, addr: usize, _flags: c_uint) @_context |machine| {
        machine.memory.host.block(addr, 1).ok_or(INVALID_VALUE)?;
        out.put(addr)
    }
    cuPointerGetAttribute(out: Out<u64>, attribute: c_int, addr: u64) |machine| {
        let place = place(machine, addr).ok_or(INVALID_VALUE)?;
        put(&out, attribute, place.attribute(attribute)?)
    }
    cuPointerGetAttributes(count: c_uint, which: In<c_int>, out: In<Out64>, addr: u64) |machine| {
        let place = place(machine, addr);
        for index in 0..count as usize {
            let attribute = which.element(index).get()?;
            // What does not apply reads as zero; of an unknown address that is the device too.
            let value = place.as_ref().and_then(|place| place.attribute(attribute).ok());
            put(&out.element(index).get()?.as_out(), attribute, value.unwrap_or(0))?;
        }
        Ok(())
    }
}

/// A place for an attribute's value, in an array of such.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Out64(*mut u64);

impl Out64 {
    fn as_out(self) -> Out<u64> {
        Out::from_pointer(self.0)
    }
}

/// What the driver tells of an address.
struct AddressFacts {
    context: u64,
    memory_type: u64,
    device_pointer: u64,
    host_pointer: Option<u64>,
    is_managed: bool,
    device: usize,
    start: u64,
    len: u64,
    pool: u64,
}

impl AddressFacts {
    /// By the numbers of `CUpointer_attribute`.
    fn attribute(&self, attribute: c_int) -> Result<u64, Code> {
        Ok(match attribute {
            1 => self.context,
            2 => self.memory_type,
            3 => self.device_pointer,
            4 => self.host_pointer.ok_or(INVALID_VALUE)?,
            8 => u64::from(self.is_managed),
            9 => self.device as u64,
            11 => self.start,
            12 => self.len,
            13 => 1,
            17 => self.pool,
            _ => return Err(INVALID_VALUE),
        })
    }
}

const MEMORYTYPE_HOST: u64 = 1;
const MEMORYTYPE_DEVICE: u64 = 2;

/// Memory type, managed, ordinal and mapped are 4 bytes, the others 8.
fn put(out: &Out<u64>, attribute: c_int, value: u64) -> Result<(), Code> {
    match attribute {
        2 | 8 | 9 | 13 => out.as_out::<u32>().put(value as u32),
        _ => out.put(value),
    }
}

fn place(machine: &Machine, addr: u64) -> Option<AddressFacts> {
    if let Some((start, block)) = machine.memory.host.block(addr as usize, 1) {
        let is_managed = block.kind == Kind::Managed;
        return Some(AddressFacts {
            context: block.context,
            memory_type: if is_managed { MEMORYTYPE_DEVICE } else { MEMORYTYPE_HOST },
            device_pointer: addr,
            host_pointer: Some(addr),
            is_managed,
            device: block.device,
            start: start as u64,
            len: block.len as u64,
            pool: 0,
        });
    }
    let (start, block) = machine.memory.block(addr)?;
    let context = machine.contexts.iter().rfind(|context| context.device == block.device);
    Some(AddressFacts {
        // Memory of a pool belongs to no context.
        context: if block.pool.is_some() { 0 } else { context.map_or(0, |context| context.handle) },
        memory_type: MEMORYTYPE_DEVICE,
        device_pointer: addr,
        host_pointer: None,
        is_managed: false,
        device: block.device,
        start,
        len: block.len + machine.reserved_past,
        pool: block.pool.unwrap_or(0),
    })
}

fn host_block(machine: &Machine, context: usize, len: usize, kind: Kind, flags: u32) -> HostBlock {
    let context = &machine.contexts[context];
    HostBlock { len, kind, flags, device: context.device, context: context.handle }
}

fn free(machine: &mut Machine, context: usize, addr: u64) -> Result<(), Code> {
    if machine.memory.host.block(addr as usize, 1).is_some() {
        return free_host(machine, context, addr as usize, Kind::Managed);
    }
    let Some(block) = machine.memory.starting_at(addr) else {
        machine.violations.push(Violation::BadFree { addr });
        return Err(INVALID_VALUE);
    };
    let len = block.len;
    // The driver waits here, but the manual does not say so: no program may rely on it.
    let queued = machine.queued_use(addr, len);
    if let Some(by) = queued.or_else(|| machine.memory.in_use(addr, &machine.host_clock)) {
        machine.violations.push(Violation::FreedInUse { by, addr });
    }
    let handle = machine.contexts[context].handle;
    machine.join_context(handle)?;
    machine.memory.begin_free(addr)?;
    machine.memory.end(addr, None, &mut machine.violations);
    Ok(())
}

fn free_host(machine: &mut Machine, context: usize, start: usize, kind: Kind) -> Result<(), Code> {
    report_host_use(machine, start);
    let handle = machine.contexts[context].handle;
    machine.join_context(handle)?;
    let outcome = machine.memory.host.free(start, kind);
    if outcome.is_err() {
        machine.violations.push(Violation::BadFree { addr: start as u64 });
    }
    outcome
}

fn report_host_use(machine: &mut Machine, start: usize) {
    let Some((start, block)) = machine.memory.host.block(start, 1) else { return };
    let addr = start as u64;
    if let Some(by) = machine.queued_use(addr, block.len as u64) {
        machine.violations.push(Violation::FreedInUse { by, addr });
    }
}
