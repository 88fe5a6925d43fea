//! Who holds which bytes: many readers, or one writer, or many sharers.
//!
//! A ledger knows bytes by their address and nothing else: not the object they were reached
//! through, not its base. Two arrays that different producers made over one memory conflict; two
//! views of one array that share no byte do not:
//!
//! ```text
//!             a[0] a[1] a[2] a[3]
//! a[::2]       ##        ##           write  \ together
//! a[1::2]           ##        ##      write  /
//! a[1:3]            ##   ##           read     refused, names the holder of a[::2]
//! ```
//!
//! Private storages have one ledger each. Lent memory, of all storages, goes to one ledger of the
//! process: [`of_process`].
//!
//! # One ledger for all modules
//! Two extension modules with this crate in them have two copies of everything in it. One of them
//! owns the ledger of the process, the others adopt it through a [`LedgerTable`], a table of C
//! functions: [`SharedLedger`]. How the table gets from one module to the other is not known here.
//! A module adopts before it has live borrows of lent memory, or is told to try again later; so
//! every borrow is released where it was entered.
//!
//! # How it stays cheap
//! A borrow is one compare-and-swap on the lock, one look at each of four inline slots, and one
//! plain store to unlock. Releasing an inline slot is one plain store, without the lock. An adopted
//! ledger adds an indirect call to each. When the slots are full, borrows go to an ordered index,
//! where both cost a logarithm.
//!
//! # Limitations
//! - A guard that is leaked (`std::mem::forget`) holds its bytes for as long as the ledger lives. The
//!   process-wide one outlives the memory, so later memory at that address is then refused too.
//! - Addresses are taken to be unique, as unified addressing makes them across host and CUDA devices.
//!   One physical page mapped at two addresses (two maps of one file) is seen as two memories.
//! - Past [`DEFAULT_BUDGET`](crate::DEFAULT_BUDGET) steps of search, two regions count as overlapping.
//! - Modules that share a ledger stay in memory until the process ends: they keep each other's
//!   functions.

#[expect(unsafe_code, reason = "C functions that explain the places of their module")]
mod call_site;
mod index;
mod record;
#[expect(unsafe_code, reason = "adopts another module's table on the word of the caller")]
mod shared;
#[expect(unsafe_code, reason = "the lock hands out its content")]
mod spin;
#[expect(unsafe_code, reason = "C functions between the modules of a process")]
mod table;

use std::ops::Range;

use ndbridge_layout::{Axis, Footprint, Span};

pub use call_site::CallSite;
pub use shared::SharedLedger;
pub use table::{AdoptError, LedgerTable, TABLE_VERSION};

use index::Index;
use record::Record;
use spin::Spin;

use crate::BorrowKind;
use crate::sync::{AtomicBool, Ordering};

const SLOTS: usize = 4;

/// A register of live borrows.
///
/// [`Storage::borrow`](crate::Storage::borrow) is the way to use one; the type is public for those
/// who keep books over memory of their own.
///
/// ```
/// use std::panic::Location;
/// use ndbridge_storage::{BorrowKind, Footprint, Region, ledger::Ledger};
///
/// let every_second = |start| Footprint::of(&Region { start, item_bytes: 8, shape: &[9], strides: &[16] });
/// let ledger = Ledger::new();
/// let even = ledger.acquire(BorrowKind::Write, &every_second(0x1000)?, Location::caller()).unwrap();
/// let odd = ledger.acquire(BorrowKind::Write, &every_second(0x1008)?, Location::caller()).unwrap();
/// let held = ledger.acquire(BorrowKind::Read, &every_second(0x100c)?, Location::caller()).unwrap_err();
/// assert_eq!(held.kind, BorrowKind::Write);
/// ledger.release(odd);
/// ledger.release(even);
/// assert!(ledger.is_idle());
/// # Ok::<(), ndbridge_storage::RegionError>(())
/// ```
#[derive(Debug)]
pub struct Ledger {
    // Set under the lock; cleared without it, by the holder of the token. A cleared flag gives the
    // record of the same number to whoever holds the lock next.
    live: [AtomicBool; SLOTS],
    books: Spin<Books>,
}

#[derive(Debug)]
struct Books {
    slots: [Record; SLOTS],
    index: Index,
}

/// Right to release one borrow, once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a borrow whose token is lost is never released"]
pub struct Token(u64);

impl Token {
    /// Token of no bytes, or of bytes that nobody writes.
    pub(crate) const NOTHING: Self = Self(0);
    // 1..FIRST_ID are the slots; ids of the index follow.
    const FIRST_ID: u64 = SLOTS as u64 + 1;

    #[inline]
    fn of_slot(slot: usize) -> Self {
        Self(slot as u64 + 1)
    }

    fn of_place(id: u64) -> Self {
        Self(Self::FIRST_ID + id)
    }
}

/// The borrow that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What it is for.
    pub kind: BorrowKind,
    /// Who took it.
    pub at: CallSite,
    /// First to past-the-last address that it reaches.
    pub bytes: Range<usize>,
}

impl Ledger {
    /// A ledger without borrows.
    pub fn new() -> Self {
        let books = Books { slots: std::array::from_fn(|_| Record::none()), index: Index::new() };
        Self { live: std::array::from_fn(|_| AtomicBool::new(false)), books: Spin::new(books) }
    }

    /// Enters a borrow.
    ///
    /// # Errors
    /// A live borrow that holds some of the same bytes and is not
    /// [compatible](BorrowKind::is_compatible_with).
    #[inline]
    pub fn acquire(
        &self,
        kind: BorrowKind,
        bytes: &Footprint,
        at: impl Into<CallSite>,
    ) -> Result<Token, Held> {
        let entered = self.enter_bytes(kind, bytes.span(), bytes.axes(), at.into());
        entered.map_err(|held| *held)
    }

    #[inline]
    fn enter_bytes(
        &self,
        kind: BorrowKind,
        span: Span,
        axes: &[Axis],
        at: CallSite,
    ) -> Result<Token, Box<Held>> {
        let entered = self.acquire_if(|| true, kind, span, axes, at);
        entered.unwrap_or(Ok(Token::NOTHING))
    }

    /// As [`acquire`](Self::acquire), unless `still` is false under the lock: then `None`.
    #[inline(always)]
    pub(crate) fn acquire_if(
        &self,
        still: impl FnOnce() -> bool,
        kind: BorrowKind,
        span: Span,
        axes: &[Axis],
        at: CallSite,
    ) -> Option<Result<Token, Box<Held>>> {
        if span.is_empty() {
            return Some(Ok(Token::NOTHING));
        }
        let mut books = self.books.lock();
        if !still() {
            return None;
        }
        Some(self.enter(books.content(), kind, span, axes, at))
    }

    #[inline(always)]
    fn enter(
        &self,
        books: &mut Books,
        kind: BorrowKind,
        span: Span,
        axes: &[Axis],
        at: CallSite,
    ) -> Result<Token, Box<Held>> {
        let mut free = None;
        for (slot, (live, record)) in self.live.iter().zip(&books.slots).enumerate() {
            // Acquire: what the last holder did to these bytes is done before we get them.
            if !live.load(Ordering::Acquire) {
                free = Some(slot);
            } else if record.conflicts_with(kind, span, axes) {
                return Err(record.held());
            }
        }
        if let Some(held) = books.index.conflict(kind, span, axes) {
            return Err(held);
        }
        let Some(slot) = free else {
            return Ok(Token::of_place(books.index.insert(kind, span, axes, at)));
        };
        books.slots[slot].fill(kind, span, axes, at);
        self.live[slot].store(true, Ordering::Relaxed);
        Ok(Token::of_slot(slot))
    }

    /// Strikes out a borrow that this ledger entered.
    #[inline]
    pub fn release(&self, token: Token) {
        match token {
            Token::NOTHING => {}
            Token(id @ Token::FIRST_ID..) => {
                self.books.lock().content().index.remove(id - Token::FIRST_ID);
            }
            Token(slot) => self.live[slot as usize - 1].store(false, Ordering::Release),
        }
    }

    /// Whether no borrow lives.
    pub fn is_idle(&self) -> bool {
        self.when_idle(|| ()).is_ok()
    }

    /// Runs `change` under the lock, if no borrow lives.
    pub(crate) fn when_idle<R>(&self, change: impl FnOnce() -> R) -> Result<R, Box<Held>> {
        let mut books = self.books.lock();
        match self.any_held(books.content()) {
            Some(held) => Err(held),
            None => Ok(change()),
        }
    }

    fn any_held(&self, books: &Books) -> Option<Box<Held>> {
        let live = self.live.iter().position(|live| live.load(Ordering::Acquire));
        live.map(|slot| books.slots[slot].held()).or_else(|| books.index.any_held())
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

/// The one ledger of lent memory, as this module sees it.
#[cfg(not(loom))]
#[inline]
pub fn of_process() -> &'static SharedLedger {
    static LENT: std::sync::LazyLock<SharedLedger> = std::sync::LazyLock::new(SharedLedger::new);
    &LENT
}

/// The one ledger of lent memory, anew in every run of a model.
#[cfg(loom)]
pub fn of_process() -> &'static SharedLedger {
    loom::lazy_static! {
        static ref LENT: SharedLedger = SharedLedger::new();
    }
    &LENT
}

#[cfg(test)]
mod tests;
