//! The ledger of lent memory.

use crate::shared::SharedLedger;

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
