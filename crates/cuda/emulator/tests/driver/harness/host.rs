//! Pinned, registered and managed memory, and what addresses are.

use std::ffi::c_void;
use std::ptr::null_mut;

use cust::sys;

use super::free;

/// Memory that the driver gave the host: pinned or managed.
pub struct HostBlock {
    start: *mut u8,
    len: usize,
    is_managed: bool,
}

pub fn pinned(len: usize) -> HostBlock {
    let mut start = null_mut();
    assert_eq!(driver!(cuMemHostAlloc(&mut start, len, 0)), 0);
    HostBlock { start: start.cast(), len, is_managed: false }
}

pub fn managed(len: usize) -> HostBlock {
    let mut addr = 0;
    assert_eq!(driver!(cuMemAllocManaged(&mut addr, len, 1)), 0);
    HostBlock { start: addr as *mut u8, len, is_managed: true }
}

impl HostBlock {
    pub fn addr(&self) -> u64 {
        self.start as u64
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: allocated with this length until the block is freed, and filled.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }

    pub fn free(self) -> i32 {
        if self.is_managed { free(self.addr()) } else { driver!(cuMemFreeHost(self.start.cast())) }
    }
}

pub fn register(bytes: &mut [u8]) -> i32 {
    driver!(cuMemHostRegister_v2(bytes.as_mut_ptr().cast(), bytes.len(), 0))
}

pub fn unregister(bytes: &mut [u8]) -> i32 {
    driver!(cuMemHostUnregister(bytes.as_mut_ptr().cast()))
}

/// Whether there is memory behind an address.
pub const MAPPED: u32 = 13;

/// An attribute by number; the code instead, if the driver refuses.
pub fn attribute(number: u32, addr: u64) -> Result<u64, i32> {
    let mut value = 0u64;
    let attribute = pointer_attribute(number);
    let code = driver!(cuPointerGetAttribute((&raw mut value).cast(), attribute, addr));
    if code == 0 { Ok(value) } else { Err(code) }
}

pub fn attributes(numbers: &[u32], addr: u64) -> Vec<u64> {
    let mut values = vec![0u64; numbers.len()];
    let mut places: Vec<*mut c_void> = values.iter_mut().map(|v| (&raw mut *v).cast()).collect();
    let mut which: Vec<_> = numbers.iter().map(|n| pointer_attribute(*n)).collect();
    let count = numbers.len() as u32;
    let code =
        driver!(cuPointerGetAttributes(count, which.as_mut_ptr(), places.as_mut_ptr(), addr));
    assert_eq!(code, 0);
    values
}

fn pointer_attribute(number: u32) -> sys::CUpointer_attribute {
    use sys::CUpointer_attribute_enum as A;
    match number {
        1 => A::CU_POINTER_ATTRIBUTE_CONTEXT,
        2 => A::CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
        3 => A::CU_POINTER_ATTRIBUTE_DEVICE_POINTER,
        4 => A::CU_POINTER_ATTRIBUTE_HOST_POINTER,
        8 => A::CU_POINTER_ATTRIBUTE_IS_MANAGED,
        9 => A::CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
        11 => A::CU_POINTER_ATTRIBUTE_RANGE_START_ADDR,
        12 => A::CU_POINTER_ATTRIBUTE_RANGE_SIZE,
        MAPPED => A::CU_POINTER_ATTRIBUTE_MAPPED,
        _ => panic!("attribute {number}"),
    }
}
