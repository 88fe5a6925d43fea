//! The right to release a borrow.

/// Inline slots of a ledger.
pub(crate) const SLOTS: usize = 4;

/// Right to release one borrow, once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a borrow whose token is lost is never released"]
pub struct Token(pub(crate) u64);

impl Token {
    /// Token of no bytes, or of bytes that nobody writes: there is nothing to release.
    pub const NOTHING: Self = Self(0);
    // The low bits: 1 to SLOTS are the slots, whose mark is above them; then the index, and pairs of
    // borrows, whose number is.
    const BITS: u32 = 3;
    pub(crate) const OF_INDEX: u64 = SLOTS as u64 + 1;
    const OF_PAIR: u64 = SLOTS as u64 + 2;

    /// The mark makes it nobody else's: a child may give the slot of a thread that is gone to another
    /// one.
    #[inline]
    pub(crate) fn of_slot(slot: usize, mark: u64) -> Self {
        Self(mark << Self::BITS | (slot as u64 + 1))
    }

    pub(crate) fn of_index(id: u64) -> Self {
        Self(id << Self::BITS | Self::OF_INDEX)
    }

    pub(crate) fn of_pair(id: u64) -> Self {
        Self(id << Self::BITS | Self::OF_PAIR)
    }

    #[inline]
    pub(crate) fn low(&self) -> u64 {
        self.0 & ((1 << Self::BITS) - 1)
    }

    /// What is above the low bits: a mark or a number.
    #[inline]
    pub(crate) fn high(&self) -> u64 {
        self.0 >> Self::BITS
    }

    #[inline]
    pub(crate) fn is_of_slot(&self) -> bool {
        (1..Self::OF_INDEX).contains(&self.low())
    }

    pub(crate) fn pair(&self) -> Option<u64> {
        (self.low() == Self::OF_PAIR).then(|| self.high())
    }
}
