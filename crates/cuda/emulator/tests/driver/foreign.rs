//! What other libraries do with memory that was handed to them.

use ndbridge_cuda_emulator::{Violation, foreign_read, foreign_write, reset, violations};

use crate::harness::*;
use crate::violations::assert_found;

#[test]
fn foreign_work_reads_and_writes_in_its_stream() {
    let _setup = Setup::new();
    let (a, b, addr) = (stream(1), stream(1), alloc_filled(16, 1));
    let at = addr as usize;
    assert_eq!((foreign_write(a, at, 16, 8, 5), foreign_read(a, at, 16, 8), wait(a)), (0, 0, 0));
    assert_eq!(read(addr, 16), [5; 16]);
    // A thread of another library needs no context.
    assert_eq!(elsewhere(|| foreign_read(0, at, 16, 4)), 0);
    assert_eq!(wait(0), 0);
    assert_found!();
    assert_eq!((foreign_write(a, at + 8, 8, 8, 6), foreign_read(b, at, 16, 1)), (0, 0));
    assert_eq!(synchronize(), 0);
    assert_found!(Violation::Race { .. });
    assert_eq!((foreign_read(a, at, 0, 8), foreign_read(a, 64, 8, 8)), (0, 1));
    assert_eq!(free(addr), 0);
}

#[test]
fn foreign_work_on_unaligned_elements_ends_the_context() {
    let _setup = Setup::new();
    let addr = alloc_filled(32, 1);
    assert_eq!(foreign_read(0, addr as usize + 4, 16, 4), 0);
    assert_eq!(wait(0), 0);
    assert_found!();
    assert_eq!(foreign_read(0, addr as usize + 4, 16, 8), 716);
    assert_found!(Violation::Misaligned { item_bytes: 8, .. });
    assert_eq!((try_alloc(4), foreign_read(0, addr as usize, 16, 8)), (Err(716), 716));
    reset();
    assert_eq!(free(addr), 0);
}
