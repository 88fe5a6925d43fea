//! A register of live borrows.

use ndbridge_layout::{Footprint, Span};

use crate::borrow_kind::BorrowKind;
use crate::call_site::CallSite;
use crate::fork;
use crate::held::Held;
use crate::index::Index;
use crate::mark;
use crate::record::Record;
use crate::search::Search;
use crate::spin::{Locked, Spin};
use crate::sync::{AtomicU64, Ordering, const_fn};
use crate::token::{SLOTS, Token};
use crate::wanted::Wanted;

/// A register of live borrows, for memory that this module alone reaches.
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
    /// The process that records of threads it lacks were last struck out in, as [`fork::generation`].
    cleared_in: u64,
}

impl Ledger {
    const_fn! {
        /// A ledger without borrows.
        pub const fn new() -> Self {
            let slots = [const { Record::none() }; SLOTS];
            let books = Books { slots, index: Index::new(), cleared_in: 0 };
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
        let entered = self.enter_if(&Wanted::new(kind, bytes, at), || true);
        entered.unwrap_or(Ok(Token::NOTHING)).map_err(|held| *held)
    }

    /// Enters a borrow, unless `still` is false under the lock: then `None`.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    #[inline(always)]
    pub fn enter_if(
        &self,
        wanted: &Wanted<'_>,
        still: impl Fn() -> bool,
    ) -> Option<Result<Token, Box<Held>>> {
        if wanted.bytes.is_empty() {
            return Some(Ok(Token::NOTHING));
        }
        let mark = mark::of_thread();
        let mut books = self.books.lock(mark);
        if !still() {
            return None;
        }
        match self.free_slot(books.content(), wanted.kind, wanted.bytes) {
            Some(slot) if wanted.axes.len() <= Footprint::INLINE_AXES => {
                Some(Ok(self.fill_slot(books.content(), slot, mark, wanted)))
            }
            _ => self.enter_slowly(books, mark, *wanted, still),
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
    fn fill_slot(&self, books: &mut Books, slot: usize, mark: u64, wanted: &Wanted<'_>) -> Token {
        books.slots[slot].fill(wanted);
        self.live[slot].store(mark, Ordering::Relaxed);
        Token::of_slot(slot, mark)
    }

    // By value: what is passed by reference has a place in memory, and is read from there where it is
    // common, too.
    #[cold]
    #[inline(never)]
    fn enter_slowly<'l>(
        &'l self,
        books: Locked<'l, Books>,
        mark: u64,
        wanted: Wanted<'_>,
        still: impl Fn() -> bool,
    ) -> Option<Result<Token, Box<Held>>> {
        self.search(books, mark, &wanted, &still)
    }

    fn search<'l>(
        &'l self,
        mut books: Locked<'l, Books>,
        mark: u64,
        wanted: &Wanted<'_>,
        still: &dyn Fn() -> bool,
    ) -> Option<Result<Token, Box<Held>>> {
        let mut search = Search::new(wanted);
        loop {
            self.strike_out_the_gone(books.content());
            let free = match self.look(books.content(), &mut search) {
                Ok(free) => free.filter(|_| wanted.axes.len() <= Footprint::INLINE_AXES),
                Err(held) => return Some(Err(held)),
            };
            if search.is_over() {
                let content = books.content();
                let entered = match free {
                    Some(slot) => Some(self.fill_slot(content, slot, mark, wanted)),
                    None => {
                        fork::try_held_off(|| Token::of_index(content.index.insert(mark, wanted)))
                    }
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
    pub(crate) fn held_by(&self, kind: BorrowKind, span: Span) -> Option<Box<Held>> {
        let wanted = Wanted::contiguous(kind, span, CallSite::named(c"a loan"));
        let mut search = Search::new(&wanted);
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
        let mark = token.high();
        match token.low() {
            0 => {}
            slot @ 1..Token::OF_INDEX => {
                let live = &self.live[slot as usize - 1];
                // The slot of a thread that is gone may be given to another one, under the lock: it is
                // struck out there.
                if live.load(Ordering::Relaxed) == mark && mark::is_here(mark) {
                    live.store(0, Ordering::Release);
                }
            }
            _ => self.release_of_index(token.high()),
        }
    }

    #[cold]
    fn release_of_index(&self, id: u64) {
        let mark = mark::of_thread();
        fork::held_off(|| self.books.lock(mark).content().index.remove(id));
    }

    /// Whether no borrow lives.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.when_idle(|| ()).is_ok()
    }

    /// Runs `change` under the lock, with forks held off, if no borrow lives.
    ///
    /// # Errors
    /// One of those that live.
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

    /// Makes room in a child, once in each, unless somebody is about to fork: then at another time.
    fn strike_out_the_gone(&self, books: &mut Books) {
        let generation = fork::generation();
        if books.cleared_in == generation {
            return;
        }
        fork::try_held_off(|| {
            // Nobody else changes these: releasing does so for threads that are here.
            let gone = self.live.iter().filter(|live| !mark::is_here(live.load(Ordering::Relaxed)));
            gone.for_each(|live| live.store(0, Ordering::Relaxed));
            books.index.remove_the_gone();
            books.cleared_in = generation;
        });
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}
