//! Every order in which lending a storage and borrowing from it can meet, on the ledger's atomics:
//! `RUSTFLAGS="--cfg loom" cargo test -p ndbridge-storage --test loom_lending --release`.
#![cfg(loom)]
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::sync::Arc;

use loom::thread;
use ndbridge_storage::{Access, BorrowError, BorrowKind, Region, Storage, gate};

use BorrowKind::Write;

fn borrow_all(storage: &Storage) -> Result<ndbridge_storage::Borrow<'_>, BorrowError> {
    let start = storage.as_ptr() as usize;
    storage.borrow(Write, &Region { start, item_bytes: 8, shape: &[], strides: &[] })
}

#[test]
fn mut_4_lending_and_borrowing_meet() {
    loom::model(|| {
        let storage = Storage::zeroed(8).unwrap();
        let other = storage.clone();
        let lender = thread::spawn(move || other.lend(Arc::new(gate::Never)).is_ok());
        let borrow = borrow_all(&storage);
        let borrowed_while = borrow.is_ok().then(|| storage.access());
        let kept = borrow.is_ok();
        let lent = lender.join().unwrap();
        // A borrow was entered before lending, or met the closed gate: never both.
        match (kept, lent) {
            (true, true) => panic!("lent under a live borrow"),
            (true, false) => assert_eq!(borrowed_while, Some(Access::Private)),
            (false, true) => assert!(matches!(borrow, Err(BorrowError::Gate(_)))),
            (false, false) => panic!("nobody got in"),
        }
        drop(borrow);
    });
}

#[test]
fn mut_4_a_borrow_that_loses_the_race_goes_to_the_common_ledger() {
    loom::model(|| {
        let storage = Storage::zeroed(8).unwrap();
        let other = storage.clone();
        let lender = thread::spawn(move || other.lend(Arc::new(gate::Always)).is_ok());
        let borrow = borrow_all(&storage).unwrap();
        assert!(borrow_all(&storage).is_err());
        drop(borrow);
        let lent = lender.join().unwrap();
        assert_eq!(storage.access() == Access::Lent, lent);
        assert!(borrow_all(&storage).is_ok(), "released where it was entered");
    });
}
