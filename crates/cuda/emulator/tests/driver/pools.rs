//! Memory pools.

use ndbridge_cuda_emulator::{Violation, limit, used, violations};

use crate::harness::*;
use crate::violations::assert_found;

#[test]
fn a_pool_keeps_up_to_its_threshold() {
    let setup = Setup::new();
    let pool = Pool::new(&setup, 0);
    assert_eq!(pool.get(THRESHOLD), 0);
    assert_eq!(pool.set(THRESHOLD, 100), 0);
    let (a, b) = (pool.alloc(80, 0).unwrap(), pool.alloc(60, 0).unwrap());
    assert_eq!((pool.get(USED), pool.get(RESERVED)), (140, 140));
    assert_eq!(free_async(a, 0), 0);
    assert_eq!((used(0), pool.get(RESERVED)), (60, 140), "kept until something waits");
    assert_eq!(wait(0), 0);
    assert_eq!((pool.get(USED), pool.get(RESERVED)), (60, 100));
    assert_eq!((pool.get(USED_HIGH), pool.get(RESERVED_HIGH)), (140, 140));
    assert_eq!((pool.set(USED_HIGH, 0), pool.set(RESERVED_HIGH, 0)), (0, 0));
    assert_eq!((pool.get(USED_HIGH), pool.get(RESERVED_HIGH)), (60, 100));
    assert_eq!(pool.set(USED_HIGH, 5), 1);
    assert_eq!((pool.trim(70), pool.get(RESERVED)), (0, 70));
    assert_eq!((pool.trim(0), pool.get(RESERVED)), (0, 60), "in use");
    assert_eq!((free_async(b, 0), wait(0), pool.destroy()), (0, 0, 0));
}

#[test]
fn what_a_pool_keeps_is_lacking_elsewhere() {
    let setup = Setup::new();
    limit(0, 1000);
    let pool = Pool::new(&setup, 0);
    assert_eq!(pool.set(THRESHOLD, u64::MAX), 0);
    let addr = pool.alloc(800, 0).unwrap();
    assert_eq!((free_async(addr, 0), wait(0)), (0, 0));
    assert_eq!((used(0), memory_info().0, try_alloc(300)), (0, 200, Err(2)));
    let again = pool.alloc(900, 0).unwrap();
    assert_eq!((free_async(again, 0), wait(0), pool.trim(0)), (0, 0, 0));
    let plain = alloc(1000);
    assert_eq!(pool.alloc(1, 0), Err(2));
    assert_eq!((free(plain), pool.destroy()), (0, 0));
}

#[test]
fn a_destroyed_pool_ends_with_its_last_allocation() {
    let setup = Setup::new();
    limit(0, 100);
    let pool = Pool::new(&setup, 0);
    let addr = pool.alloc(100, 0).unwrap();
    assert_eq!(pool.destroy(), 0);
    assert_eq!((fill(addr, 1, 100, 0), free_async(addr, 0), wait(0)), (0, 0, 0));
    let plain = alloc(100);
    assert_eq!(free(plain), 0);
}

#[test]
fn the_default_pool_keeps_nothing() {
    let _setup = Setup::new();
    limit(0, 100);
    let addr = alloc_async(100, 0).unwrap();
    assert_eq!(alloc_async(1, 0), Err(2));
    assert_eq!((free_async(addr, 0), wait(0)), (0, 0));
    let plain = alloc(100);
    assert_eq!(free(plain), 0);
}

#[test]
fn pool_memory_is_open_to_the_devices_it_is_opened_to() {
    let setup = Setup::new();
    let (pool, open) = (Pool::new(&setup, 1), Pool::new(&setup, 1));
    assert_eq!(open.open_to(0), 0);
    set_current(setup.contexts[1]);
    let (closed_addr, open_addr) = (pool.alloc(16, 0).unwrap(), open.alloc(16, 0).unwrap());
    assert_eq!((fill(closed_addr, 1, 16, 0), fill(open_addr, 2, 16, 0)), (0, 0));
    assert_eq!(synchronize(), 0);

    set_current(setup.contexts[0]);
    let here = alloc(16);
    assert_eq!(on_device(here, open_addr, 16, 0), 0);
    assert_eq!(read(here, 16), [2; 16]);
    assert_found!();
    // Access to the device's plain memory is none to its pools.
    assert_eq!(enable_peer(setup.contexts[1]), 0);
    assert_eq!(on_device(here, closed_addr, 16, 0), 1);
    assert_found!(Violation::PeerAccess { device: 0, owner: 1, .. });
    assert_eq!(disable_peer(setup.contexts[1]), 0);
    let (to, from) = ((here, setup.contexts[0]), (closed_addr, setup.contexts[1]));
    assert_eq!(peer(to, from, 16, 0), 0);
    assert_eq!(read(here, 16), [1; 16]);
    assert_found!();
    assert_eq!(free(here), 0);
    set_current(setup.contexts[1]);
    assert_eq!((free_async(closed_addr, 0), free_async(open_addr, 0), wait(0)), (0, 0, 0));
    assert_eq!((pool.destroy(), open.destroy()), (0, 0));
}
