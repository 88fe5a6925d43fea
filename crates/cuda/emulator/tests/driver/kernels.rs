//! Kernels of ndbridge.

use ndbridge_cuda_emulator::{Violation, reset, violations};
use ndbridge_cuda_kernels::{Dim, Dims, KERNELS, Launch, Width, fill, module_text};

use crate::harness::{self, *};
use crate::violations::assert_found;

fn filling(len: u32) -> (Launch, Dims, usize) {
    let dims = Dims::new(&[Dim::new(len, 0, 4)]).unwrap();
    let launch = fill(Width::B4, &dims);
    let module = load(&module_text(launch.kernel).unwrap()).unwrap();
    (launch, dims, function(module, launch.kernel).unwrap())
}

/// Writes 7 to `dims` from `addr` on.
fn run((launch, dims, function): &(Launch, Dims, usize), addr: u64, stream: Stream) -> i32 {
    let size = (launch.grid[0], launch.threads, launch.shared_bytes);
    let parameters: [&[u8]; 3] =
        [&addr.to_le_bytes(), &7u32.to_le_bytes(), bytemuck::bytes_of(dims)];
    harness::launch(*function, size, &parameters, stream)
}

/// Queues a kernel that writes `count` sevens of 4 bytes.
pub fn fill_sevens(addr: u64, count: u32, stream: Stream) {
    assert_eq!(run(&filling(count), addr, stream), 0);
}

#[test]
fn every_kernel_is_what_its_ptx_says() {
    let _setup = Setup::new();
    for kernel in KERNELS {
        let module = load(&module_text(kernel.name).unwrap()).unwrap();
        assert!(function(module, kernel.name).is_ok(), "{}", kernel.name);
    }
    let module = load(&module_text("fill_4").unwrap()).unwrap();
    assert_eq!(function(module, "no_such_kernel"), Err(500));
    assert_eq!(load("no PTX"), Err(218));
    assert_found!();
    let other =
        ".version 7.0\n.target sm_70\n.visible .entry fill_4(\n.param .u64 a\n)\n{ ret; }\n";
    assert_eq!(function(load(other).unwrap(), "fill_4"), Err(500));
    assert_found!(Violation::KernelParameters { .. });
}

#[test]
fn a_kernel_runs_in_its_stream() {
    let _setup = Setup::new();
    let (stream, filling) = (stream(1), filling(1000));
    let addr = alloc(4000);
    assert_eq!((run(&filling, addr, stream), wait(stream)), (0, 0));
    assert_eq!(read(addr, 4000), 7u32.to_le_bytes().repeat(1000));
    assert_found!();
    // And races, as any work.
    assert_eq!((run(&filling, addr, stream), harness::fill(addr + 3999, 0, 1, 0)), (0, 0));
    assert_eq!(synchronize(), 0);
    assert_found!(Violation::Race { .. });
    assert_eq!(run(&filling, addr, stream), 0);
    assert_eq!(free(addr), 0);
    assert_found!(Violation::FreedInUse { .. });
}

#[test]
fn a_kernel_beyond_its_memory_breaks_the_context() {
    let _setup = Setup::new();
    let (filling, addr) = (filling(10), alloc(36));
    assert_eq!((run(&filling, addr, 0), wait(0)), (0, 700));
    assert_eq!(try_alloc(4), Err(700), "as every call from now on");
    assert_found!(Violation::OutOfBounds { len: 4, .. });
    reset();
    assert_eq!(free(addr), 0);
}

#[test]
fn a_kernel_at_an_unaligned_address_is_stopped() {
    let _setup = Setup::new();
    let (filling, addr) = (filling(10), alloc(44));
    assert_eq!((run(&filling, addr + 1, 0), wait(0)), (0, 719));
    assert_found!(Violation::KernelPanic { .. });
    reset();
    assert_eq!(free(addr), 0);
}

#[test]
fn a_kernel_reaches_managed_memory() {
    let _setup = Setup::new();
    let (filling, mut managed) = (filling(2), managed(8));
    assert_eq!((run(&filling, managed.addr(), 0), wait(0)), (0, 0));
    assert_eq!(managed.bytes(), [7, 0, 0, 0, 7, 0, 0, 0]);
    assert_eq!(managed.free(), 0);
}
