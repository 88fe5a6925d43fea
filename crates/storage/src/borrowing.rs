//! What a storage asks before it gives a borrow, and how it is lent.

use std::ops::Range;
use std::panic::Location;
use std::sync::Arc;

use ndbridge_layout::{Footprint, Region, Span};
use ndbridge_ledger::{CallSite, Gates, Held, Token, Wanted};

use crate::lent_borrow::{conflict, enter_in_lent, span_for};
use crate::{
    Access, Backend, Borrow, BorrowError, BorrowKind, Device, Gate, GateError, Mutability,
    OwnedBorrow, Storage,
};

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

    // Errors are boxed on the way, so that what is common, a token, comes in a register. Private memory,
    // which takes the least, has a function of its own: one for all would save registers for all.
    #[inline]
    fn enter(
        &self,
        kind: BorrowKind,
        region: &Region<'_>,
        at: CallSite,
    ) -> Result<Token, Box<BorrowError>> {
        match self.access() {
            Access::Private => self.enter_private(kind, region, at),
            Access::Frozen | Access::Mapped | Access::Lent => {
                self.enter_reachable(kind, region, at)
            }
        }
    }

    #[inline(never)]
    fn enter_private(
        &self,
        kind: BorrowKind,
        region: &Region<'_>,
        at: CallSite,
    ) -> Result<Token, Box<BorrowError>> {
        let Some(span) = self.checked_span(kind, region)? else {
            return self.enter_strided(kind, region, at);
        };
        // No call around it, not even an inlined one: what is wanted then stays in registers.
        if let Some(own) = self.ledger()
            && let Some(entered) =
                own.enter_if(&Wanted::contiguous(kind, span, at), || self.is_still_private())
        {
            return entered.map_err(|held| conflict(kind, at, *held));
        }
        self.enter_reachable(kind, region, at)
    }

    /// Enters a borrow of memory that others reach, too.
    #[inline(never)]
    fn enter_reachable(
        &self,
        kind: BorrowKind,
        region: &Region<'_>,
        at: CallSite,
    ) -> Result<Token, Box<BorrowError>> {
        let Some(span) = self.checked_span(kind, region)? else {
            return self.enter_strided(kind, region, at);
        };
        self.enter_in_shared(&Wanted::contiguous(kind, span, at))
    }

    #[inline(never)]
    fn enter_strided(
        &self,
        kind: BorrowKind,
        region: &Region<'_>,
        at: CallSite,
    ) -> Result<Token, Box<BorrowError>> {
        let bytes = Footprint::within(span_for(kind, region)?, region);
        let wanted = Wanted::new(kind, &bytes, at);
        self.check_bytes(kind, wanted.bytes)?;
        if self.access() == Access::Private
            && let Some(own) = self.ledger()
            && let Some(entered) = own.enter_if(&wanted, || self.is_still_private())
        {
            return entered.map_err(|held| conflict(kind, at, *held));
        }
        self.enter_in_shared(&wanted)
    }

    /// First to past-the-last address of elements without gaps, after what every borrow asks; `None` for
    /// all others.
    #[inline(always)]
    fn checked_span(
        &self,
        kind: BorrowKind,
        region: &Region<'_>,
    ) -> Result<Option<Span>, Box<BorrowError>> {
        // A sharer may only look; each of its stores asks for itself.
        if kind == BorrowKind::Write {
            self.check_writable(kind)?;
        }
        let Some(span) = Footprint::contiguous_span(region) else { return Ok(None) };
        self.check_bytes(kind, span)?;
        Ok(Some(span))
    }

    #[inline(always)]
    fn check_bytes(&self, kind: BorrowKind, span: Span) -> Result<(), Box<BorrowError>> {
        self.check_inside(span)?;
        self.settle(kind, span)
    }

    /// Enters in the ledger of the process what is no private memory.
    #[inline(always)]
    fn enter_in_shared(&self, wanted: &Wanted<'_>) -> Result<Token, Box<BorrowError>> {
        const MISSING: GateError = GateError { gate: "lent memory", reason: "it has no gate" };
        match self.access() {
            Access::Frozen => return Ok(Token::NOTHING),
            Access::Mapped => {}
            Access::Private | Access::Lent => {
                self.gate().ok_or(MISSING).and_then(Gate::check).map_err(BorrowError::from)?;
            }
        }
        enter_in_lent(wanted, Gates::Ask)
    }

    /// Waits for the copies of devices from or to these bytes that `kind` conflicts with.
    #[inline(always)]
    fn settle(&self, kind: BorrowKind, span: Span) -> Result<(), Box<BorrowError>> {
        // What is on a device is ordered there; plain memory no device copies behind our back.
        if self.device() != Device::CudaHost {
            return Ok(());
        }
        self.settle_pinned(kind, span)
    }

    #[cold]
    #[inline(never)]
    fn settle_pinned(&self, kind: BorrowKind, span: Span) -> Result<(), Box<BorrowError>> {
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

#[cold]
fn outside(region: Span, storage: Span) -> Box<BorrowError> {
    let (region, storage) = (region.addresses(), storage.addresses());
    Box::new(BorrowError::OutsideStorage { region, storage })
}

#[cold]
fn still_borrowed(wanted_at: CallSite, held: &Held) -> BorrowError {
    BorrowError::StillBorrowed { wanted_at, held: held.kind, held_at: held.at }
}
