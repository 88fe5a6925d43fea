//! Addresses that no memory stands behind: what follows one outside the driver faults.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::{Mutex, OnceLock, PoisonError};

const REGION_BYTES: u64 = 1 << 40;
/// Addresses are reserved in such units. A driver's are larger; these leave room for millions.
const UNIT_BYTES: u64 = 64 << 10;

const PROT_NONE: c_int = 0;
const MAP_PRIVATE_ANONYMOUS_NORESERVE: c_int = 0x4022;

unsafe extern "C" {
    fn mmap(
        at: *mut c_void,
        len: usize,
        prot: c_int,
        flags: c_int,
        fd: c_int,
        offset: i64,
    ) -> *mut c_void;
}

fn start() -> Option<u64> {
    static START: OnceLock<Option<u64>> = OnceLock::new();
    *START.get_or_init(|| {
        let flags = MAP_PRIVATE_ANONYMOUS_NORESERVE;
        // SAFETY: a new mapping at a place of the kernel's choice; nothing else is changed.
        let at = unsafe { mmap(null_mut(), REGION_BYTES as usize, PROT_NONE, flags, -1, 0) };
        // MAP_FAILED is -1.
        (at as isize > 0).then_some(at as u64)
    })
}

/// The length of the reservation around an allocation: always more than the allocation's.
pub fn reserved_bytes(len_bytes: u64) -> u64 {
    (len_bytes + 1).next_multiple_of(UNIT_BYTES)
}

/// Addresses for an allocation, at the start of a reservation. None is handed out twice in a
/// process, so a stale address never meets newer memory.
pub fn reserve(len_bytes: u64) -> Option<u64> {
    static NEXT: Mutex<u64> = Mutex::new(UNIT_BYTES);
    let start = start()?;
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    if len_bytes >= REGION_BYTES {
        return None;
    }
    let (offset, end) = (*next, *next + reserved_bytes(len_bytes));
    if end > REGION_BYTES {
        return None;
    }
    *next = end;
    Some(start + offset)
}

/// Whether an address is one of the devices'.
pub fn contains(addr: u64) -> bool {
    start().is_some_and(|start| (start..start + REGION_BYTES).contains(&addr))
}
