//! Memory pools.

use ndbridge_cuda_emulator::{Violation, limit, reuse_addresses, used, violations};

use crate::harness::*;
use crate::violations::assert_found;

const MIB: usize = 1 << 20;

#[test]
fn a_pool_keeps_up_to_its_threshold() {
    let setup = Setup::new();
    let pool = Pool::new(&setup, 0);
    assert_eq!(pool.get(THRESHOLD), 0);
    assert_eq!(pool.set(THRESHOLD, 4 << 20), 0);
    let (a, b) = (pool.alloc(8 * MIB, 0).unwrap(), pool.alloc(2 * MIB, 0).unwrap());
    assert_eq!((pool.get(USED), pool.get(RESERVED)), (10 << 20, 10 << 20));
    assert_eq!(free_async(a, 0), 0);
    assert_eq!((used(0), pool.get(RESERVED)), (2 * MIB, 10 << 20), "kept until something waits");
    assert_eq!(wait(0), 0);
    assert_eq!((pool.get(USED), pool.get(RESERVED)), (2 << 20, 4 << 20));
    assert_eq!((pool.get(USED_HIGH), pool.get(RESERVED_HIGH)), (10 << 20, 10 << 20));
    assert_eq!((pool.set(USED_HIGH, 0), pool.set(RESERVED_HIGH, 0)), (0, 0));
    assert_eq!((pool.get(USED_HIGH), pool.get(RESERVED_HIGH)), (2 << 20, 4 << 20));
    assert_eq!(pool.set(USED_HIGH, 5), 1);
    assert_eq!((pool.trim(3 * MIB), pool.get(RESERVED)), (0, 4 << 20), "in whole granules");
    assert_eq!((pool.trim(0), pool.get(RESERVED)), (0, 2 << 20), "in use");
    assert_eq!((free_async(b, 0), wait(0), pool.destroy()), (0, 0, 0));
}

#[test]
fn figures_of_a_pool_are_bounds() {
    let setup = Setup::new();
    let pool = Pool::new(&setup, 0);
    assert_eq!(pool.set(THRESHOLD, u64::MAX), 0);
    let (a, b) = (pool.alloc(1, 0).unwrap(), pool.alloc(600, 0).unwrap());
    assert_eq!((used(0), pool.get(USED), pool.get(RESERVED)), (601, 512 + 1024, 2 << 20));
    assert_eq!((free_async(a, 0), free_async(b, 0)), (0, 0));
    assert_eq!((used(0), pool.get(USED)), (0, 512 + 1024), "until the frees have run");
    assert_eq!((wait(0), pool.get(USED), pool.get(RESERVED)), (0, 0, 2 << 20));
    assert_eq!((pool.trim(1), pool.get(RESERVED)), (0, 2 << 20));
    assert_eq!((pool.trim(0), pool.get(RESERVED), pool.destroy()), (0, 0, 0));
}

#[test]
fn freed_addresses_come_again_if_a_test_wants_it() {
    let setup = Setup::new();
    let (pool, other) = (Pool::new(&setup, 0), stream(1));
    let alloc_and_free = |stream| {
        let addr = pool.alloc(64, stream).unwrap();
        assert_eq!((fill(addr, 1, 64, stream), free_async(addr, stream)), (0, 0));
        addr
    };
    assert_ne!(alloc_and_free(0), alloc_and_free(0));
    assert_eq!(wait(0), 0);
    reuse_addresses(true);
    // On the same stream before the free has run, on another one after.
    let first = alloc_and_free(other);
    assert_eq!(alloc_and_free(other), first);
    assert_ne!(pool.alloc(65, other).map(|addr| free_async(addr, other)), Err(2));
    assert_eq!(wait(other), 0);
    let again = pool.alloc(64, 0).unwrap();
    assert_eq!(again, first);
    assert_ne!(pool.alloc(64, 0).map(|addr| free_async(addr, 0)), Err(2));
    // It is a new allocation: nothing wrote it.
    let mut target = pinned(64);
    assert_eq!((to_host(target.bytes(), again, 0), wait(0)), (0, 0));
    assert_found!(Violation::Uninitialised { .. });
    assert_eq!((free_async(again, 0), wait(0), target.free(), pool.destroy()), (0, 0, 0, 0));
    setup.session().assert_no_leak(0);
}

#[test]
fn what_a_pool_keeps_is_lacking_elsewhere() {
    let setup = Setup::new();
    limit(0, 10 * MIB);
    let pool = Pool::new(&setup, 0);
    assert_eq!(pool.set(THRESHOLD, u64::MAX), 0);
    let addr = pool.alloc(8 * MIB, 0).unwrap();
    assert_eq!((free_async(addr, 0), wait(0)), (0, 0));
    assert_eq!((used(0), memory_info().0, try_alloc(3 * MIB)), (0, 2 * MIB, Err(2)));
    let again = pool.alloc(9 * MIB, 0).unwrap();
    assert_eq!((free_async(again, 0), wait(0), pool.trim(0)), (0, 0, 0));
    let plain = alloc(10 * MIB);
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
