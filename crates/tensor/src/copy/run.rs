//! One run: elements a fixed step apart, converted to elements a fixed step apart.

use std::ops::Range;

use ndbridge_dtype::{DType, Element, convert, match_dtype};

use super::plan::Kernel;
use super::work::Work;
use crate::element_access::{load, store};

/// The kernel that converts `from` to `to`.
pub(super) fn cast(from: DType, to: DType) -> Kernel {
    match_dtype!(from, S => cast_to::<S>(to))
}

fn cast_to<S: Element>(to: DType) -> Kernel {
    match_dtype!(to, D => cast_items::<S, D> as Kernel)
}

/// # Safety
/// As [`Kernel`], with elements of `S` and `D`.
unsafe fn cast_items<S: Element, D: Element>(
    work: &Work,
    from: *const u8,
    to: *mut u8,
    range: Range<usize>,
) {
    let (from, to) = work.row.at(from, to, range.start);
    // Constant steps let the compiler vectorise the common case.
    let dense = (size_of::<S>() as isize, size_of::<D>() as isize);
    let steps = (work.row.source, work.row.destination);
    if steps == dense {
        // SAFETY: as promised by the caller.
        unsafe { cast_steps::<S, D>(from, to, range.len(), dense) }
    } else {
        // SAFETY: as promised by the caller.
        unsafe { cast_steps::<S, D>(from, to, range.len(), steps) }
    }
}

/// # Safety
/// As [`Kernel`], with elements of `S` and `D`, `len` of them and `steps` bytes apart.
#[inline(always)]
unsafe fn cast_steps<S: Element, D: Element>(
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
