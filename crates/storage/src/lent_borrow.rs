//! Borrows in the ledger of lent memory.

use std::ops::Range;

use ndbridge_layout::{DEFAULT_BUDGET, Footprint, Region, Span, reaches_a_byte_twice};
use ndbridge_ledger::{self as ledger, CallSite, Gates, Held, NotEntered, Token, Wanted};

use crate::{BorrowError, BorrowKind};

/// A borrow of lent memory for which there is no [`Storage`](crate::Storage): that of a function's argument.
///
/// Entered in the same ledger as the borrows of lent storages; dropping it, also in a panic,
/// releases the bytes.
///
/// ```
/// use std::panic::Location;
/// use ndbridge_storage::{BorrowKind, LentBorrow, Region};
///
/// let bytes = [0_u8; 4];
/// let start = bytes.as_ptr() as usize;
/// let region = Region { start, item_bytes: 1, shape: &[4], strides: &[1] };
/// let read = LentBorrow::enter(BorrowKind::Read, &region, Location::caller())?;
/// assert!(LentBorrow::enter(BorrowKind::Write, &region, Location::caller()).is_err());
/// drop(read);
/// assert!(LentBorrow::enter(BorrowKind::Write, &region, Location::caller()).is_ok());
/// # Ok::<(), ndbridge_storage::BorrowError>(())
/// ```
#[derive(Debug)]
#[must_use = "the bytes are borrowed only while this lives"]
pub struct LentBorrow {
    token: Token,
}

impl LentBorrow {
    /// Enters a borrow of the bytes that `region` reaches, taken by `at`.
    ///
    /// Asks no gate and nobody whether the bytes may be written: the caller knows both.
    ///
    /// # Errors
    /// [`BorrowError::Conflict`], [`BorrowError::ReachesTwice`] or [`BorrowError::Region`], as
    /// [`Storage::borrow`](crate::Storage::borrow).
    #[inline]
    pub fn enter(
        kind: BorrowKind,
        region: &Region<'_>,
        at: impl Into<CallSite>,
    ) -> Result<Self, BorrowError> {
        let at = at.into();
        let entered = match Footprint::contiguous_span(region) {
            Some(span) => enter_in_lent(&Wanted::contiguous(kind, span, at), Gates::Pass),
            None => Self::enter_strided(kind, region, at),
        };
        entered.map(|token| Self { token }).map_err(|error| *error)
    }

    /// As [`enter`](Self::enter), for all bytes between two addresses; `None` if some of them are
    /// borrowed. For those who ask [`enter`](Self::enter) for the reason then.
    #[inline]
    pub fn try_enter_all(
        kind: BorrowKind,
        addresses: Range<usize>,
        at: impl Into<CallSite>,
    ) -> Option<Self> {
        let Range { start, end } = addresses;
        let wanted = Wanted::contiguous(kind, Span { start, end: end.max(start) }, at);
        ledger::of_process().enter(&wanted, Gates::Pass).ok().map(|token| Self { token })
    }

    #[inline(never)]
    fn enter_strided(
        kind: BorrowKind,
        region: &Region<'_>,
        at: CallSite,
    ) -> Result<Token, Box<BorrowError>> {
        let bytes = Footprint::within(span_for(kind, region)?, region);
        enter_in_lent(&Wanted::new(kind, &bytes, at), Gates::Pass)
    }
}

impl Drop for LentBorrow {
    #[inline]
    fn drop(&mut self) {
        ledger::of_process().release(std::mem::replace(&mut self.token, Token::NOTHING));
    }
}

#[inline(always)]
pub(crate) fn enter_in_lent(wanted: &Wanted<'_>, gates: Gates) -> Result<Token, Box<BorrowError>> {
    match ledger::of_process().enter(wanted, gates) {
        Ok(token) => Ok(token),
        Err(why) => Err(not_entered(wanted.kind, wanted.at, *why)),
    }
}

#[cold]
fn not_entered(wanted: BorrowKind, wanted_at: CallSite, why: NotEntered) -> Box<BorrowError> {
    match why {
        NotEntered::Held(held) => conflict(wanted, wanted_at, held),
        NotEntered::Gate(error) => Box::new(BorrowError::FileLent(error)),
    }
}

#[cold]
pub(crate) fn conflict(wanted: BorrowKind, wanted_at: CallSite, held: Held) -> Box<BorrowError> {
    let Held { kind: held, at: held_at, bytes: held_bytes, in_file } = held;
    Box::new(BorrowError::Conflict { wanted, wanted_at, held, held_at, held_bytes, in_file })
}

/// The span of the bytes of `region`; an error if they are to be written and one is reached twice.
#[inline]
pub(crate) fn span_for(wanted: BorrowKind, region: &Region<'_>) -> Result<Span, BorrowError> {
    let span = Footprint::span_of(region)?;
    let is_written = wanted == BorrowKind::Write;
    if is_written && !reaches_a_byte_twice(region, DEFAULT_BUDGET).is_disjoint() {
        return Err(BorrowError::ReachesTwice { wanted });
    }
    Ok(span)
}
