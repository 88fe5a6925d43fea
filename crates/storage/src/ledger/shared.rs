//! The ledger of lent memory of one module, until it uses that of another one.

use std::ptr::NonNull;
use std::sync::OnceLock;

use ndbridge_layout::{Axis, Footprint, Span};

use super::table::{AdoptError, LedgerTable};
use super::{CallSite, Held, Ledger, Token};
use crate::sync::{AtomicPtr, Ordering, const_fn};
use crate::{BorrowKind, fork};

/// A ledger that a module keeps itself, or that it shares with the other modules of the process.
///
/// Every module that links this crate has one, [`of_process`](super::of_process). One module owns
/// the ledger of the process; each other one adopts its [`table`](Self::table), and all borrows of
/// lent memory are then entered there.
///
/// ```
/// use std::panic::Location;
/// use ndbridge_storage::{BorrowKind, Footprint, Region, ledger::SharedLedger};
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
    own: Ledger,
    table: OnceLock<LedgerTable>,
    // What is used for good, once that is decided.
    decided: OnceLock<&'static LedgerTable>,
    // INVARIANT: set at most once, under the lock of `own` and while that is idle. So a token is
    // always of the ledger that is used now.
    adopted: AtomicPtr<LedgerTable>,
}

impl SharedLedger {
    const_fn! {
        /// A ledger without borrows.
        #[must_use]
        pub const fn new() -> Self {
            let adopted = AtomicPtr::new(std::ptr::null_mut());
            Self { own: Ledger::new(), table: OnceLock::new(), decided: OnceLock::new(), adopted }
        }
    }

    /// See [`Ledger::strike_out_the_gone`].
    pub(super) fn strike_out_the_gone(&self) {
        self.own.strike_out_the_gone();
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
        let adopted = self.own.when_idle(|| {
            self.decide(table)?;
            self.adopted.store(std::ptr::from_ref(table).cast_mut(), Ordering::Release);
            Ok(())
        });
        adopted.unwrap_or_else(|held| {
            Err(AdoptError::StillBorrowed { held: held.kind, held_at: held.at })
        })
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

    #[inline(always)]
    pub(crate) fn enter_bytes(
        &self,
        kind: BorrowKind,
        span: Span,
        axes: &[Axis],
        at: CallSite,
    ) -> Result<Token, Box<Held>> {
        if self.adopted().is_none() {
            // Asked again under the lock: adopting waits for it, and then sees this borrow.
            let still_own = || self.adopted().is_none();
            if let Some(entered) = self.own.acquire_if(still_own, kind, span, axes, at) {
                return entered;
            }
        }
        self.enter_adopted(kind, span, axes, at)
    }

    #[inline(never)]
    fn enter_adopted(
        &self,
        kind: BorrowKind,
        span: Span,
        axes: &[Axis],
        at: CallSite,
    ) -> Result<Token, Box<Held>> {
        match self.adopted() {
            Some(table) if !span.is_empty() => table.acquire(kind, span, axes, at),
            _ => Ok(Token::NOTHING),
        }
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

impl Default for SharedLedger {
    fn default() -> Self {
        Self::new()
    }
}
