//! Each kind of violation, and a correct program beside it.

use ndbridge_cuda_emulator::{Violation, drain, finish, violations};

use crate::harness::*;

/// Checks that the violations so far are these, and takes them.
macro_rules! assert_found {
    ($($pattern:pat),* $(if $guard:expr)?) => {{
        let found = violations();
        assert!(matches!(&found[..], [$($pattern),*] $(if $guard)?), "{found:#?}");
    }};
}
pub(crate) use assert_found;

#[test]
fn out_of_bounds() {
    let _setup = Setup::new();
    let addr = alloc_filled(16, 7);
    assert_eq!(to_host_now(&mut [0; 16], addr), 0);
    assert_found!();
    assert_eq!(to_host_now(&mut [0; 17], addr), 1);
    assert_found!(Violation::OutOfBounds { len: 17, .. });
    assert_eq!(fill(addr + 8, 0, 9, 0), 1);
    assert_found!(Violation::OutOfBounds { len: 9, .. });
    assert_eq!(free(addr), 0);
}

#[test]
fn use_after_free() {
    let _setup = Setup::new();
    let addr = alloc_filled(16, 7);
    assert_eq!(free(addr), 0);
    assert_eq!(to_host_now(&mut [0; 16], addr), 1);
    assert_found!(Violation::UseAfterFree { .. });
}

#[test]
fn use_after_a_queued_free() {
    let _setup = Setup::new();
    let stream = stream(0);
    let mut target = pinned(16);
    let addr = alloc_async(16, stream).unwrap();
    assert_eq!(fill(addr, 7, 16, stream), 0);
    assert_eq!(to_host(target.bytes(), addr, stream), 0);
    assert_eq!(free_async(addr, stream), 0);
    assert_eq!(wait(stream), 0);
    assert_eq!((target.bytes(), violations()), (&mut [7; 16][..], vec![]));

    let addr = alloc_async(16, stream).unwrap();
    assert_eq!(free_async(addr, stream), 0);
    assert_eq!(fill(addr, 7, 16, stream), 0, "the driver cannot know yet");
    assert_eq!(wait(stream), 700);
    assert_found!(Violation::UseAfterFree { .. });
    assert_eq!(free_async(addr, stream), 700, "the context is broken");
    ndbridge_cuda_emulator::reset();
    assert_eq!(target.free(), 0);
    assert_eq!(destroy(stream), 0);
}

#[test]
fn freed_in_use() {
    let _setup = Setup::new();
    let stream = stream(1);
    let addr = alloc(16);
    assert_eq!(fill(addr, 7, 16, stream), 0);
    assert_eq!(wait(stream), 0);
    assert_eq!(free(addr), 0);
    assert_found!();

    let addr = alloc(16);
    assert_eq!(fill(addr, 7, 16, stream), 0);
    assert_eq!(free(addr), 0);
    assert_found!(Violation::FreedInUse { .. });

    // It ran, but the host does not know.
    let addr = alloc(16);
    assert_eq!(fill(addr, 7, 16, stream), 0);
    drain();
    assert_eq!(free(addr), 0);
    assert_found!(Violation::FreedInUse { .. });

    let target = pinned(16);
    let addr = alloc_filled(16, 7);
    assert_eq!(unified(target.addr(), addr, 16, stream), 0);
    assert_eq!(target.free(), 0);
    assert_found!(Violation::FreedInUse { .. });
    assert_eq!(free(addr), 0);
    assert_eq!(destroy(stream), 0);
}

#[test]
fn bad_free() {
    let _setup = Setup::new();
    let addr = alloc(16);
    assert_eq!(free(addr + 8), 1);
    assert_found!(Violation::BadFree { .. });
    assert_eq!(free(addr), 0);
    assert_found!();
    assert_eq!(free(addr), 1);
    assert_found!(Violation::BadFree { .. });
    assert_eq!(free(0), 0, "null is fine");

    let addr = alloc_async(16, 0).unwrap();
    assert_eq!(free_async(addr, 0), 0);
    assert_found!();
    assert_eq!(free_async(addr, 0), 1, "the first has not even run");
    assert_found!(Violation::BadFree { .. });
}

#[test]
fn race() {
    let _setup = Setup::new();
    let (a, b) = (stream(0), stream(0));
    let addr = alloc_filled(64, 0);
    assert_eq!(fill(addr, 7, 64, a), 0);
    order(a, b);
    let mut target = [0; 64];
    assert_eq!(to_host(&mut target, addr, b), 0);
    assert_eq!((target, violations()), ([7; 64], vec![]));

    assert_eq!(fill(addr, 8, 64, a), 0);
    assert_eq!(to_host(&mut target, addr, b), 0);
    assert_eq!(wait(a), 0);
    assert_found!(Violation::Race { .. });

    // No byte in common, and two reads: no race.
    assert_eq!((fill(addr, 8, 32, a), fill(addr + 32, 8, 32, b)), (0, 0));
    assert_eq!(synchronize(), 0);
    let mut other = [0; 64];
    assert_eq!((to_host(&mut target, addr, a), to_host(&mut other, addr, b)), (0, 0));
    assert_found!();
    assert_eq!(free(addr), 0);
    assert_eq!((destroy(a), destroy(b)), (0, 0));
}

#[test]
fn an_event_covers_only_what_was_before_it() {
    let _setup = Setup::new();
    let (a, b) = (stream(0), stream(0));
    let addr = alloc_filled(64, 0);
    order(a, b);
    // Recorded before the fill, waited for after it.
    let early = event();
    assert_eq!(record(early, a), 0);
    assert_eq!(fill(addr, 8, 64, a), 0);
    assert_eq!(stream_waits(b, early), 0);
    assert_eq!(fill(addr, 9, 64, b), 0);
    assert_eq!(synchronize(), 0);
    assert_found!(Violation::Race { .. });
    assert_eq!(free(addr), 0);
}

#[test]
fn allocation_in_a_stream_is_no_allocation_in_another() {
    let _setup = Setup::new();
    let (a, b) = (stream(0), stream(0));
    let addr = alloc_async(64, a).unwrap();
    assert_eq!(fill(addr, 8, 64, b), 0);
    assert_eq!(wait(b), 0);
    assert_found!(Violation::Race { .. });
    assert_eq!(wait(a), 0);
    assert_eq!(fill(addr, 8, 64, b), 0);
    order(b, a);
    assert_eq!(free_async(addr, a), 0);
    assert_eq!(wait(a), 0);
    assert_found!();
}

#[test]
fn uninitialised() {
    let _setup = Setup::new();
    let addr = alloc(8);
    assert_eq!(fill(addr, 1, 6, 0), 0);
    assert_eq!(read(addr, 6), [1; 6]);
    assert_found!();
    assert_eq!(read(addr, 8), [1, 1, 1, 1, 1, 1, 0xcb, 0xcb]);
    let found = violations();
    let [Violation::Uninitialised { addr: first, .. }] = found[..] else { panic!("{found:?}") };
    assert_eq!(first, addr + 6);
    assert_eq!(free(addr), 0);
}

#[test]
fn no_context() {
    let setup = Setup::new();
    let context = setup.contexts[0];
    let addr = alloc(16);
    std::thread::spawn(move || {
        assert_eq!(free(addr), 201);
        assert_found!(Violation::NoContext { call: "cuMemFree_v2" });
        set_current(context);
        assert_eq!(free(addr), 0);
        assert_found!();
    })
    .join()
    .unwrap();
}

#[test]
fn source_changed() {
    let _setup = Setup::new();
    let stream = stream(0);
    let addr = alloc(16);
    let mut source = pinned(16);
    source.bytes().fill(1);
    assert_eq!(to_device(addr, source.bytes(), stream), 0);
    assert_eq!(wait(stream), 0);
    source.bytes().fill(2);
    assert_found!();

    assert_eq!(to_device(addr, source.bytes(), stream), 0);
    source.bytes().fill(3);
    assert_eq!(wait(stream), 0);
    assert_found!(Violation::SourceChanged { .. });

    // Pageable memory is read at the call.
    let mut pageable = [4; 16];
    assert_eq!(to_device(addr, &pageable, stream), 0);
    pageable.fill(5);
    assert_eq!((read(addr, 16), pageable), (vec![4; 16], [5; 16]));
    assert_found!();
    assert_eq!((source.free(), free(addr)), (0, 0));
}

#[test]
fn leak() {
    let setup = Setup::new();
    let addr = alloc(16);
    setup.session().assert_no_leak(1);
    assert_eq!(finish(), [Violation::Leak { addr, len: 16 }]);
    assert_eq!(free(addr), 0);
    assert_eq!(finish(), []);
    setup.session().assert_no_leak(0);
}

#[test]
fn peer_access() {
    let setup = Setup::new();
    let here = alloc_filled(16, 1);
    set_current(setup.contexts[1]);
    let there = alloc_filled(16, 2);
    set_current(setup.contexts[0]);
    assert_eq!(on_device(here, there, 16, 0), 1);
    assert_found!(Violation::PeerAccess { device: 0, owner: 1, .. });

    let (to, from) = ((here, setup.contexts[0]), (there, setup.contexts[1]));
    assert_eq!(peer(to, from, 16, 0), 0);
    assert_eq!(read(here, 16), [2; 16]);
    assert_found!();

    assert_eq!(enable_peer(setup.contexts[1]), 0);
    assert_eq!(enable_peer(setup.contexts[1]), 704);
    assert_eq!(on_device(there, here, 16, 0), 0);
    assert_eq!(synchronize(), 0);
    assert_found!();
    assert_eq!(disable_peer(setup.contexts[1]), 0);
    assert_eq!(disable_peer(setup.contexts[1]), 705);
    assert_eq!(free(here), 0);
    set_current(setup.contexts[1]);
    assert_eq!(free(there), 0);
}
