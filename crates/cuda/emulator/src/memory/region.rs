//! Addresses that no memory stands behind: what follows one outside the driver faults.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::{Mutex, OnceLock, PoisonError};

const REGION_BYTES: u64 = 1 << 40;
const GUARD_BYTES: u64 = 4096;
const ALIGN_BYTES: u64 = 512;

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

/// Addresses for an allocation, with room before and behind. None is handed out twice in a
/// process, so a stale address never meets newer memory.
pub fn reserve(len_bytes: u64) -> Option<u64> {
    static NEXT: Mutex<u64> = Mutex::new(GUARD_BYTES);
    let start = start()?;
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    let offset = next.next_multiple_of(ALIGN_BYTES);
    let end = offset.checked_add(len_bytes)?.checked_add(GUARD_BYTES)?;
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
