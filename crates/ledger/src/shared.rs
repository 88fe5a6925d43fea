//! The ledger of lent memory of one module, until it uses that of another one.

use std::ptr::NonNull;
use std::sync::OnceLock;

use ndbridge_layout::{Axis, Footprint, Span};

use super::maps::Maps;
use super::process::ProcessLedger;
use super::table::{AdoptError, LedgerTable};
use super::{CallSite, Held, LoanGate, Mapped, Place, Refusal, Token};
use crate::sync::{AtomicPtr, Ordering, const_fn};
use crate::{BorrowKind, GateError, fork};

/// A ledger that a module keeps itself, or that it shares with the other modules of the process.
///
/// Every module that links this crate has one, [`of_process`](super::of_process). One module owns
/// the ledger of the process; each other one adopts its [`table`](Self::table), and all borrows of
/// lent memory are then entered there.
///
/// ```
/// use std::panic::Location;
/// use ndbridge_layout::{Footprint, Region};
/// use ndbridge_ledger::{BorrowKind, SharedLedger};
///
/// static OWNER: SharedLedger = SharedLedger::new();
/// static OTHER: SharedLedger = SharedLedger::new();
/// // SAFETY: the table is this crate's own, of a ledger that lives as long as the process.
/// unsafe { OTHER.adopt(OWNER.table().into())? };
///
/// let bytes = Footprint::of(&Region { start: 0x1000, item_bytes: 8, shape: &[9], strides: &[8] })?;
/// let token = OTHER.acquire(BorrowKind::Write, &bytes, Location::caller()).unwrap();
/// assert!(OWNER.acquire(BorrowKind::Read, &bytes, Location::caller()).is_err());
/// OTHER.release(token);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SharedLedger {
    pub(super) own: ProcessLedger,
    table: OnceLock<LedgerTable>,
    // What is used for good, once that is decided.
    decided: OnceLock<&'static LedgerTable>,
    // INVARIANT: set at most once, under the locks of `own` and while that is idle. So a token, and a
    // map's entry, are always of the ledger that is used now.
    adopted: AtomicPtr<LedgerTable>,
}

impl SharedLedger {
    const_fn! {
        /// A ledger without borrows.
        #[must_use]
        pub const fn new() -> Self {
            let adopted = AtomicPtr::new(std::ptr::null_mut());
            let own = ProcessLedger::new();
            Self { own, table: OnceLock::new(), decided: OnceLock::new(), adopted }
        }
    }

    /// See [`Ledger::strike_out_the_gone`].
    pub(super) fn strike_out_the_gone(&self) {
        self.own.ledger.strike_out_the_gone();
    }

    /// The functions of this module's own ledger.
    pub fn table(&'static self) -> &'static LedgerTable {
        fork::get_or_init(&self.table, || LedgerTable::of(&self.own))
    }

    /// Uses the ledger behind `table` from now on, for good. If that is this module's own, it
    /// stays what it is, and can adopt no other one any more.
    ///
    /// # Errors
    /// [`AdoptError::StillBorrowed`] while borrows live in this module's own ledger: try again
    /// later. [`AdoptError::Version`], [`AdoptError::TooShort`] and [`AdoptError::Decided`] stay.
    ///
    /// # Safety
    /// `table` is that of a ledger of this crate, in whatever release; it, and the module that it
    /// is from, stay in memory until the process ends, as this module does. No other module uses
    /// this module's own table, unless that is the one adopted.
    pub unsafe fn adopt(&'static self, table: NonNull<LedgerTable>) -> Result<(), AdoptError> {
        // SAFETY: promised by the caller.
        let table = unsafe { LedgerTable::checked(table)? };
        if std::ptr::eq(table, self.table()) {
            return self.decide(table);
        }
        let former = self.hand_over(table)?;
        // The gates of loans are let go of without the lock.
        drop(former);
        Ok(())
    }

    /// Has the ledger behind `table` used from now on; gives the maps that were entered here.
    fn hand_over(&self, table: &'static LedgerTable) -> Result<Maps, AdoptError> {
        let mut maps = self.own.maps();
        let maps = maps.content();
        table.maps().take_over(maps)?;
        let adopted = self.own.ledger.when_idle(|| {
            self.decide(table)?;
            self.adopted.store(std::ptr::from_ref(table).cast_mut(), Ordering::Release);
            Ok(())
        });
        let adopted = adopted.unwrap_or_else(|held| Err(AdoptError::still_borrowed(&held)));
        if let Err(error) = adopted {
            table.maps().give_back(maps);
            return Err(error);
        }
        Ok(fork::held_off(|| std::mem::replace(maps, Maps::new())))
    }

    fn decide(&self, table: &'static LedgerTable) -> Result<(), AdoptError> {
        let decided = *fork::get_or_init(&self.decided, || table);
        if std::ptr::eq(decided, table) { Ok(()) } else { Err(AdoptError::Decided) }
    }

    #[inline(always)]
    fn adopted(&self) -> Option<&'static LedgerTable> {
        let table = self.adopted.load(Ordering::Acquire);
        // SAFETY: null, or what `adopt` stored: a reference that never ends.
        unsafe { table.as_ref() }
    }

    /// Enters a borrow.
    ///
    /// # Errors
    /// A live borrow that holds some of the same bytes and is not
    /// [compatible](BorrowKind::is_compatible_with).
    pub fn acquire(
        &self,
        kind: BorrowKind,
        bytes: &Footprint,
        at: impl Into<CallSite>,
    ) -> Result<Token, Held> {
        let entered = self.enter_bytes(kind, bytes.span(), bytes.axes(), at.into());
        entered.map_err(|held| *held)
    }

    /// Enters a borrow that asks no gate.
    #[inline(always)]
    pub fn enter_bytes(
        &self,
        kind: BorrowKind,
        span: Span,
        axes: &[Axis],
        at: CallSite,
    ) -> Result<Token, Box<Held>> {
        match self.enter_in_own(kind, span, axes, at) {
            Some(entered) => entered,
            None => self.enter_beside_maps(kind, span, axes, at),
        }
    }

    /// Enters a borrow that asks the gates of lent maps of the same file, if the bytes are mapped.
    #[inline(always)]
    pub fn enter_asking(
        &self,
        kind: BorrowKind,
        span: Span,
        axes: &[Axis],
        at: CallSite,
    ) -> Result<Token, Box<Refusal>> {
        match self.enter_in_own(kind, span, axes, at) {
            Some(entered) => entered.map_err(|held| Box::new(Refusal::Held(*held))),
            None => self.enter_and_ask(kind, span, axes, at),
        }
    }

    /// Enters a borrow in this module's own ledger, if that is in use and nothing is mapped.
    #[inline(always)]
    fn enter_in_own(
        &self,
        kind: BorrowKind,
        span: Span,
        axes: &[Axis],
        at: CallSite,
    ) -> Option<Result<Token, Box<Held>>> {
        if self.adopted().is_some() || self.own.has_maps() {
            return None;
        }
        // Asked again under the lock: adopting waits for it, and then sees this borrow.
        self.own.ledger.acquire_if(|| self.adopted().is_none(), kind, span, axes, at)
    }

    #[inline(never)]
    fn enter_beside_maps(
        &self,
        kind: BorrowKind,
        span: Span,
        axes: &[Axis],
        at: CallSite,
    ) -> Result<Token, Box<Held>> {
        let in_own = self.own.acquire_if(|| self.adopted().is_none(), kind, span, axes, at);
        in_own.unwrap_or_else(|| match self.adopted() {
            Some(table) if !span.is_empty() => table.acquire(kind, span, axes, at),
            _ => Ok(Token::NOTHING),
        })
    }

    #[inline(never)]
    fn enter_and_ask(
        &self,
        kind: BorrowKind,
        span: Span,
        axes: &[Axis],
        at: CallSite,
    ) -> Result<Token, Box<Refusal>> {
        let entered = self.enter_beside_maps(kind, span, axes, at);
        let token = entered.map_err(|held| Refusal::Held(*held))?;
        // Now that the borrow is entered, nobody lends the bytes without a look at it.
        match self.ask_loans(kind, span) {
            Ok(()) => Ok(token),
            Err(error) => {
                self.release(token);
                Err(Box::new(Refusal::Gate(error)))
            }
        }
    }

    fn ask_loans(&self, kind: BorrowKind, span: Span) -> Result<(), GateError> {
        let mut asked = 0;
        // Numbers ascend: each loan is asked once.
        while self.has_maps()
            && let Some((number, gate)) = self.next_loan(kind, span, asked)
        {
            gate.check()?;
            asked = number;
        }
        Ok(())
    }

    /// Strikes out a borrow that this ledger entered.
    #[inline]
    pub fn release(&self, token: Token) {
        match self.adopted() {
            None => self.own.release(token),
            Some(table) if token != Token::NOTHING => table.release(token),
            Some(_) => {}
        }
    }
}

/// Maps of files.
impl SharedLedger {
    /// Enters a map; `None` if there is no room for it. Before anything is borrowed of it; the entry
    /// goes before the map does.
    pub fn map(&'static self, mapped: Mapped) -> Option<MapEntry> {
        let in_own = self.own.map_if(|| self.adopted().is_none(), mapped);
        let entered =
            in_own.unwrap_or_else(|| self.adopted().is_some_and(|table| table.maps().map(&mapped)));
        entered.then_some(MapEntry { ledger: self, start: mapped.bytes.start })
    }

    /// Whether anything is mapped. True for whoever was given mapped memory.
    #[inline]
    pub fn has_maps(&self) -> bool {
        match self.adopted() {
            None => self.own.has_maps(),
            Some(table) => table.has_maps(),
        }
    }

    /// The next loan whose gate a borrow is to ask, after the one numbered `after`.
    pub fn next_loan(&self, kind: BorrowKind, span: Span, after: u64) -> Option<(u64, LoanGate)> {
        let in_own = self.own.loan_if(|| self.adopted().is_none(), kind, span, after);
        in_own.unwrap_or_else(|| self.adopted()?.maps().next_loan(kind, span, after))
    }

    /// Where the bytes of `span` are, if they are mapped.
    pub fn locate(&self, span: Span) -> Option<Place> {
        let in_own = self.own.locate_if(|| self.adopted().is_none(), span);
        in_own.unwrap_or_else(|| self.adopted()?.maps().locate(span))
    }
}

/// A map that the ledger knows of, until this is dropped.
#[derive(Debug)]
pub struct MapEntry {
    ledger: &'static SharedLedger,
    start: usize,
}

impl MapEntry {
    /// Lets foreign code use the map, as far as it may be written, for as long as it lives: borrows
    /// that this could disturb, through other maps of the file, ask the gate. Nothing happens if it
    /// is lent.
    ///
    /// # Errors
    /// A live borrow that foreign code could disturb, and could not before.
    pub fn lend(&self, gate: &LoanGate) -> Result<(), Box<Held>> {
        let Self { ledger, start } = *self;
        let in_own = ledger.own.lend_if(|| ledger.adopted().is_none(), start, gate);
        in_own.unwrap_or_else(|| {
            ledger.adopted().map_or(Ok(()), |table| table.maps().lend(start, gate))
        })
    }
}

impl Drop for MapEntry {
    fn drop(&mut self) {
        let Self { ledger, start } = *self;
        if ledger.own.unmap_if(|| ledger.adopted().is_none(), start).is_none()
            && let Some(table) = ledger.adopted()
        {
            table.maps().unmap(start);
        }
    }
}

impl Default for SharedLedger {
    fn default() -> Self {
        Self::new()
    }
}
