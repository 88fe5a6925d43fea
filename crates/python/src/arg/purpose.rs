//! What an argument is for.

use ndbridge_storage::BorrowKind;

/// What an argument is to be used for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Use {
    Read,
    Write,
}

impl Use {
    /// The advice to use what a call gives. Of what is written, the caller needs a name.
    pub(super) fn of(self, call: &str) -> String {
        match self {
            Self::Read => format!("pass {call}"),
            Self::Write => format!("make y = {call}, pass y, use y"),
        }
    }

    #[inline]
    pub(super) fn kind(self) -> BorrowKind {
        match self {
            Self::Read => BorrowKind::Read,
            Self::Write => BorrowKind::Write,
        }
    }
}
