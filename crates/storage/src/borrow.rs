//! Borrows that are released when they go.

use std::fmt;
use std::ops::Range;
use std::panic::Location;
use std::sync::Arc;

use ndbridge_layout::{DEFAULT_BUDGET, Footprint, Region, Span, reaches_a_byte_twice};
use ndbridge_ledger::{self as ledger, CallSite, Gates, Held, NotEntered, Token, Wanted};

use crate::{
    Access, Backend, BorrowError, BorrowKind, Device, Gate, GateError, Mutability, Storage,
};

/// A live borrow of some bytes of a storage; dropping it, also in a panic, releases them.
///
/// It gives no access by itself: it is what a guard holds beside its pointer. Leaking it
/// (`std::mem::forget`) keeps the bytes borrowed.
///
/// The storage outlives it:
///
/// ```
/// # use ndbridge_storage::{BorrowKind, Region, Storage};
/// let storage = Storage::from_vec(vec![1u8]);
/// let start = storage.as_ptr() as usize;
/// let region = Region { start, item_bytes: 1, shape: &[], strides: &[] };
/// let borrow = storage.borrow(BorrowKind::Read, &region).unwrap();
/// drop(borrow);
/// drop(storage);
/// ```
///
/// ```compile_fail,E0505
/// # use ndbridge_storage::{BorrowKind, Region, Storage};
/// let storage = Storage::from_vec(vec![1u8]);
/// let start = storage.as_ptr() as usize;
/// let region = Region { start, item_bytes: 1, shape: &[], strides: &[] };
/// let borrow = storage.borrow(BorrowKind::Read, &region).unwrap();
/// drop(storage);
/// drop(borrow);
/// ```
#[must_use = "the bytes are borrowed only while this lives"]
pub struct Borrow<'s> {
    storage: &'s Storage,
    token: Token,
}

impl<'s> Borrow<'s> {
    pub(crate) fn new(storage: &'s Storage, token: Token) -> Self {
        Self { storage, token }
    }

    /// The storage borrowed from.
    #[inline]
    pub fn storage(&self) -> &'s Storage {
        self.storage
    }
}

impl Drop for Borrow<'_> {
    #[inline]
    fn drop(&mut self) {
        release(self.storage, &mut self.token);
    }
}

impl fmt::Debug for Borrow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Borrow").field("storage", self.storage).finish_non_exhaustive()
    }
}

/// A [`Borrow`] that keeps the storage alive itself: for guards without a lifetime.
#[must_use = "the bytes are borrowed only while this lives"]
pub struct OwnedBorrow {
    storage: Storage,
    token: Token,
}

impl OwnedBorrow {
    pub(crate) fn new(storage: Storage, token: Token) -> Self {
        Self { storage, token }
    }

    /// The storage borrowed from.
    #[inline]
    pub fn storage(&self) -> &Storage {
        &self.storage
    }
}

impl Drop for OwnedBorrow {
    #[inline]
    fn drop(&mut self) {
        release(&self.storage, &mut self.token);
    }
}

impl fmt::Debug for OwnedBorrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedBorrow").field("storage", &self.storage).finish_non_exhaustive()
    }
}

/// A borrow of lent memory for which there is no [`Storage`]: that of a function's argument.
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
    /// [`Storage::borrow`].
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

/// The ledger is the one that the borrow was entered in: while it lives, the access cannot change.
#[inline]
fn release(storage: &Storage, token: &mut Token) {
    let token = std::mem::replace(token, Token::NOTHING);
    match storage.access() {
        Access::Lent | Access::Mapped => ledger::of_process().release(token),
        Access::Private | Access::Frozen => match storage.used_ledger() {
            Some(ledger) => ledger.release(token),
            None => ledger::of_process().release(token),
        },
    }
}

impl Storage {
    /// Borrows the bytes that `region` reaches, until the result is dropped.
    ///
    /// Asks the gate of lent memory first, and of a mapped file those of its other maps that are
    /// lent. Borrows of bytes that nobody writes (frozen memory) or of no bytes are always compatible
    /// with others.
    ///
    /// # Errors
    /// [`BorrowError::Conflict`] names the borrow that stands in the way and where it was taken.
    /// [`BorrowError::Gate`], [`BorrowError::FileLent`], [`BorrowError::ReadOnly`],
    /// [`BorrowError::UnknownMutability`], [`BorrowError::ReachesTwice`] (for [`BorrowKind::Write`]
    /// only), and, for a region that is not part of this storage, [`BorrowError::Region`] or
    /// [`BorrowError::OutsideStorage`].
    #[inline]
    #[track_caller]
    pub fn borrow(&self, kind: BorrowKind, region: &Region<'_>) -> Result<Borrow<'_>, BorrowError> {
        match self.enter(kind, region, Location::caller().into()) {
            Ok(token) => Ok(Borrow::new(self, token)),
            Err(error) => Err(*error),
        }
    }

    /// As [`borrow`](Self::borrow), with a handle of its own: has no lifetime.
    ///
    /// # Errors
    /// As [`borrow`](Self::borrow).
    #[inline]
    #[track_caller]
    pub fn borrow_owned(
        &self,
        kind: BorrowKind,
        region: &Region<'_>,
    ) -> Result<OwnedBorrow, BorrowError> {
        match self.enter(kind, region, Location::caller().into()) {
            Ok(token) => Ok(OwnedBorrow::new(self.clone(), token)),
            Err(error) => Err(*error),
        }
    }

    /// Whether the memory may be written: asked by every write borrow, and by each store of a sharer.
    ///
    /// # Errors
    /// [`BorrowError::ReadOnly`] or [`BorrowError::UnknownMutability`].
    #[inline]
    pub fn check_writable(&self, wanted: BorrowKind) -> Result<(), BorrowError> {
        match self.mutability() {
            Mutability::Writable => Ok(()),
            Mutability::ReadOnly => Err(BorrowError::ReadOnly { wanted, owner: self.owner_name() }),
            Mutability::Unknown => {
                Err(BorrowError::UnknownMutability { wanted, owner: self.owner_name() })
            }
        }
    }

    /// Whether a borrow would pass the gate now; private and frozen memory has none.
    ///
    /// # Errors
    /// [`BorrowError::Gate`].
    pub fn check_gate(&self) -> Result<(), BorrowError> {
        match self.gate() {
            Some(gate) => gate.check().map_err(BorrowError::from),
            None => Ok(()),
        }
    }

    /// Lets foreign code reach these bytes, for good: [`Access::Private`] becomes
    /// [`Access::Lent`], and `gate` is asked before every later borrow. Nothing happens if the
    /// storage is lent (the first gate stays) or frozen.
    ///
    /// A mapped file is lent as far as this map may write it. Borrows through its other maps, in
    /// whatever module, ask `gate` if foreign code could disturb them: all that share bytes with a
    /// lent [`MapMode::ReadWrite`](crate::MapMode::ReadWrite) map, those that write bytes of any other
    /// lent map. A read-only map stays [`Access::Mapped`]: nobody writes through it.
    ///
    /// # Errors
    /// [`BorrowError::StillBorrowed`] while any borrow of this storage lives; of a mapped file, while
    /// a borrow through any of its maps lives that foreign code could disturb, and could not before.
    #[track_caller]
    pub fn lend(&self, gate: Arc<dyn Gate>) -> Result<(), BorrowError> {
        let wanted_at = Location::caller().into();
        match self.access() {
            Access::Private => {}
            Access::Mapped => return self.lend_mapped(gate, wanted_at),
            Access::Frozen | Access::Lent => return Ok(()),
        }
        if self.lend_unused(&gate) {
            return Ok(());
        }
        let Some(ledger) = self.used_ledger() else {
            // Another thread lends it this moment.
            self.set_lent(gate);
            return Ok(());
        };
        let lent = ledger.when_idle(|| self.set_lent(gate));
        lent.map_err(|held| still_borrowed(wanted_at, &held))
    }

    fn lend_mapped(&self, gate: Arc<dyn Gate>, wanted_at: CallSite) -> Result<(), BorrowError> {
        self.lend_map(&gate).map_err(|held| still_borrowed(wanted_at, &held))?;
        if self.mutability() != Mutability::ReadOnly {
            self.set_lent(gate);
        }
        Ok(())
    }

    // Errors are boxed on the way, so that what is common, a token, comes in a register.
    fn enter(
        &self,
        kind: BorrowKind,
        region: &Region<'_>,
        at: CallSite,
    ) -> Result<Token, Box<BorrowError>> {
        // A sharer may only look; each of its stores asks for itself.
        if kind == BorrowKind::Write {
            self.check_writable(kind)?;
        }
        match Footprint::contiguous_span(region) {
            Some(span) => self.enter_wanted(&Wanted::contiguous(kind, span, at)),
            None => self.enter_strided(kind, region, at),
        }
    }

    #[inline(never)]
    fn enter_strided(
        &self,
        kind: BorrowKind,
        region: &Region<'_>,
        at: CallSite,
    ) -> Result<Token, Box<BorrowError>> {
        let bytes = Footprint::within(span_for(kind, region)?, region);
        self.enter_wanted(&Wanted::new(kind, &bytes, at))
    }

    #[inline(always)]
    fn enter_wanted(&self, wanted: &Wanted<'_>) -> Result<Token, Box<BorrowError>> {
        self.check_inside(wanted.bytes)?;
        self.settle(wanted.kind, wanted.bytes)?;
        match self.access() {
            Access::Private => {
                let own = self.ledger();
                match own.and_then(|own| own.enter_if(wanted, || self.is_still_private())) {
                    Some(Ok(token)) => Ok(token),
                    Some(Err(held)) => Err(conflict(wanted.kind, wanted.at, *held)),
                    None => self.enter_lent(wanted),
                }
            }
            Access::Frozen => Ok(Token::NOTHING),
            Access::Mapped => enter_in_lent(wanted, Gates::Ask),
            Access::Lent => self.enter_lent(wanted),
        }
    }

    #[inline(always)]
    fn enter_lent(&self, wanted: &Wanted<'_>) -> Result<Token, Box<BorrowError>> {
        const MISSING: GateError = GateError { gate: "lent memory", reason: "it has no gate" };
        self.gate().ok_or(MISSING).and_then(Gate::check).map_err(BorrowError::from)?;
        enter_in_lent(wanted, Gates::Ask)
    }

    /// Waits for the copies of devices from or to these bytes that `kind` conflicts with.
    #[inline(always)]
    fn settle(&self, kind: BorrowKind, span: Span) -> Result<(), Box<BorrowError>> {
        // What is on a device is ordered there; plain memory no device copies behind our back.
        if self.device() != Device::CudaHost {
            return Ok(());
        }
        let settle = |backend: &'static dyn Backend| backend.settle(kind, &span.addresses());
        let settled = self.backend().map_or(Ok(()), settle);
        settled.map_err(|error| Box::new(BorrowError::Device { reason: error.to_string() }))
    }

    #[inline(always)]
    fn check_inside(&self, span: Span) -> Result<(), Box<BorrowError>> {
        let Range { start, end } = self.addresses();
        let storage = Span { start, end };
        if storage.contains(span) || span.is_empty() { Ok(()) } else { Err(outside(span, storage)) }
    }
}

#[inline(always)]
fn enter_in_lent(wanted: &Wanted<'_>, gates: Gates) -> Result<Token, Box<BorrowError>> {
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
fn outside(region: Span, storage: Span) -> Box<BorrowError> {
    let (region, storage) = (region.addresses(), storage.addresses());
    Box::new(BorrowError::OutsideStorage { region, storage })
}

#[cold]
fn conflict(wanted: BorrowKind, wanted_at: CallSite, held: Held) -> Box<BorrowError> {
    let Held { kind: held, at: held_at, bytes: held_bytes, in_file } = held;
    Box::new(BorrowError::Conflict { wanted, wanted_at, held, held_at, held_bytes, in_file })
}

#[cold]
fn still_borrowed(wanted_at: CallSite, held: &Held) -> BorrowError {
    BorrowError::StillBorrowed { wanted_at, held: held.kind, held_at: held.at }
}

/// The span of the bytes of `region`; an error if they are to be written and one is reached twice.
#[inline]
fn span_for(wanted: BorrowKind, region: &Region<'_>) -> Result<Span, BorrowError> {
    let span = Footprint::span_of(region)?;
    let is_written = wanted == BorrowKind::Write;
    if is_written && !reaches_a_byte_twice(region, DEFAULT_BUDGET).is_disjoint() {
        return Err(BorrowError::ReachesTwice { wanted });
    }
    Ok(span)
}
