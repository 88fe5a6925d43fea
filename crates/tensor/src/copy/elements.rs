//! The elements of one tensor, copied to where another's lie.

use ndbridge_layout::{Order, Walk, is_packed, saturating_len};

use super::schedule::{Schedule, Tuning};
use super::side::Side;
use super::small::{copy_dense, copy_few};
use super::source::Source;

/// Copies the elements of `source` to `destination`, casting where the data types differ; the name of
/// the kernel that did, if there was an element.
///
/// # Safety
/// With the source's shape, the destination's strides from its pointer reach memory that is good
/// for writing, that no one else reaches meanwhile and that has no byte in common with the source.
pub(crate) unsafe fn copy_elements(
    source: &Source<'_>,
    destination: Side<'_>,
) -> Option<&'static str> {
    let from = Side::of(source.tensor);
    let shape = source.tensor.shape();
    if shape.contains(&0) {
        return None;
    }
    if let Some(len) = dense_len(shape, from, destination)
        && len <= SMALL_LEN
    {
        // SAFETY: as many elements without gaps on both sides, the source's borrowed, the
        // destination's promised by the caller.
        return Some(unsafe { copy_dense(from, destination, len) });
    }
    if from.dtype == destination.dtype && saturating_len(shape) <= FEW {
        // SAFETY: the elements of both sides, as above.
        return Some(unsafe { copy_few(shape, from, destination) });
    }
    let walk = Walk::of_pair(shape, from.strides, destination.strides)?;
    let schedule = Schedule::new(walk, from, destination, Tuning::of_this_machine());
    // SAFETY: a schedule reaches the elements of both sides; both are good for that: the source is
    // borrowed, the destination promised by the caller.
    unsafe { schedule.run() };
    Some(schedule.name())
}

/// Up to so many elements without gaps on both sides are copied without a schedule.
const SMALL_LEN: usize = 1024;

/// Up to so many elements are moved one by one, without a schedule, wherever they lie.
const FEW: usize = 16;

/// The number of elements, if both sides are contiguous in C order.
#[inline]
fn dense_len(shape: &[usize], source: Side<'_>, destination: Side<'_>) -> Option<usize> {
    let is_dense =
        |side: Side<'_>| is_packed(shape, side.strides, Order::C, side.dtype.item_bytes());
    (is_dense(destination) && is_dense(source)).then(|| saturating_len(shape))
}
