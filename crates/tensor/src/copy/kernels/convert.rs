//! Elements of one data type to another, as `ndbridge_dtype::convert` has it.

use std::ops::Range;

use ndbridge_dtype::{DType, Element, convert, match_dtype};

use super::super::level::Level;
use super::super::plan::Kernel;
use super::super::work::Work;
use super::at_level_or_portable;
use crate::element_access::{load, store};

/// Converts so many elements that lie without gaps on both sides, aligned or not.
///
/// # Safety
/// The first pointer reaches as many elements, the second room for as many, apart from the first.
/// The processor has the instructions of the level that this was chosen for.
pub(in super::super) type Convert = unsafe fn(*const u8, *mut u8, usize);

/// The routine for dense elements.
pub(in super::super) fn dense(level: Level, from: DType, to: DType) -> Convert {
    match_dtype!(from, S => dense_from::<S>(level, to))
}

fn dense_from<S: Element>(level: Level, to: DType) -> Convert {
    match_dtype!(to, D => at_level_or_portable!(level, run::<S, D>) as Convert)
}

/// # Safety
/// As [`Convert`], with elements of `S` and `D`.
#[inline(always)]
pub(super) unsafe fn run<S: Element, D: Element>(from: *const u8, to: *mut u8, len: usize) {
    let steps = (size_of::<S>() as isize, size_of::<D>() as isize);
    // SAFETY: promised by the caller.
    unsafe { stepped::<S, D>(from, to, len, steps) }
}

/// The kernel for elements at any steps.
pub(in super::super) fn general(from: DType, to: DType) -> Kernel {
    match_dtype!(from, S => general_from::<S>(to))
}

fn general_from<S: Element>(to: DType) -> Kernel {
    match_dtype!(to, D => items::<S, D> as Kernel)
}

/// The elements of the range of `col`, each a run along `row`.
///
/// # Safety
/// As [`Kernel`], with elements of `S` and `D`.
unsafe fn items<S: Element, D: Element>(
    work: &Work,
    from: *const u8,
    to: *mut u8,
    cols: Range<usize>,
) {
    let steps = (work.row.source, work.row.destination);
    for col in cols {
        let (from, to) = work.col.at(from, to, col);
        // SAFETY: as promised by the caller.
        unsafe { stepped::<S, D>(from, to, work.row.len, steps) }
    }
}

/// # Safety
/// With the steps in bytes, both pointers reach `len` elements, of `S` and of `D`.
#[inline(always)]
unsafe fn stepped<S: Element, D: Element>(
    mut from: *const u8,
    mut to: *mut u8,
    len: usize,
    steps: (isize, isize),
) {
    for _ in 0..len {
        // SAFETY: one element of the source.
        let value = unsafe { load::<S>(from) };
        // SAFETY: one element of the destination.
        unsafe { store::<D>(to, convert::<S, D>(value)) };
        from = from.wrapping_offset(steps.0);
        to = to.wrapping_offset(steps.1);
    }
}
