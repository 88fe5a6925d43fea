//! The borrow that stands in the way.

use std::fmt;
use std::ops::Range;

use crate::borrow_kind::BorrowKind;
use crate::call_site::CallSite;
use crate::gate::GateError;

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

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "borrowed {} at {}", self.kind, self.at)
    }
}

/// Why a borrow is not entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotEntered {
    /// Another borrow holds some of the bytes.
    Held(Held),
    /// The bytes are lent through another map of their file, whose gate is closed.
    Gate(GateError),
}

impl NotEntered {
    #[cold]
    pub(crate) fn held(held: Held) -> Box<Self> {
        Box::new(Self::Held(held))
    }
}
