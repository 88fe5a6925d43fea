//! A borrow that is wanted.

use ndbridge_layout::{Axis, Footprint, Span};

use crate::borrow_kind::BorrowKind;
use crate::call_site::CallSite;

/// A borrow that is wanted: what for, of which bytes, by whom.
///
/// Passed by reference where functions are inlined, and so made nowhere: its parts stay in registers.
/// A copy of it is made only for what is seldom called.
///
/// ```
/// use std::panic::Location;
/// use ndbridge_layout::{Footprint, Region};
/// use ndbridge_ledger::{BorrowKind, Wanted};
///
/// let rows = Region { start: 0x1000, item_bytes: 8, shape: &[4, 2], strides: &[64, 8] };
/// let bytes = Footprint::of(&rows)?;
/// let wanted = Wanted::new(BorrowKind::Read, &bytes, Location::caller());
/// assert_eq!(wanted.bytes.addresses(), 0x1000..0x10d0);
/// assert_eq!(wanted.axes.len(), 2); // runs of 16 bytes, at 4 places
/// # Ok::<(), ndbridge_layout::RegionError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What it is for.
    pub kind: BorrowKind,
    /// First to past-the-last address that it reaches.
    pub bytes: Span,
    /// The steps of a [`Footprint`] along which it reaches them; none if it reaches all.
    pub axes: &'a [Axis],
    /// Who takes it.
    pub at: CallSite,
}

impl<'a> Wanted<'a> {
    /// A borrow of a footprint.
    #[inline(always)]
    pub fn new(kind: BorrowKind, bytes: &'a Footprint, at: impl Into<CallSite>) -> Self {
        Self { kind, bytes: bytes.span(), axes: bytes.axes(), at: at.into() }
    }

    /// A borrow of all bytes of a span.
    #[inline(always)]
    pub fn contiguous(kind: BorrowKind, bytes: Span, at: impl Into<CallSite>) -> Self {
        Self { kind, bytes, axes: &[], at: at.into() }
    }
}
