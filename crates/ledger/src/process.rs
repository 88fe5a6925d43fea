//! A ledger that knows mapped files.

use ndbridge_layout::{Axis, Span};

use super::maps::{Lending, Maps, in_file};
use super::spin::{Locked, Spin};
use super::{CallSite, Held, Ledger, LoanGate, Mapped, Place, Token, mark};
use crate::sync::{AtomicU64, Ordering, const_fn};
use crate::{BorrowKind, fork};

/// Borrows, by address or by position in a file.
#[derive(Debug)]
pub(super) struct ProcessLedger {
    pub(super) ledger: Ledger,
    // Taken before the lock of `ledger`, if both are, and not by who holds forks off: the content is
    // changed while forks are held off.
    maps: Spin<Maps>,
    /// Number of maps: without any, borrows do not ask where they are.
    count: AtomicU64,
}

impl ProcessLedger {
    const_fn! {
        pub(super) const fn new() -> Self {
            let maps = Spin::new(Maps::new());
            Self { ledger: Ledger::new(), maps, count: AtomicU64::new(0) }
        }
    }

    pub(super) fn count(&self) -> &AtomicU64 {
        &self.count
    }

    pub(super) fn maps(&self) -> Locked<'_, Maps> {
        self.maps.lock(mark::of_thread())
    }

    /// Whether anything is mapped. True for whoever was given mapped memory.
    #[inline]
    pub(super) fn has_maps(&self) -> bool {
        self.count.load(Ordering::Relaxed) != 0
    }

    /// As [`Ledger::acquire_if`].
    pub(super) fn acquire_if(
        &self,
        still: impl Fn() -> bool + Copy,
        kind: BorrowKind,
        span: Span,
        axes: &[Axis],
        at: CallSite,
    ) -> Option<Result<Token, Box<Held>>> {
        let enter = |kind, span| self.ledger.acquire_if(still, kind, span, axes, at);
        let place = match self.has_maps().then(|| self.maps().content().place_of(span)) {
            Some(Ok(Some(place))) => place,
            Some(Ok(None)) | None => return enter(kind, span),
            Some(Err(held)) => return Some(Err(held)),
        };
        let entered = if place.is_copy() {
            match enter(kind, span)? {
                Ok(own) => self.paired(own, enter(BorrowKind::Read, place.positions(span))?),
                refused => refused,
            }
        } else {
            enter(kind, place.positions(span))?
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
    pub(super) fn release(&self, token: Token) {
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
    pub(super) fn map_if(&self, still: impl Fn() -> bool, mapped: Mapped) -> Option<bool> {
        self.change_if(still, |maps| maps.insert(mapped))
    }

    /// Strikes out the map that begins at `start`.
    pub(super) fn unmap_if(&self, still: impl Fn() -> bool, start: usize) -> Option<()> {
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
    pub(super) fn lend_if(
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
    pub(super) fn loan_if(
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
    pub(super) fn locate_if(&self, still: impl Fn() -> bool, span: Span) -> Option<Option<Place>> {
        let mut maps = self.maps();
        still().then(|| maps.content().place_of(span).ok().flatten())
    }
}
