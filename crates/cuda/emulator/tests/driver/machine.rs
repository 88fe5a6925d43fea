//! What tests set and ask; devices; memory as a whole.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

use ndbridge_cuda_emulator::{
    Session, Violation, call_names, calls, clear_faults, fail, limit, live, used, violations,
};

use crate::harness::*;

#[test]
fn faults() {
    let _setup = Setup::new();
    fail("cuMemAlloc_v2", 1, 2);
    let addr = alloc(4);
    assert_eq!(try_alloc(4), Err(2));
    let other = alloc(4);
    fail("cuMemFree_v2", 0, 700);
    clear_faults();
    assert_eq!((free(addr), free(other)), (0, 0));
}

#[test]
fn any_code_can_be_answered() {
    let _setup = Setup::new();
    // Also those that cust's enum of CUDA 11.4 lacks.
    for code in [225, 226, 802, 803, 810, 912, 913, 914, 915, 916, 917, 999, 12345] {
        fail("cuMemAlloc_v2", 0, code);
        assert_eq!(alloc_code(4), code);
        assert_eq!(error_name(code).is_some(), code != 12345, "{code}");
    }
    assert_eq!(error_name(802).as_deref(), Some("CUDA_ERROR_SYSTEM_NOT_READY"));
}

#[test]
fn calls_are_counted() {
    let _setup = Setup::new();
    let before = calls("cuMemAlloc_v2");
    let addr = alloc(4);
    assert_eq!(calls("cuMemAlloc_v2"), before + 1);
    assert_eq!(free(addr), 0);
    assert!(call_names().contains(&"cuMemFree_v2"));
    assert!(!call_names().contains(&"cuMemcpyDtoH_v2"), "no copy to the host");
}

#[test]
fn memory_is_limited() {
    let setup = Setup::new();
    limit(0, 1000);
    let addr = alloc(600);
    assert_eq!((used(0), live(), memory_info()), (600, 1, (400, 1000)));
    assert_eq!(try_alloc(401), Err(2));
    assert_eq!(try_alloc(0), Err(1));
    limit(0, 1200);
    let other = alloc(401);
    assert_eq!((free(addr), free(other), used(0)), (0, 0, 0));
    set_current(setup.contexts[1]);
    let large = alloc(700 << 20);
    assert_eq!((used(0), used(1)), (0, 700 << 20));
    assert_eq!(free(large), 0);
}

#[test]
fn addresses_have_no_memory_behind_them() {
    let _setup = Setup::new();
    let addr = alloc(4096);
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let around = maps.lines().find(|line| {
        let (start, rest) = line.split_once('-').unwrap();
        (number(start)..number(rest.split(' ').next().unwrap())).contains(&addr)
    });
    assert_eq!(around.unwrap().split(' ').nth(1), Some("---p"));
    assert_eq!(free(addr), 0);
}

/// What this thread has had of a processor, however busy that was beside it.
fn own_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

#[test]
fn many_allocations() {
    let _setup = Setup::new();
    let before = own_seconds();
    let all: Vec<_> = (0..30_000).map(|_| alloc(64)).collect();
    assert_eq!((live(), used(0)), (30_000, 30_000 * 64));
    for addr in &all {
        assert_eq!(fill(*addr, 1, 64, 0), 0);
        assert_eq!(wait(0), 0);
    }
    assert!(all.into_iter().all(|addr| free(addr) == 0));
    // A walk over all of them for each call would take minutes.
    assert!(own_seconds() - before < 20.0, "{}", own_seconds() - before);
}

#[test]
fn devices_have_names() {
    let _setup = Setup::new();
    let (name, bus) = device_facts(1);
    assert_eq!((&name[..], &bus[..]), ("Emulated CUDA device 1", "0000:02:00.0"));
}

#[test]
fn a_session_fails_at_its_end_after_a_violation() {
    let outcome = catch_unwind(|| {
        let _setup = Setup::new();
        assert_eq!(free(alloc(4) + 1), 1);
    });
    let message = *outcome.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("BadFree"), "{message}");
    // Of a race too that has not run yet.
    let outcome = catch_unwind(|| {
        let _setup = Setup::new();
        let (a, b, addr) = (stream(1), stream(1), alloc(4));
        assert_eq!((fill(addr, 1, 4, a), fill(addr, 2, 4, b)), (0, 0));
    });
    let message = *outcome.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("Race"), "{message}");
    let session = Session::start();
    assert!(session.is_emulated());
    let leaks = catch_unwind(AssertUnwindSafe(|| session.assert_no_leak(0)));
    assert!(leaks.is_err(), "the two allocations of the sessions above");
    for violation in ndbridge_cuda_emulator::finish() {
        let Violation::Leak { addr, .. } = violation else { panic!("{violation}") };
        let setup_free = free(addr);
        assert!([0, 201].contains(&setup_free));
    }
    violations();
}

#[test]
fn a_real_driver_that_is_asked_for_and_absent_is_a_failure() {
    let run = |value: &str| {
        let mut test = Command::new(std::env::current_exe().unwrap());
        test.args(["--exact", "machine::devices_have_names"]).env("NDBRIDGE_GPU", value);
        let output = test.env("NDBRIDGE_CUDA_DRIVER", "/nowhere/libcuda.so").output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let output = run("real");
    assert!(output.contains("NDBRIDGE_GPU=real, but no CUDA driver: /nowhere/libcuda"), "{output}");
    let output = run("1");
    assert!(output.contains("NDBRIDGE_GPU is \"1\", expected \"real\" or nothing"), "{output}");
}
