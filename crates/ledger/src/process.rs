//! A ledger that knows mapped files.

use ndbridge_layout::Span;

use crate::borrow_kind::BorrowKind;
use crate::file_piece::{FilePiece, FilePlace};
use crate::fork;
use crate::held::Held;
use crate::ledger::Ledger;
use crate::loan_gate::LoanGate;
use crate::maps::{Lending, Maps, in_file};
use crate::mark;
use crate::spin::{Locked, Spin};
use crate::sync::{AtomicU64, Ordering, const_fn};
use crate::token::Token;
use crate::wanted::Wanted;

/// Borrows, by address or by position in a file.
#[derive(Debug)]
pub(crate) struct ProcessLedger {
    pub(crate) ledger: Ledger,
    // Taken before the lock of `ledger`, if both are, and not by who holds forks off: the content is
    // changed while forks are held off.
    maps: Spin<Maps>,
    /// Number of maps: without any, borrows do not ask where they are.
    count: AtomicU64,
}

impl ProcessLedger {
    const_fn! {
        pub(crate) const fn new() -> Self {
            let maps = Spin::new(Maps::new());
            Self { ledger: Ledger::new(), maps, count: AtomicU64::new(0) }
        }
    }

    pub(crate) fn count(&self) -> &AtomicU64 {
        &self.count
    }

    pub(crate) fn maps(&self) -> Locked<'_, Maps> {
        self.maps.lock(mark::of_thread())
    }

    /// Whether anything is mapped. True for whoever was given mapped memory.
    #[inline]
    pub(crate) fn has_maps(&self) -> bool {
        self.count.load(Ordering::Relaxed) != 0
    }

    /// As [`Ledger::enter_if`].
    pub(crate) fn enter_if(
        &self,
        wanted: &Wanted<'_>,
        still: impl Fn() -> bool + Copy,
    ) -> Option<Result<Token, Box<Held>>> {
        let place = match self.has_maps().then(|| self.maps().content().place_of(wanted.bytes)) {
            Some(Ok(Some(place))) => place,
            Some(Ok(None)) | None => return self.ledger.enter_if(wanted, still),
            Some(Err(held)) => return Some(Err(held)),
        };
        let kind = place.kind_for_the_file(wanted.kind);
        let in_the_file = Wanted { kind, bytes: place.positions(wanted.bytes), ..*wanted };
        let enter = |wanted| self.ledger.enter_if(wanted, still);
        let entered = if place.is_copy() {
            match enter(wanted)? {
                Ok(own) => self.paired(own, enter(&in_the_file)?),
                refused => refused,
            }
        } else {
            enter(&in_the_file)?
        };
        Some(entered.map_err(|held| Box::new(in_file(*held))))
    }

    /// The token of two borrows, of which the first one is entered; both are, or none.
    fn paired(&self, own: Token, of_file: Result<Token, Box<Held>>) -> Result<Token, Box<Held>> {
        match of_file {
            Ok(of_file) => {
                let mut maps = self.maps();
                let id = fork::held_off(|| maps.content().pairs().insert([own, of_file]));
                Ok(Token::of_pair(id))
            }
            Err(held) => {
                self.ledger.release(own);
                Err(held)
            }
        }
    }

    #[inline]
    pub(crate) fn release(&self, token: Token) {
        if token.is_of_slot() {
            return self.ledger.release(token);
        }
        self.release_slowly(token);
    }

    #[cold]
    fn release_slowly(&self, token: Token) {
        let Some(id) = token.pair() else { return self.ledger.release(token) };
        let mut maps = self.maps();
        let pair = fork::held_off(|| maps.content().pairs().remove(id));
        drop(maps);
        pair.into_iter().flatten().for_each(|token| self.ledger.release(token));
    }
}

/// Maps. Each does nothing if `still` is false under the lock of the maps: `None` then.
impl ProcessLedger {
    /// Enters a map; false if there is no room for it.
    pub(crate) fn map_if(&self, still: impl Fn() -> bool, mapped: FilePiece) -> Option<bool> {
        self.change_if(still, |maps| maps.insert(mapped))
    }

    /// Strikes out the map that begins at `start`.
    pub(crate) fn unmap_if(&self, still: impl Fn() -> bool, start: usize) -> Option<()> {
        // The loan's gate is let go of without the lock.
        self.change_if(still, |maps| maps.remove(start)).map(drop)
    }

    fn change_if<R>(
        &self,
        still: impl Fn() -> bool,
        change: impl FnOnce(&mut Maps) -> R,
    ) -> Option<R> {
        let mut maps = self.maps();
        if !still() {
            return None;
        }
        let maps = maps.content();
        let changed = fork::held_off(|| change(maps));
        self.count.store(maps.len() as u64, Ordering::Relaxed);
        Some(changed)
    }

    /// Lends the map that begins at `start`, if it is not lent.
    ///
    /// # Errors
    /// A borrow of the bytes that foreign code could disturb. It may have asked no gate.
    pub(crate) fn lend_if(
        &self,
        still: impl Fn() -> bool,
        start: usize,
        gate: &LoanGate,
    ) -> Option<Result<(), Box<Held>>> {
        // First: a borrow that is entered now asks the gate, one that was is found below.
        let lending = self.change_if(still, |maps| maps.lend(start, gate))?;
        let Some(lending) = lending else { return Some(Ok(())) };
        let mut wanted = lending.wanted.iter().flatten();
        let held = wanted.find_map(|&(kind, span)| self.ledger.held_by(kind, span));
        Some(held.map_or(Ok(()), |held| {
            self.take_back(start, &lending);
            Err(Box::new(in_file(*held)))
        }))
    }

    fn take_back(&self, start: usize, lending: &Lending) {
        drop(self.change_if(|| true, |maps| maps.take_back(start, lending)));
    }

    /// The number and gate of the next loan that a borrow is to ask, after the one numbered `after`.
    pub(crate) fn loan_if(
        &self,
        still: impl Fn() -> bool,
        kind: BorrowKind,
        span: Span,
        after: u64,
    ) -> Option<Option<(u64, LoanGate)>> {
        let mut maps = self.maps();
        let loan = still().then(|| maps.content().loan_over(kind, span, after))?;
        Some(loan.map(|loan| (loan.number(), loan.gate())))
    }

    /// Where the bytes of `span` are, if they are mapped.
    pub(crate) fn locate_if(
        &self,
        still: impl Fn() -> bool,
        span: Span,
    ) -> Option<Option<FilePlace>> {
        let mut maps = self.maps();
        still().then(|| maps.content().place_of(span).ok().flatten())
    }
}
