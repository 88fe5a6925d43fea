//! Copies of few elements, for which a schedule would cost more than it gains.

use ndbridge_layout::{WalkAxes, WalkAxis, WalkCursor};

use super::kernels;
use super::level::Level;
use super::side::Side;
use super::work::Along;

/// Copies, or converts, a few elements; the name of the kernel.
///
/// # Safety
/// Both sides have `len` elements without gaps; those of the destination can be written, and have no
/// byte in common with the source.
pub(super) unsafe fn copy_dense(
    source: Side<'_>,
    destination: Side<'_>,
    len: usize,
) -> &'static str {
    let (from, to) = (source.ptr.cast_const(), destination.ptr);
    if source.dtype == destination.dtype {
        // SAFETY: promised by the caller.
        unsafe { std::ptr::copy_nonoverlapping(from, to, len * source.dtype.item_bytes()) };
        return "block";
    }
    let convert = kernels::convert(Level::best(), source.dtype, destination.dtype);
    // SAFETY: promised by the caller.
    unsafe { convert(from, to, len) };
    "cast"
}

/// Moves elements one by one; the name of the kernel.
///
/// # Safety
/// With the shape and its steps both sides reach live elements of one data type; those of the
/// destination can be written, and have no byte in common with the source.
pub(super) unsafe fn copy_few(
    shape: &[usize],
    source: Side<'_>,
    destination: Side<'_>,
) -> &'static str {
    let steps = source.strides.iter().zip(destination.strides);
    let axis = |(&len, (&source, &destination))| WalkAxis { len, source, destination };
    let axes: WalkAxes = shape.iter().zip(steps).map(axis).collect();
    let (row, outer) =
        axes.split_last().map_or((WalkAxis::ONE, &[][..]), |(&row, rest)| (row, rest));
    let mut cursor = WalkCursor::at(outer, 0);
    let (mut from, mut to) = (source.ptr.cast_const(), destination.ptr);
    for _ in 0..outer.iter().map(|axis| axis.len).product() {
        for index in 0..row.len {
            let (from, to) = row.at(from, to, index);
            // SAFETY: one element of each side, promised by the caller.
            unsafe { std::ptr::copy_nonoverlapping(from, to, source.dtype.item_bytes()) };
        }
        let step = cursor.advance(outer);
        (from, to) = (from.wrapping_offset(step.0), to.wrapping_offset(step.1));
    }
    "general"
}
