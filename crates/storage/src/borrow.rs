//! Borrows that are released when they go.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::ledger::{self, Held, Token};
use crate::{
    Access, BorrowError, BorrowKind, DEFAULT_BUDGET, Footprint, Gate, GateError, Mutability,
    Overlap, Region, Storage, reaches_a_byte_twice,
};

/// A live borrow of some bytes of a storage; dropping it, also in a panic, releases them.
///
/// It gives no access by itself: it is what a guard holds beside its pointer. Leaking it
/// (`std::mem::forget`) keeps the bytes borrowed.
#[must_use = "the bytes are borrowed only while this lives"]
pub struct Borrow<'s> {
    storage: &'s Storage,
    entry: Entry,
}

impl<'s> Borrow<'s> {
    pub(crate) fn new(storage: &'s Storage, entry: Entry) -> Self {
        Self { storage, entry }
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
        self.entry.strike(self.storage);
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
    entry: Entry,
}

impl OwnedBorrow {
    pub(crate) fn new(storage: Storage, entry: Entry) -> Self {
        Self { storage, entry }
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
        self.entry.strike(&self.storage);
    }
}

impl fmt::Debug for OwnedBorrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedBorrow").field("storage", &self.storage).finish_non_exhaustive()
    }
}

/// Where a borrow was entered.
pub(crate) enum Entry {
    /// In the ledger of the storage.
    Private(Token),
    /// In the ledger of the process.
    Lent(Token),
    /// In none: nobody can write these bytes, or there are none.
    Nowhere,
}

impl Entry {
    #[inline]
    fn strike(&mut self, storage: &Storage) {
        match std::mem::replace(self, Entry::Nowhere) {
            Entry::Private(token) => storage.ledger().release(token),
            Entry::Lent(token) => ledger::of_lent_memory().release(token),
            Entry::Nowhere => {}
        }
    }
}

impl Storage {
    /// Borrows the bytes that `region` reaches, until the result is dropped.
    ///
    /// Asks the gate of lent memory first. Borrows of bytes that nobody writes (frozen memory) or
    /// of no bytes are always compatible with others.
    ///
    /// # Errors
    /// [`BorrowError::Conflict`] names the borrow that stands in the way and where it was taken.
    /// [`BorrowError::Gate`], [`BorrowError::ReadOnly`], [`BorrowError::UnknownMutability`],
    /// [`BorrowError::ReachesTwice`] (for [`BorrowKind::Write`] only), and, for a region that is
    /// not part of this storage, [`BorrowError::Region`] or [`BorrowError::OutsideStorage`].
    #[inline]
    #[track_caller]
    pub fn borrow(&self, kind: BorrowKind, region: &Region<'_>) -> Result<Borrow<'_>, BorrowError> {
        Ok(Borrow::new(self, self.enter(kind, region, Location::caller())?))
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
        let entry = self.enter(kind, region, Location::caller())?;
        Ok(OwnedBorrow::new(self.clone(), entry))
    }

    /// Whether [`borrow`](Self::borrow) gives borrows of a kind that [writes](BorrowKind::writes).
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

    /// Lets foreign code reach these bytes, for good: [`Access::Private`] becomes
    /// [`Access::Lent`], and `gate` is asked before every later borrow. Nothing happens if the
    /// storage is lent (the first gate stays) or frozen.
    ///
    /// # Errors
    /// [`BorrowError::StillBorrowed`] while any borrow of this storage lives.
    #[track_caller]
    pub fn lend(&self, gate: Arc<dyn Gate>) -> Result<(), BorrowError> {
        if self.access() != Access::Private {
            return Ok(());
        }
        let wanted_at = Location::caller();
        let lent = self.ledger().when_idle(|| self.set_lent(gate));
        lent.map_err(|Held { kind: held, at: held_at, .. }| BorrowError::StillBorrowed {
            wanted_at,
            held,
            held_at,
        })
    }

    #[inline]
    fn enter(
        &self,
        kind: BorrowKind,
        region: &Region<'_>,
        at: &'static Location<'static>,
    ) -> Result<Entry, BorrowError> {
        if kind.writes() {
            self.check_writable(kind)?;
        }
        let bytes = self.footprint(kind, region)?;
        match self.access() {
            Access::Private => {
                let still_private = || self.is_still_private();
                match self.ledger().acquire_if(still_private, kind, bytes, at) {
                    Some(entered) => {
                        entered.map(Entry::Private).map_err(|held| conflict(kind, at, held))
                    }
                    None => self.enter(kind, region, at),
                }
            }
            Access::Frozen => Ok(Entry::Nowhere),
            Access::Lent => {
                self.ask_gate()?;
                let entered = ledger::of_lent_memory().acquire(kind, bytes, at);
                entered.map(Entry::Lent).map_err(|held| conflict(kind, at, held))
            }
        }
    }

    #[inline]
    fn ask_gate(&self) -> Result<(), BorrowError> {
        const MISSING: GateError = GateError { gate: "lent memory", reason: "it has no gate" };
        Ok(self.gate().ok_or(MISSING)?.check()?)
    }

    #[inline]
    fn footprint(&self, kind: BorrowKind, region: &Region<'_>) -> Result<Footprint, BorrowError> {
        let (bytes, contiguous) = Footprint::classify(region)?;
        let (reached, storage) = (bytes.bounds(), self.addresses());
        let inside = storage.start <= reached.start && reached.end <= storage.end;
        if !inside && !bytes.is_empty() {
            return Err(BorrowError::OutsideStorage { region: reached, storage });
        }
        if kind == BorrowKind::Write && !contiguous {
            check_reaches_once(kind, region)?;
        }
        Ok(bytes)
    }
}

#[cold]
fn conflict(wanted: BorrowKind, wanted_at: &'static Location<'static>, held: Held) -> BorrowError {
    let Held { kind: held, at: held_at, bytes: held_bytes } = held;
    BorrowError::Conflict { wanted, wanted_at, held, held_at, held_bytes }
}

fn check_reaches_once(wanted: BorrowKind, region: &Region<'_>) -> Result<(), BorrowError> {
    match reaches_a_byte_twice(region, DEFAULT_BUDGET) {
        Overlap::Disjoint => Ok(()),
        Overlap::Overlapping | Overlap::Unknown => Err(BorrowError::ReachesTwice { wanted }),
    }
}
