//! The ledger of lent memory of one module, until it uses that of another one.

use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};

use ndbridge_layout::{Footprint, Span};

use crate::adopt_error::AdoptError;
use crate::borrow_kind::BorrowKind;
use crate::call_site::CallSite;
use crate::file_piece::{FilePiece, FilePlace};
use crate::fork;
use crate::gate::{Gate, GateError};
use crate::held::{Held, NotEntered};
use crate::loan_gate::LoanGate;
use crate::maps::Maps;
use crate::process::ProcessLedger;
use crate::sync::{AtomicPtr, Ordering, const_fn};
use crate::table::LedgerTable;
use crate::token::Token;
use crate::wanted::Wanted;

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
    pub(crate) own: ProcessLedger,
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

    /// Enters a borrow that asks no gate.
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
        let wanted = Wanted::new(kind, bytes, at);
        self.enter_beside_maps(&wanted).map_err(|held| *held)
    }

    /// Enters a borrow.
    ///
    /// # Errors
    /// [`NotEntered::Held`] as [`acquire`](Self::acquire), [`NotEntered::Gate`] if gates are asked and
    /// one is closed.
    #[inline(always)]
    pub fn enter(&self, wanted: &Wanted<'_>, gates: Gates) -> Result<Token, Box<NotEntered>> {
        // What is common: this module's own ledger is in use, and nothing is mapped.
        if self.adopted().is_none() && !self.own.has_maps() {
            // Asked again under the lock: adopting waits for it, and then sees this borrow.
            let in_own = self.own.ledger.enter_if(wanted, || self.adopted().is_none());
            if let Some(entered) = in_own {
                return entered.map_err(|held| NotEntered::held(*held));
            }
        }
        self.enter_slowly(*wanted, gates)
    }

    #[inline(never)]
    fn enter_slowly(&self, wanted: Wanted<'_>, gates: Gates) -> Result<Token, Box<NotEntered>> {
        let token = self.enter_beside_maps(&wanted).map_err(|held| NotEntered::held(*held))?;
        if gates == Gates::Pass {
            return Ok(token);
        }
        // Now that the borrow is entered, nobody lends the bytes without a look at it.
        match self.ask_loans(wanted.kind, wanted.bytes) {
            Ok(()) => Ok(token),
            Err(error) => {
                self.release(token);
                Err(Box::new(NotEntered::Gate(error)))
            }
        }
    }

    fn enter_beside_maps(&self, wanted: &Wanted<'_>) -> Result<Token, Box<Held>> {
        let in_own = self.own.enter_if(wanted, || self.adopted().is_none());
        in_own.unwrap_or_else(|| match self.adopted() {
            Some(table) if !wanted.bytes.is_empty() => table.enter(wanted),
            _ => Ok(Token::NOTHING),
        })
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

/// Whether a borrow asks the gates of other maps of its file that are lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gates {
    /// It does, if foreign code could disturb it through them.
    Ask,
    /// It does not: the caller knows that foreign code waits for it.
    Pass,
}

/// Maps of files.
impl SharedLedger {
    /// Enters a map; `None` if there is no room for it, or its addresses are none or another map's. Before anything is borrowed of it; the entry
    /// is to be dropped before the bytes are unmapped.
    ///
    /// ```
    /// use std::panic::Location;
    /// use ndbridge_layout::{Footprint, Region, Span};
    /// use ndbridge_ledger::{BorrowKind, FileId, FilePiece, MapMode, SharedLedger};
    ///
    /// static LEDGER: SharedLedger = SharedLedger::new();
    /// let file = FileId { volume: 1, index: 77 };
    /// let piece = |start, offset| {
    ///     FilePiece::new(file, offset, Span { start, end: start + 100 }, MapMode::ReadWrite)
    /// };
    /// // Bytes 0..100 and 60..160 of one file, mapped at two addresses.
    /// let maps = [piece(0x1000, 0), piece(0x9000, 60)].map(|piece| LEDGER.map(piece).unwrap());
    /// let take = |kind, start| {
    ///     let region = Region { start, item_bytes: 1, shape: &[10], strides: &[1] };
    ///     LEDGER.acquire(kind, &Footprint::of(&region).unwrap(), Location::caller())
    /// };
    /// let token = take(BorrowKind::Write, 0x9000).unwrap(); // bytes 60..70 of the file
    /// assert!(take(BorrowKind::Read, 0x1000 + 50).is_ok());
    /// assert_eq!(take(BorrowKind::Read, 0x1000 + 69).unwrap_err().bytes, 60..70);
    /// LEDGER.release(token);
    /// drop(maps);
    /// ```
    #[must_use]
    pub fn map(&'static self, mapped: FilePiece) -> Option<MapEntry> {
        let in_own = self.own.map_if(|| self.adopted().is_none(), mapped);
        let entered =
            in_own.unwrap_or_else(|| self.adopted().is_some_and(|table| table.maps().map(&mapped)));
        // Not `then_some`: an entry that is dropped strikes out what is there.
        entered.then(|| MapEntry { ledger: self, start: mapped.bytes.start })
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
    fn next_loan(&self, kind: BorrowKind, span: Span, after: u64) -> Option<(u64, LoanGate)> {
        let in_own = self.own.loan_if(|| self.adopted().is_none(), kind, span, after);
        in_own.unwrap_or_else(|| self.adopted()?.maps().next_loan(kind, span, after))
    }

    /// Where the bytes of `span` are, if they are mapped.
    pub fn locate(&self, span: Span) -> Option<FilePlace> {
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
    pub fn lend(&self, gate: Arc<dyn Gate>) -> Result<(), Box<Held>> {
        let Self { ledger, start } = *self;
        let gate = &LoanGate::new(gate);
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
