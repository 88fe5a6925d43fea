//! Borrows of storages in the ledger of another module.
#![cfg(not(loom))]
#![expect(unsafe_code, reason = "takes its own table for that of another module")]

use std::panic::Location;
use std::sync::Arc;

use ndbridge_storage::ledger::{self, AdoptError, CallSite, SharedLedger};
use ndbridge_storage::{BorrowError, BorrowKind, Footprint, LentBorrow, Region, Storage, gate};

use BorrowKind::{Read, Write};

/// The ledger of another module.
static OWNER: SharedLedger = SharedLedger::new();

fn is_free(kind: BorrowKind, bytes: &Footprint) -> bool {
    let entered = OWNER.acquire(kind, bytes, CallSite::named(c"somewhere"));
    entered.map(|token| OWNER.release(token)).is_ok()
}

#[test]
fn mut_1_every_borrow_of_lent_memory_goes_to_the_adopted_ledger() {
    let storage = Storage::zeroed(64).unwrap();
    storage.lend(Arc::new(gate::Always)).unwrap();
    let start = storage.as_ptr() as usize;
    let columns = Region { start, item_bytes: 4, shape: &[4, 2], strides: &[16, 4] };
    let all = Region { start, item_bytes: 4, shape: &[16], strides: &[4] };
    // SAFETY: a table of this crate, and statics stay.
    let join = || unsafe { ledger::of_process().adopt(OWNER.table().into()) };
    let held = storage.borrow(Read, &all).unwrap();
    assert!(matches!(join(), Err(AdoptError::StillBorrowed { held: Read, .. })));
    drop(held);
    join().unwrap();

    for region in [&all, &columns] {
        let bytes = Footprint::of(region).unwrap();
        let borrow = storage.borrow(Write, region).unwrap();
        assert!(!is_free(Read, &bytes));
        drop(borrow);
        let borrow = LentBorrow::enter(Write, region, Location::caller()).unwrap();
        assert!(!is_free(Read, &bytes));
        drop(borrow);
        let borrow = storage.borrow_owned(Write, region).unwrap();
        assert!(!is_free(Read, &bytes));
        drop(borrow);
        assert!(is_free(Write, &bytes));
    }
    let token =
        OWNER.acquire(Write, &Footprint::of(&all).unwrap(), CallSite::named(c"somewhere")).unwrap();
    let error = storage.borrow(Read, &columns).unwrap_err();
    assert!(matches!(error, BorrowError::Conflict { wanted: Read, held: Write, .. }), "{error:?}");
    assert!(error.to_string().starts_with("already borrowed for writing at somewhere, wanted"));
    OWNER.release(token);
    assert!(storage.borrow(Write, &columns).is_ok());
}
