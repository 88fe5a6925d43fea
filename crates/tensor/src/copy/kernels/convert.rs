//! Elements of one data type to another, as `ndbridge_dtype::convert` has it.

use std::hint::select_unpredictable;
use std::ops::Range;

use ndbridge_dtype::{DType, Element, convert, match_dtype};

use super::super::work::{Along, Kernel, Work};
use crate::element_access::{load, store};

/// # Safety
/// As [`Convert`](super::super::work::Convert), with elements of `S` and `D`.
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
        unsafe { store::<D>(to, in_vectors::<S, D>(value)) };
        from = from.wrapping_offset(steps.0);
        to = to.wrapping_offset(steps.1);
    }
}

/// What [`convert`] gives, in arithmetic that compilers have vector code for where they have none for
/// what `convert` does: floats that saturate in integers.
#[inline(always)]
fn in_vectors<S: Element, D: Element>(value: S) -> D {
    let Some((least, most)) = (const { bounds(S::DTYPE, D::DTYPE) }) else {
        return convert(value);
    };
    const MANTISSA_BITS: u32 = 52;
    // The first value whose last place is 1. A smaller one that is added to it loses its fraction and
    // leaves its whole part, rounded, in the mantissa.
    const WHOLE: f64 = (1_u64 << MANTISSA_BITS) as f64;
    let value: f64 = convert(value);
    let number = select_unpredictable(value.is_nan(), 0.0, value);
    let bounded = number.clamp(least, most);
    let magnitude = bounded.abs();
    let shifted = magnitude + WHOLE;
    let nearest = shifted.to_bits() & ((1 << MANTISSA_BITS) - 1);
    let whole = nearest - u64::from(shifted - WHOLE > magnitude);
    convert(select_unpredictable(bounded < 0.0, whole.wrapping_neg(), whole) as i64)
}

/// The least and the greatest integer of `to`, if that gains from [`in_vectors`].
const fn bounds(from: DType, to: DType) -> Option<(f64, f64)> {
    let is_double = matches!(from, DType::F64);
    if !is_double
        && !matches!(from, DType::F32 | DType::F16 | DType::BF16 | DType::F8E4M3 | DType::F8E5M2)
    {
        return None;
    }
    match to {
        DType::I32 => Some((i32::MIN as f64, i32::MAX as f64)),
        DType::U32 => Some((0.0, u32::MAX as f64)),
        DType::I16 if is_double => Some((i16::MIN as f64, i16::MAX as f64)),
        DType::U16 if is_double => Some((0.0, u16::MAX as f64)),
        DType::I8 if is_double => Some((i8::MIN as f64, i8::MAX as f64)),
        DType::U8 if is_double => Some((0.0, u8::MAX as f64)),
        _ => None,
    }
}
