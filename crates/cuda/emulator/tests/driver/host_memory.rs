//! Pinned, registered and managed memory, and what the driver tells of addresses.

use ndbridge_cuda_emulator::Violation;

use crate::harness::*;
use crate::violations::assert_found;
use ndbridge_cuda_emulator::violations;

const ALL: [u32; 9] = [1, 2, 3, 4, 8, 9, 11, 12, MAPPED];
/// What is reserved around an allocation of a device: more than it has.
const RESERVED: u64 = 64 << 10;

#[test]
fn attributes_of_every_kind_of_memory() {
    let setup = Setup::new();
    let context = setup.contexts[0] as u64;
    let (plain, pooled) = (alloc(16), alloc_async(32, 0).unwrap());
    let (pinned, managed) = (pinned(24), managed(8));
    let mut own = vec![0; 40];
    assert_eq!(register(&mut own), 0);
    let (pin, man, reg) = (pinned.addr(), managed.addr(), own.as_ptr() as u64);
    // Context, type, device pointer, host pointer, managed, device, start and size of what is
    // reserved, mapped; asked 3 bytes in.
    let expected = [
        (plain, [context, 2, plain + 3, 0, 0, 0, plain, RESERVED, 1]),
        (pooled, [0, 2, pooled + 3, 0, 0, 0, pooled, RESERVED, 1]),
        (pin, [context, 1, pin + 3, pin + 3, 0, 0, pin, 24, 1]),
        (man, [context, 2, man + 3, man + 3, 1, 0, man, 8, 1]),
        (reg, [context, 1, reg + 3, reg + 3, 0, 0, reg, 40, 1]),
    ];
    for (addr, values) in expected {
        assert_eq!(attributes(&ALL, addr + 3), values);
        for (number, value) in ALL.into_iter().zip(values) {
            let is_lacking = number == 4 && value == 0;
            assert_eq!(attribute(number, addr + 3), if is_lacking { Err(1) } else { Ok(value) });
        }
    }
    // Past an allocation, and past what is reserved for it.
    assert_eq!((attribute(MAPPED, plain + 15), attribute(MAPPED, plain + 16)), (Ok(1), Ok(0)));
    assert_eq!(
        (attribute(2, plain + 16), attribute(2, plain + RESERVED)),
        (Ok(2), attribute(2, pooled))
    );
    assert_eq!((free(plain), free_async(pooled, 0), pinned.free()), (0, 0, 0));
    assert_eq!((managed.free(), unregister(&mut own)), (0, 0));
    for addr in [plain, reg, own.as_ptr() as u64] {
        assert_eq!(attribute(2, addr), Err(1));
        assert_eq!(attributes(&ALL, addr), [0; 9]);
    }
}

#[test]
fn registered_memory_is_pinned_until_it_is_not() {
    let _setup = Setup::new();
    let stream = stream(0);
    let addr = alloc_filled(16, 7);
    let mut own = vec![0; 16];
    assert_eq!(register(&mut own), 0);
    assert_eq!((register(&mut own[4..8]), register(&mut own)), (712, 712));
    assert_eq!(to_host(&mut own, addr, stream), 0);
    assert_eq!(own, [0; 16], "not before the wait");
    assert_eq!((wait(stream), unregister(&mut own[4..])), (0, 713));
    assert_eq!(own, [7; 16]);
    assert_eq!((unregister(&mut own), unregister(&mut own)), (0, 713));
    assert_eq!(fill(addr, 8, 16, stream), 0);
    assert_eq!(to_host(&mut own, addr, stream), 0);
    assert_eq!(own, [8; 16], "pageable: done when the call returns");
    assert_found!();
    assert_eq!((register(&mut own), to_host(&mut own, addr, stream)), (0, 0));
    assert_eq!(unregister(&mut own), 0);
    assert_found!(Violation::FreedInUse { .. });
    assert_eq!(free(addr), 0);
}

#[test]
fn managed_memory_is_reached_from_both_sides() {
    let _setup = Setup::new();
    let mut managed = managed(16);
    assert_eq!((fill(managed.addr(), 5, 16, 0), wait(0)), (0, 0));
    assert_eq!(managed.bytes(), [5; 16]);
    let addr = alloc(16);
    assert_eq!(on_device(addr, managed.addr(), 16, 0), 0);
    assert_eq!(read(addr, 16), [5; 16]);
    assert_eq!((free(addr), managed.free()), (0, 0));
    assert_found!();
}

#[test]
fn memory_is_freed_as_what_it_is() {
    let _setup = Setup::new();
    let pinned = pinned(16);
    assert_eq!(free(pinned.addr()), 1);
    assert_found!(Violation::BadFree { .. });
    assert_eq!(pinned.free(), 0);
}
