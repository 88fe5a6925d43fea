//! Memory pools.

use std::marker::PhantomData;
use std::ptr::null_mut;

use cust::sys;

use super::{Setup, Stream};

/// A pool of a device, destroyed when dropped.
pub struct Pool<'a> {
    pub handle: usize,
    alive: PhantomData<&'a Setup>,
}

pub const THRESHOLD: u32 = 4;
pub const RESERVED: u32 = 5;
pub const RESERVED_HIGH: u32 = 6;
pub const USED: u32 = 7;
pub const USED_HIGH: u32 = 8;

impl Pool<'_> {
    pub fn new(_setup: &Setup, device: i32) -> Pool<'_> {
        // SAFETY: a structure of numbers and pointers, for which zeros are values.
        let mut properties: sys::CUmemPoolProps = unsafe { std::mem::zeroed() };
        properties.allocType = sys::CUmemAllocationType_enum::CU_MEM_ALLOCATION_TYPE_PINNED;
        properties.location = location(device);
        let mut pool = null_mut();
        assert_eq!(driver!(cuMemPoolCreate(&mut pool, &properties)), 0);
        Pool { handle: pool as usize, alive: PhantomData }
    }

    pub fn alloc(&self, len: usize, stream: Stream) -> Result<u64, i32> {
        let (mut addr, pool) = (0, self.handle as sys::CUmemoryPool);
        let stream = stream as sys::CUstream;
        let code = driver!(cuMemAllocFromPoolAsync(&mut addr, len, pool, stream));
        if code == 0 { Ok(addr) } else { Err(code) }
    }

    pub fn set(&self, attribute: u32, mut value: u64) -> i32 {
        let (pool, value) = (self.handle as sys::CUmemoryPool, (&raw mut value).cast());
        driver!(cuMemPoolSetAttribute(pool, pool_attribute(attribute), value))
    }

    pub fn get(&self, attribute: u32) -> u64 {
        let mut value = 0u64;
        let (pool, out) = (self.handle as sys::CUmemoryPool, (&raw mut value).cast());
        assert_eq!(driver!(cuMemPoolGetAttribute(pool, pool_attribute(attribute), out)), 0);
        value
    }

    pub fn trim(&self, keep: usize) -> i32 {
        driver!(cuMemPoolTrimTo(self.handle as sys::CUmemoryPool, keep))
    }

    pub fn open_to(&self, device: i32) -> i32 {
        let flags = sys::CUmemAccess_flags_enum::CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
        let access = sys::CUmemAccessDesc { location: location(device), flags };
        driver!(cuMemPoolSetAccess(self.handle as sys::CUmemoryPool, &access, 1))
    }

    pub fn destroy(self) -> i32 {
        driver!(cuMemPoolDestroy(self.handle as sys::CUmemoryPool))
    }
}

fn location(id: i32) -> sys::CUmemLocation {
    sys::CUmemLocation { type_: sys::CUmemLocationType_enum::CU_MEM_LOCATION_TYPE_DEVICE, id }
}

fn pool_attribute(number: u32) -> sys::CUmemPool_attribute {
    use sys::CUmemPool_attribute_enum as A;
    match number {
        THRESHOLD => A::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
        RESERVED => A::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT,
        RESERVED_HIGH => A::CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH,
        USED => A::CU_MEMPOOL_ATTR_USED_MEM_CURRENT,
        USED_HIGH => A::CU_MEMPOOL_ATTR_USED_MEM_HIGH,
        _ => panic!("attribute {number}"),
    }
}
