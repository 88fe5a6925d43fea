//! Why a table cannot be adopted.

use crate::abi::TABLE_VERSION;
use crate::borrow_kind::BorrowKind;
use crate::call_site::CallSite;
use crate::held::Held;

/// Why a table cannot be adopted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// The other module speaks another version.
    #[error(
        "the ledger of this process has version {found}, expected {TABLE_VERSION}: \
         build the extension modules with the same release of ndbridge"
    )]
    Version {
        /// Version of the other module's table.
        found: u32,
    },
    /// The table ends before its last function.
    #[error("the ledger of this process is a table of {found} bytes, expected {expected} or more")]
    TooShort {
        /// Size of the other module's table.
        found: u32,
        /// Size of a table of this version.
        expected: u32,
    },
    /// Borrows of this module live in its own ledger.
    #[error(
        "cannot join the ledger of this process: still borrowed {held} at {held_at}, \
         drop that guard first"
    )]
    StillBorrowed {
        /// What the borrow is for.
        held: BorrowKind,
        /// Who took it.
        held_at: CallSite,
    },
    /// This module uses another ledger already, for good.
    #[error("this module has joined another ledger already")]
    Decided,
    /// The other module's ledger has no room for a file that this module maps.
    #[error("the ledger of this process has no room for a file that this module maps")]
    Failed,
}

impl AdoptError {
    pub(crate) fn still_borrowed(held: &Held) -> Self {
        Self::StillBorrowed { held: held.kind, held_at: held.at }
    }
}
