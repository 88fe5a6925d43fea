//! Whether regions share bytes: exact answers from a bounded search.
//!
//! Both questions here become one: does a sum of steps land in an interval?
//!
//! ```text
//! a byte of A        a byte of B
//! a + Σ sᵢ·xᵢ    =   b + Σ tⱼ·yⱼ        0 <= xᵢ < length of axis i, and so for y
//! ```
//!
//! where bytes in a row are an axis like others, of stride 1. Walking B from its last byte
//! (`y' = last - y`) makes every sign positive: is `Σ sᵢ·xᵢ + Σ tⱼ·y'ⱼ` ever the distance from A's
//! first byte to B's last? [`solve`] answers that, for an interval in place of one distance.
//!
//! The problem is NP-complete in the number of axes; real arrays need a handful of steps. Strides of
//! equal length join, so views of one array rarely leave more than two different terms, and two are
//! solved outright.

mod solve;

use solve::{Budget, Term, solve};

use crate::region::{Axis, Footprint, Region, Span};

/// Steps of search that a borrow spends before it takes an overlap for granted (about 0.1 ms).
pub const DEFAULT_BUDGET: u64 = 2_000;

/// Answer to a question about shared bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Overlap {
    /// Proven: no byte is shared.
    Disjoint,
    /// Proven: some byte is shared.
    Overlapping,
    /// The budget ran out before a proof; callers take this for [`Overlap::Overlapping`].
    Unknown,
}

impl Overlap {
    /// Whether disjointness was proven.
    #[inline]
    pub const fn is_disjoint(self) -> bool {
        matches!(self, Overlap::Disjoint)
    }

    fn from_found(found: Option<bool>) -> Self {
        match found {
            Some(true) => Overlap::Overlapping,
            Some(false) => Overlap::Disjoint,
            None => Overlap::Unknown,
        }
    }
}

/// Whether two regions share a byte; `budget` bounds the steps of the search.
///
/// A region that overflows the address space gives [`Overlap::Unknown`].
///
/// ```
/// use ndbridge_layout::{DEFAULT_BUDGET, Overlap, Region, may_overlap};
///
/// // Columns 0, 3, 6, 9 and 1, 4, 7 of a 5 x 10 array of f64: interleaved, no byte in common.
/// let a = Region { start: 0x1000, item_bytes: 8, shape: &[5, 4], strides: &[80, 24] };
/// let b = Region { start: 0x1008, item_bytes: 8, shape: &[5, 3], strides: &[80, 24] };
/// assert_eq!(may_overlap(&a, &b, DEFAULT_BUDGET), Overlap::Disjoint);
/// let all = Region { start: 0x1000, item_bytes: 8, shape: &[5, 10], strides: &[80, 8] };
/// assert_eq!(may_overlap(&a, &all, DEFAULT_BUDGET), Overlap::Overlapping);
/// ```
#[inline]
pub fn may_overlap(a: &Region<'_>, b: &Region<'_>, budget: u64) -> Overlap {
    match (Footprint::span_of(a), Footprint::span_of(b)) {
        (Ok(a), Ok(b)) if !a.meets(b) => return Overlap::Disjoint,
        _ => {}
    }
    match (Footprint::of(a), Footprint::of(b)) {
        (Ok(a), Ok(b)) => footprints_overlap(&a, b.span(), b.axes(), budget),
        _ => Overlap::Unknown,
    }
}

/// Whether a footprint and that of `span` and `axes` share a byte; as [`may_overlap`] for those who
/// keep footprints.
#[inline(always)]
pub fn footprints_overlap(a: &Footprint, span: Span, axes: &[Axis], budget: u64) -> Overlap {
    if !a.span().meets(span) {
        return Overlap::Disjoint;
    }
    if a.axes().is_empty() && axes.is_empty() {
        return Overlap::Overlapping;
    }
    strided_overlap(a, span, axes, budget)
}

#[cold]
fn strided_overlap(a: &Footprint, span: Span, axes: &[Axis], budget: u64) -> Overlap {
    let (a_run, run) = (all_of(a.span()), all_of(span));
    let a_axes = if a.axes().is_empty() { core::slice::from_ref(&a_run) } else { a.axes() };
    let axes = if axes.is_empty() { core::slice::from_ref(&run) } else { axes };
    let terms = a_axes.iter().chain(axes).map(|axis| Term::of(axis.stride, axis.len - 1));
    let distance = (span.end - 1 - a.span().start) as u64;
    Overlap::from_found(solve(terms.collect(), distance, distance, &mut Budget(budget)))
}

fn all_of(span: Span) -> Axis {
    Axis { len: span.len_bytes(), stride: 1 }
}

/// Whether two items of a region share a byte; `budget` bounds the steps of the search.
///
/// A region that overflows the address space gives [`Overlap::Unknown`].
///
/// ```
/// use ndbridge_layout::{DEFAULT_BUDGET, Overlap, Region, reaches_a_byte_twice};
///
/// let region = |strides| Region { start: 0x1000, item_bytes: 4, shape: &[4, 3], strides };
/// assert_eq!(reaches_a_byte_twice(&region(&[12, 4]), DEFAULT_BUDGET), Overlap::Disjoint);
/// assert_eq!(reaches_a_byte_twice(&region(&[4, 4]), DEFAULT_BUDGET), Overlap::Overlapping); // windows
/// assert_eq!(reaches_a_byte_twice(&region(&[0, 4]), DEFAULT_BUDGET), Overlap::Overlapping); // broadcast
/// ```
#[inline]
pub fn reaches_a_byte_twice(region: &Region<'_>, budget: u64) -> Overlap {
    if Footprint::contiguous_span(region).is_some() {
        return Overlap::Disjoint;
    }
    match Footprint::span_of(region) {
        Err(_) => Overlap::Unknown,
        Ok(span) if span.is_empty() => Overlap::Disjoint,
        Ok(_) => items_overlap(region, budget),
    }
}

/// Whether two items share a byte, of a region that has items and a footprint.
#[inline]
fn items_overlap(region: &Region<'_>, budget: u64) -> Overlap {
    let axes = region.long_axes();
    if each_step_clears_the_rest(region.item_bytes, &axes) {
        return Overlap::Disjoint;
    }
    if axes[0].stride < region.item_bytes {
        return Overlap::Overlapping;
    }
    Overlap::from_found(two_items_meet(region.item_bytes, &axes, budget))
}

/// The quick proof: every stride, shortest first, steps over all that the shorter ones reach.
#[inline]
fn each_step_clears_the_rest(item_bytes: usize, axes: &[Axis]) -> bool {
    let mut reach_bytes = item_bytes;
    axes.iter().all(|axis| {
        let clears = axis.stride >= reach_bytes;
        reach_bytes += axis.reach_bytes();
        clears
    })
}

/// Searches two items that meet: their indices differ first, longest stride first, on some axis,
/// there by at least one step forwards, and on shorter axes by any number of steps.
fn two_items_meet(item_bytes: usize, axes: &[Axis], budget: u64) -> Option<bool> {
    let mut budget = Budget(budget);
    let mut proven = true;
    for first in (0..axes.len()).rev() {
        match items_meet_from(item_bytes, &axes[first], &axes[..first], &mut budget) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => proven = false,
        }
    }
    proven.then_some(false)
}

fn items_meet_from(
    item_bytes: usize,
    first: &Axis,
    shorter: &[Axis],
    budget: &mut Budget,
) -> Option<bool> {
    // Forwards on `first` by 1 + u, on the others by u - (len - 1), must sum to less than an item
    // either way; moving the constants across keeps every sign positive.
    let back: u64 = shorter.iter().map(|axis| axis.reach_bytes() as u64).sum();
    let Some(hi) = (back + (item_bytes - 1) as u64).checked_sub(first.stride as u64) else {
        return Some(false);
    };
    let terms = shorter.iter().map(|axis| Term::of(axis.stride, 2 * (axis.len - 1)));
    let terms = terms.chain([Term::of(first.stride, first.len - 2)]).collect();
    solve(terms, hi.saturating_sub(2 * (item_bytes - 1) as u64), hi, budget)
}
