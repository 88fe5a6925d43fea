#![doc = include_str!("../README.md")]
//!
//! # Rules
//! A ledger knows bytes by where they are and nothing else: not the object they were reached
//! through, not its base. That is their address, or the file and the position in it (`maps.rs`). Two
//! arrays that different producers made over one memory conflict; two views of one array that share no
//! byte do not:
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
//! # Maps of one file
//! Each map has addresses of its own, and all of a file are one memory. Every module therefore tells
//! the ledger of the process what it maps, and borrows of mapped bytes are entered under the file,
//! whatever they were reached through: a tensor, a NumPy array over the map, a function's argument.
//!
//! A map that foreign code may use is a lasting loan of bytes of the file. Borrows through other maps
//! that foreign code could disturb ask its gate, whatever module it is of.
//!
//! # One ledger for all modules
//! Two extension modules with this crate in them have two copies of everything in it. One of them
//! owns the ledger of the process, the others adopt it through a [`LedgerTable`], a table of C
//! functions: [`SharedLedger`]. How the table gets from one module to the other is not known here.
//! A module adopts before it has live borrows of lent memory, or is told to try again later; so
//! every borrow is released where it was entered.
//!
//! # Forks
//! A record bears the mark of the thread that took it. In a child, those of threads that it does not
//! have stand in nobody's way any more, and those of the thread that forked stay. So a guard that was
//! moved to another thread before the fork, or into an object, does not protect its bytes in a
//! child that lacks the thread which took it; releasing it there does nothing.
//!
//! # How it stays cheap
//! A borrow is one compare-and-swap on the lock, one look at each of four inline slots, and one
//! plain store to unlock. Releasing an inline slot is one plain store, without the lock. An adopted
//! ledger adds an indirect call to each. When the slots are full, borrows go to an ordered index,
//! where both cost a logarithm. Where only a search can tell whether bytes are shared, it runs
//! without the lock.
//!
//! # Limitations
//! - A guard that is leaked (`std::mem::forget`) holds its bytes for as long as the ledger lives. The
//!   process-wide one outlives the memory, so later memory at that address is then refused too.
//! - Addresses are taken to be unique, as unified addressing makes them across host and CUDA devices.
//!   A page that others map at two addresses (`np.memmap`) is seen as two memories.
//! - Past [`DEFAULT_BUDGET`](ndbridge_layout::DEFAULT_BUDGET) steps of search, two regions count as overlapping.
//! - Modules that share a ledger stay in memory until the process ends: they keep each other's
//!   functions.

mod borrow_kind;
#[expect(unsafe_code, reason = "C functions that explain the places of their module")]
mod call_site;
pub mod fork;
pub mod gate;
mod index;
#[expect(unsafe_code, reason = "C functions that ask the gates of other modules")]
mod loan_gate;
mod map_mode;
#[expect(unsafe_code, reason = "C functions between the modules of a process")]
mod map_table;
mod maps;
mod mark;
mod process;
mod record;
mod search;
#[expect(unsafe_code, reason = "adopts another module's table on the word of the caller")]
mod shared;
#[expect(unsafe_code, reason = "the lock hands out its content")]
mod spin;
#[cfg_attr(not(loom), expect(unsafe_code, reason = "has the interface of loom's cell"))]
#[doc(hidden)]
pub mod sync;
#[expect(unsafe_code, reason = "C functions between the modules of a process")]
mod table;

use std::ops::Range;

use ndbridge_layout::{Axis, Footprint, Span};

pub use borrow_kind::BorrowKind;
pub use call_site::CallSite;
pub use gate::{Gate, GateError};
#[doc(hidden)]
pub use loan_gate::LoanGate;
pub use map_mode::MapMode;
#[doc(hidden)]
pub use maps::{Mapped, Place, Space};
#[doc(hidden)]
pub use shared::MapEntry;
pub use shared::SharedLedger;
pub use table::{AdoptError, LedgerTable, TABLE_VERSION};

use index::Index;
use record::Record;
use search::Search;
use spin::{Locked, Spin};

use crate::sync::{AtomicU64, Ordering, const_fn};

const SLOTS: usize = 4;

/// A register of live borrows.
///
/// For those who keep books over memory of their own.
///
/// ```
/// use std::panic::Location;
/// use ndbridge_layout::{Footprint, Region};
/// use ndbridge_ledger::{BorrowKind, Ledger};
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
/// # Ok::<(), ndbridge_layout::RegionError>(())
/// ```
#[derive(Debug)]
pub struct Ledger {
    // The mark of the thread that took the slot; 0 while it is free. Set under the lock; cleared
    // without it, by the holder of the token. A cleared slot gives the record of the same number to
    // whoever holds the lock next.
    live: [AtomicU64; SLOTS],
    books: Spin<Books>,
}

#[derive(Debug)]
struct Books {
    // INVARIANT: no record here has more than `Footprint::INLINE_AXES` axes, so none has memory of its own. A
    // child may find one half written, of a slot that is free.
    slots: [Record; SLOTS],
    index: Index,
}

/// Right to release one borrow, once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a borrow whose token is lost is never released"]
pub struct Token(u64);

impl Token {
    /// Token of no bytes, or of bytes that nobody writes.
    pub const NOTHING: Self = Self(0);
    // The low bits: 1 to SLOTS are the slots, whose mark is above them; then the index, and pairs of
    // borrows, whose place is.
    const BITS: u32 = 3;
    const OF_INDEX: u64 = SLOTS as u64 + 1;
    const OF_PAIR: u64 = SLOTS as u64 + 2;

    /// The mark makes it nobody else's: a child may give the slot of a thread that is gone to another
    /// one.
    #[inline]
    fn of_slot(slot: usize, mark: u64) -> Self {
        Self(mark << Self::BITS | (slot as u64 + 1))
    }

    fn of_place(id: u64) -> Self {
        Self(id << Self::BITS | Self::OF_INDEX)
    }

    fn of_pair(id: u64) -> Self {
        Self(id << Self::BITS | Self::OF_PAIR)
    }

    #[inline]
    fn low(&self) -> u64 {
        self.0 & ((1 << Self::BITS) - 1)
    }

    #[inline]
    fn is_of_slot(&self) -> bool {
        (1..Self::OF_INDEX).contains(&self.low())
    }

    fn pair(&self) -> Option<u64> {
        (self.low() == Self::OF_PAIR).then_some(self.0 >> Self::BITS)
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
    /// Whether `bytes` are counted from the start of a mapped file, instead of addresses: the borrow
    /// may be through another map of the file.
    pub in_file: bool,
}

/// Why a borrow is not entered.
#[derive(Debug)]
#[doc(hidden)]
pub enum Refusal {
    Held(Held),
    /// The bytes are lent through another map of their file, whose gate is closed.
    Gate(GateError),
}

impl Ledger {
    const_fn! {
        /// A ledger without borrows.
        pub const fn new() -> Self {
            let books = Books { slots: [const { Record::none() }; SLOTS], index: Index::new() };
            let live = [AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)];
            Self { live, books: Spin::new(books) }
        }
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
        let entered = self.acquire_if(|| true, kind, bytes.span(), bytes.axes(), at.into());
        entered.unwrap_or(Ok(Token::NOTHING)).map_err(|held| *held)
    }

    /// As [`acquire`](Self::acquire), unless `still` is false under the lock: then `None`.
    #[inline(always)]
    #[doc(hidden)]
    pub fn acquire_if(
        &self,
        still: impl Fn() -> bool + Copy,
        kind: BorrowKind,
        span: Span,
        axes: &[Axis],
        at: CallSite,
    ) -> Option<Result<Token, Box<Held>>> {
        if span.is_empty() {
            return Some(Ok(Token::NOTHING));
        }
        let mark = mark::of_thread();
        let mut books = self.books.lock(mark);
        if !still() {
            return None;
        }
        match self.free_slot(books.content(), kind, span) {
            Some(slot) if axes.len() <= Footprint::INLINE_AXES => {
                Some(Ok(self.fill_slot(books.content(), slot, mark, kind, span, axes, at)))
            }
            _ => self.acquire_slowly(books, still, mark, kind, span, axes, at),
        }
    }

    /// A slot for a borrow that nothing can be in the way of; `None` if that takes a closer look.
    #[inline(always)]
    fn free_slot(&self, books: &Books, kind: BorrowKind, span: Span) -> Option<usize> {
        let mut free = None;
        for (slot, (live, record)) in self.live.iter().zip(&books.slots).enumerate() {
            // Acquire: what the last holder did to these bytes is done before we get them.
            if live.load(Ordering::Acquire) == 0 {
                free = Some(slot);
            } else if record.is_near(kind, span) {
                return None;
            }
        }
        free.filter(|_| books.index.is_empty())
    }

    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "what a record is made of")]
    fn fill_slot(
        &self,
        books: &mut Books,
        slot: usize,
        mark: u64,
        kind: BorrowKind,
        span: Span,
        axes: &[Axis],
        at: CallSite,
    ) -> Token {
        books.slots[slot].fill(kind, span, axes, at);
        self.live[slot].store(mark, Ordering::Relaxed);
        Token::of_slot(slot, mark)
    }

    #[cold]
    #[expect(clippy::too_many_arguments, reason = "what a record is made of")]
    fn acquire_slowly<'l>(
        &'l self,
        mut books: Locked<'l, Books>,
        still: impl Fn() -> bool,
        mark: u64,
        kind: BorrowKind,
        span: Span,
        axes: &[Axis],
        at: CallSite,
    ) -> Option<Result<Token, Box<Held>>> {
        let mut search = Search::new(kind, span, axes);
        loop {
            let free = match self.look(books.content(), &mut search) {
                Ok(free) => free.filter(|_| axes.len() <= Footprint::INLINE_AXES),
                Err(held) => return Some(Err(held)),
            };
            if search.is_over() {
                let content = books.content();
                let entered = match free {
                    Some(slot) => Some(self.fill_slot(content, slot, mark, kind, span, axes, at)),
                    None => fork::try_held_off(|| {
                        Token::of_place(content.index.insert(mark, kind, span, axes, at))
                    }),
                };
                if let Some(token) = entered {
                    return Some(Ok(token));
                }
            }
            drop(books);
            if search.is_over() {
                // Somebody is about to fork, and may wait for whoever waits for this lock.
                fork::held_off(|| ());
            }
            if let Err(held) = search.run() {
                return Some(Err(held));
            }
            books = self.books.lock(mark);
            if !still() {
                return None;
            }
        }
    }

    /// Asks about all records; gives a slot that is free.
    #[inline(always)]
    fn look(&self, books: &Books, search: &mut Search<'_>) -> Result<Option<usize>, Box<Held>> {
        let mut free = None;
        for (slot, (live, record)) in self.live.iter().zip(&books.slots).enumerate() {
            match live.load(Ordering::Acquire) {
                0 => free = Some(slot),
                mark => search.ask(record, mark)?,
            }
        }
        books.index.ask(search)?;
        Ok(free)
    }

    /// A borrow in the way of one of all of `span`, which is not entered.
    fn held_by(&self, kind: BorrowKind, span: Span) -> Option<Box<Held>> {
        let mut search = Search::new(kind, span, &[]);
        loop {
            let mut books = self.books.lock(mark::of_thread());
            if let Err(held) = self.look(books.content(), &mut search) {
                return Some(held);
            }
            drop(books);
            if search.is_over() {
                return None;
            }
            if let Err(held) = search.run() {
                return Some(held);
            }
        }
    }

    /// Strikes out a borrow that this ledger entered.
    #[inline]
    pub fn release(&self, token: Token) {
        let above = token.0 >> Token::BITS;
        match token.low() {
            0 => {}
            slot @ 1..Token::OF_INDEX => {
                let live = &self.live[slot as usize - 1];
                if live.load(Ordering::Relaxed) == above {
                    live.store(0, Ordering::Release);
                }
            }
            _ => self.release_place(above),
        }
    }

    #[cold]
    fn release_place(&self, id: u64) {
        let mark = mark::of_thread();
        fork::held_off(|| self.books.lock(mark).content().index.remove(id));
    }

    /// Whether no borrow lives.
    pub fn is_idle(&self) -> bool {
        self.when_idle(|| ()).is_ok()
    }

    /// Runs `change` under the lock, with forks held off, if no borrow lives.
    #[doc(hidden)]
    pub fn when_idle<R>(&self, change: impl FnOnce() -> R) -> Result<R, Box<Held>> {
        let mark = mark::of_thread();
        fork::held_off(|| {
            let mut books = self.books.lock(mark);
            match self.any_held(books.content()) {
                Some(held) => Err(held),
                None => Ok(change()),
            }
        })
    }

    fn any_held(&self, books: &Books) -> Option<Box<Held>> {
        let is_held = |live: &AtomicU64| {
            let mark = live.load(Ordering::Acquire);
            mark != 0 && mark::is_here(mark)
        };
        let live = self.live.iter().position(is_held);
        live.map(|slot| books.slots[slot].held()).or_else(|| books.index.any_held())
    }

    /// Makes room in a child, before that has a second thread. Whoever releases a borrow of a thread
    /// that is gone nevertheless finds it struck out.
    fn strike_out_the_gone(&self) {
        let mut books = self.books.lock(mark::of_thread());
        for live in &self.live {
            if !mark::is_here(live.load(Ordering::Relaxed)) {
                live.store(0, Ordering::Relaxed);
            }
        }
        books.content().index.remove_the_gone();
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
    static LENT: SharedLedger = SharedLedger::new();
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

#[cfg(all(test, not(loom)))]
#[expect(unsafe_code, reason = "takes its own tables for those of another module")]
mod map_tests;
#[cfg(test)]
mod tests;
