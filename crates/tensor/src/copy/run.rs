//! One run: elements a fixed step apart, to elements a fixed step apart.

use std::ptr;

use ndbridge_dtype::{DType, Element, convert, match_dtype};

use super::pair::{Axis, Pair};
use crate::element_access::{load, store};

/// Copies `axis.len` elements from the first pointer to the second.
///
/// # Safety
/// With the steps of the axis, both pointers reach live elements of the data types that the run
/// was chosen for; those behind the second may be written, and nobody else reaches them meanwhile.
pub(super) type CopyRun = unsafe fn(*const u8, *mut u8, Axis);

/// The routine for the runs of `pair`.
pub(super) fn choose(from: DType, to: DType, pair: &Pair) -> CopyRun {
    if from != to {
        return match_dtype!(from, S => cast_to::<S>(to));
    }
    let item_bytes = from.item_bytes();
    let axis = pair.run();
    let dense = |step: isize| step == item_bytes as isize;
    if axis.len == 1 || dense(axis.source) && dense(axis.destination) {
        return block(item_bytes);
    }
    match item_bytes {
        1 => move_items::<1>,
        2 => move_items::<2>,
        4 => move_items::<4>,
        8 => move_items::<8>,
        _ => move_items::<16>,
    }
}

fn cast_to<S: Element>(to: DType) -> CopyRun {
    match_dtype!(to, D => cast_items::<S, D> as CopyRun)
}

fn block(item_bytes: usize) -> CopyRun {
    match item_bytes {
        1 => move_block::<1>,
        2 => move_block::<2>,
        4 => move_block::<4>,
        8 => move_block::<8>,
        _ => move_block::<16>,
    }
}

/// # Safety
/// As [`CopyRun`]; the elements lie without gaps on both sides.
unsafe fn move_block<const BYTES: usize>(from: *const u8, to: *mut u8, axis: Axis) {
    // SAFETY: `len` elements without gaps on both sides, which do not overlap.
    unsafe { ptr::copy_nonoverlapping(from, to, axis.len * BYTES) }
}

/// # Safety
/// As [`CopyRun`].
unsafe fn move_items<const BYTES: usize>(mut from: *const u8, mut to: *mut u8, axis: Axis) {
    for _ in 0..axis.len {
        // SAFETY: one element of each side.
        unsafe { ptr::copy_nonoverlapping(from, to, BYTES) };
        from = from.wrapping_offset(axis.source);
        to = to.wrapping_offset(axis.destination);
    }
}

/// # Safety
/// As [`CopyRun`], with elements of `S` and `D`.
unsafe fn cast_items<S: Element, D: Element>(from: *const u8, to: *mut u8, axis: Axis) {
    // Constant steps let the compiler vectorise the common case.
    let dense = (size_of::<S>() as isize, size_of::<D>() as isize);
    if (axis.source, axis.destination) == dense {
        // SAFETY: as promised by the caller.
        unsafe { cast_steps::<S, D>(from, to, axis.len, dense) }
    } else {
        // SAFETY: as promised by the caller.
        unsafe { cast_steps::<S, D>(from, to, axis.len, (axis.source, axis.destination)) }
    }
}

/// # Safety
/// As [`CopyRun`], with elements of `S` and `D`, `len` of them and `steps` bytes apart.
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
