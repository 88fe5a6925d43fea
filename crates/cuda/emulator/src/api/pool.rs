//! Memory pools, and allocation in the order of a stream.

use std::ffi::c_int;

use crate::arguments::{In, Out};
use crate::code::{Code, INVALID_VALUE, NOT_SUPPORTED, OUT_OF_MEMORY};
use crate::machine::Machine;
use crate::memory::pool::{Gauge, Pool};
use crate::violation::Violation;
use crate::work::Work;

#[derive(Clone, Copy)]
#[repr(C)]
pub struct Location {
    kind: c_int,
    id: c_int,
}

/// The part of `CUmemPoolProps` that is looked at.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct PoolProperties {
    allocation: c_int,
    handles: c_int,
    location: Location,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct AccessDescription {
    location: Location,
    flags: c_int,
}

const LOCATION_DEVICE: c_int = 1;
const ALLOCATION_PINNED: c_int = 1;
const PROT_READWRITE: c_int = 3;
const PROT_NONE: c_int = 0;

driver_functions! {
    cuDeviceGetDefaultMemPool(out: Out<u64>, device: c_int) |machine| {
        let device = machine.device(device)?;
        out.put(machine.default_pools[device])
    }
    cuDeviceGetMemPool(out: Out<u64>, device: c_int) |machine| {
        let device = machine.device(device)?;
        out.put(machine.current_pools[device])
    }
    cuDeviceSetMemPool(device: c_int, pool: u64) |machine| {
        let device = machine.device(device)?;
        if machine.pool(pool)?.device != device {
            return Err(INVALID_VALUE);
        }
        machine.current_pools[device] = pool;
        Ok(())
    }
    cuMemPoolCreate(out: Out<u64>, properties: In<PoolProperties>) |machine| {
        let properties = properties.get()?;
        if properties.allocation != ALLOCATION_PINNED || properties.location.kind != LOCATION_DEVICE {
            return Err(INVALID_VALUE);
        }
        if properties.handles != 0 {
            return Err(NOT_SUPPORTED);
        }
        let device = machine.device(properties.location.id)?;
        out.put(machine.new_pool(device, false))
    }
    cuMemPoolDestroy(pool: u64) |machine| { machine.destroy_pool(pool) }
    cuMemPoolTrimTo(pool: u64, keep: usize) |machine| {
        machine.unsafe_in_capture("cuMemPoolTrimTo")?;
        machine.pool(pool)?.trim(keep as u64);
        Ok(())
    }
    cuMemPoolSetAttribute(pool: u64, attribute: c_int, value: Out<u64>) |machine| {
        let pool = machine.pool(pool)?;
        match attribute {
            1..=3 => pool.policies[attribute as usize - 1] = value.as_out::<c_int>().take()?,
            4 => pool.threshold = value.take()?,
            // The marks can only be brought down to what is now.
            6 if value.take()? == 0 => pool.reserved.high = pool.reserved.now,
            8 if value.take()? == 0 => pool.used.high = pool.used.now,
            _ => return Err(INVALID_VALUE),
        }
        Ok(())
    }
    cuMemPoolGetAttribute(pool: u64, attribute: c_int, out: Out<u64>) |machine| {
        let pool = machine.pool(pool)?;
        let Gauge { now, high } = pool.reserved;
        match attribute {
            1..=3 => out.as_out::<c_int>().put(pool.policies[attribute as usize - 1]),
            4 => out.put(pool.threshold),
            5 => out.put(now),
            6 => out.put(high),
            7 => out.put(pool.used.now),
            8 => out.put(pool.used.high),
            _ => Err(INVALID_VALUE),
        }
    }
    cuMemPoolSetAccess(pool: u64, descriptions: In<AccessDescription>, count: usize) |machine| {
        for index in 0..count {
            let AccessDescription { location, flags } = descriptions.element(index).get()?;
            let device = machine.device(location.id)?;
            let pool = machine.pool(pool)?;
            let is_known = [PROT_NONE, PROT_READWRITE].contains(&flags);
            let closes_own = device == pool.device && flags == PROT_NONE;
            if location.kind != LOCATION_DEVICE || !is_known || closes_own {
                return Err(INVALID_VALUE);
            }
            pool.set_access(device, flags == PROT_READWRITE);
        }
        Ok(())
    }
    cuMemPoolGetAccess(out: Out<c_int>, pool: u64, location: In<Location>) |machine| {
        let device = machine.device(location.get()?.id)?;
        let is_open = machine.pool(pool)?.is_open_to(device);
        out.put(if is_open { PROT_READWRITE } else { PROT_NONE })
    }
    cuMemAllocAsync(out: Out<u64>, len: usize, stream: u64) @context |machine| {
        let stream = machine.stream(stream, context)?;
        let pool = machine.current_pools[machine.streams[&stream].device];
        out.put(alloc(machine, "cuMemAllocAsync", pool, len, stream)?)
    }
    cuMemAllocFromPoolAsync(out: Out<u64>, len: usize, pool: u64, stream: u64) @context |machine| {
        let stream = machine.stream(stream, context)?;
        machine.pool(pool)?;
        out.put(alloc(machine, "cuMemAllocFromPoolAsync", pool, len, stream)?)
    }
    cuMemFreeAsync(addr: u64, stream: u64) @context |machine| {
        let stream = machine.stream(stream, context)?;
        if machine.streams[&stream].capture.is_some() {
            return Err(NOT_SUPPORTED);
        }
        machine.unsafe_in_capture("cuMemFreeAsync")?;
        if machine.memory.starting_at(addr).is_none() {
            machine.violations.push(Violation::BadFree { addr });
            return Err(INVALID_VALUE);
        }
        machine.legacy_in_capture(stream)?;
        machine.memory.begin_free(addr)?;
        machine.submit(stream, "cuMemFreeAsync", Work::Free(addr)).map(drop)
    }
}

fn alloc(
    machine: &mut Machine,
    by: &'static str,
    pool: u64,
    len: usize,
    stream: u64,
) -> Result<u64, Code> {
    if machine.streams[&stream].capture.is_some() {
        return Err(NOT_SUPPORTED);
    }
    machine.unsafe_in_capture(by)?;
    if machine.memory.reuse_addresses {
        // What was freed on this stream may be had again, whether or not the free has run.
        machine.advance(stream, u64::MAX)?;
    }
    let stamp = machine.submit(stream, by, Work::Nothing)?.ok_or(OUT_OF_MEMORY)?;
    machine.memory.alloc_from(pool, len as u64, &stamp)
}

impl Machine {
    pub fn new_pool(&mut self, device: usize, is_default: bool) -> u64 {
        let handle = self.handle();
        self.memory.pools.insert(handle, Pool::new(device, is_default));
        handle
    }

    fn pool(&mut self, handle: u64) -> Result<&mut Pool, Code> {
        let pool = self.memory.pools.get_mut(&handle);
        pool.filter(|pool| !pool.is_destroyed).ok_or(INVALID_VALUE)
    }

    /// The handle is gone; the memory stays until the program has freed it.
    fn destroy_pool(&mut self, handle: u64) -> Result<(), Code> {
        let pool = self.pool(handle)?;
        if pool.is_default {
            return Err(INVALID_VALUE);
        }
        (pool.is_destroyed, pool.threshold) = (true, 0);
        pool.trim(0);
        let device = pool.device;
        if self.current_pools[device] == handle {
            self.current_pools[device] = self.default_pools[device];
        }
        Ok(())
    }
}
