//! One ledger for all modules of the process.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use ndbridge_interpreter::{OtherChecker, PythonGate, join_ledger};
use ndbridge_storage::ledger::{self, CallSite, LedgerTable, SharedLedger};
use ndbridge_storage::{BorrowKind, Footprint, LentBorrow, Region};
use ndbridge_tensor::Tensor;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::alone::alone;
use crate::{refusal, said};

const NAME: &CStr = c"ndbridge.ledger.v2";

/// The ledger of another module.
static OTHER: LazyLock<SharedLedger> = LazyLock::new(SharedLedger::new);

const BYTES: Region<'static> = Region { start: 0x1000, item_bytes: 1, shape: &[8], strides: &[1] };

fn enter(kind: BorrowKind) -> Option<LentBorrow> {
    LentBorrow::enter(kind, &BYTES, CallSite::named(c"this test")).ok()
}

/// Whether the other module could write these bytes.
fn other_may_write() -> bool {
    let bytes = Footprint::of(&BYTES).unwrap();
    let entered = OTHER.acquire(BorrowKind::Write, &bytes, CallSite::named(c"the other"));
    entered.map(|token| OTHER.release(token)).is_ok()
}

fn publish(py: Python<'_>, name: &'static CStr, table: &'static LedgerTable) {
    let table = NonNull::from(table).cast::<c_void>();
    // SAFETY: a static table.
    let capsule = unsafe { PyCapsule::new_with_pointer(py, table, name) }.unwrap();
    set(py, capsule.into_any());
}

fn set(py: Python<'_>, value: Bound<'_, PyAny>) {
    py.import("sys").unwrap().setattr(NAME.to_str().unwrap(), value).unwrap();
}

#[test]
fn mut_1_every_join_finds_the_same_table_in_sys() {
    Python::initialize();
    Python::attach(|py| {
        join_ledger(py).unwrap();
        let found = py.import("sys").unwrap().getattr(NAME.to_str().unwrap()).unwrap();
        join_ledger(py).unwrap();
        let again = py.import("sys").unwrap().getattr(NAME.to_str().unwrap()).unwrap();
        assert!(found.is(&again));
        let pointer = found.cast_into::<PyCapsule>().unwrap().pointer_checked(Some(NAME)).unwrap();
        assert_eq!(pointer.cast(), NonNull::from(ledger::of_process().table()));
    });
}

#[test]
fn mut_1_the_ledger_of_a_module_that_came_first_is_adopted() {
    alone("joining::mut_1_the_ledger_of_a_module_that_came_first_is_adopted", || {
        Python::initialize();
        Python::attach(|py| {
            publish(py, NAME, OTHER.table());
            join_ledger(py).unwrap();
            assert_eq!(JOINS.load(Relaxed), 0, "the owner of the ledger joins other checkers");
            assert!(other_may_write());
            let borrow = enter(BorrowKind::Read).unwrap();
            assert!(!other_may_write());
            assert!(enter(BorrowKind::Read).is_some());
            drop(borrow);
            assert!(other_may_write());
        });
    });
}

#[test]
fn mut_1_a_borrow_from_before_the_join_has_to_go_first() {
    alone("joining::mut_1_a_borrow_from_before_the_join_has_to_go_first", || {
        Python::initialize();
        Python::attach(|py| {
            publish(py, NAME, OTHER.table());
            let borrow = enter(BorrowKind::Write).unwrap();
            let (class, text) = said(py, &join_ledger(py).unwrap_err());
            assert_eq!(class, "BufferError");
            let expected = "cannot join the ledger of this process: still borrowed for writing by \
                            this test, drop that guard first";
            assert_eq!(text, expected);
            drop(borrow);
            join_ledger(py).unwrap();
            let _borrow = enter(BorrowKind::Write).unwrap();
            assert!(!other_may_write());
        });
    });
}

#[test]
fn mut_1_what_is_no_table_of_this_version_is_refused_and_the_process_works_on() {
    static LATER: LazyLock<LedgerTable> = LazyLock::new(|| OTHER.table().relabelled(99, 4096));
    static SHORT: LazyLock<LedgerTable> = LazyLock::new(|| OTHER.table().relabelled(2, 8));
    type Put = (fn(Python<'_>), &'static str);
    const PUTS: [Put; 4] = [
        (|py| publish(py, NAME, &LATER), "has version 99, expected 2"),
        (|py| publish(py, NAME, &SHORT), "a table of 8 bytes, expected"),
        (|py| publish(py, c"another", OTHER.table()), "sys has another \"ndbridge.ledger.v2\""),
        (|py| set(py, py.None().into_bound(py)), "sys has another \"ndbridge.ledger.v2\""),
    ];
    alone(
        "joining::mut_1_what_is_no_table_of_this_version_is_refused_and_the_process_works_on",
        || {
            Python::initialize();
            let tensor = Tensor::from_vec(vec![1, 2, 3]);
            tensor.storage().lend(PythonGate::shared()).unwrap();
            Python::attach(|py| {
                for (put, expected) in PUTS {
                    put(py);
                    for _ in 0..2 {
                        let (class, text) = said(py, &join_ledger(py).unwrap_err());
                        assert_eq!(class, "ImportError", "{text}");
                        assert!(text.contains(expected), "{text}");
                    }
                    assert!(refusal(&tensor).is_some());
                    assert!(Tensor::from_vec(vec![1]).read::<i32>().is_ok());
                }
                py.import("sys").unwrap().delattr(NAME.to_str().unwrap()).unwrap();
                join_ledger(py).unwrap();
                assert_eq!(refusal(&tensor), None);
            });
        },
    );
}

/// How often the checker below was joined, and whether it fails.
static JOINS: AtomicUsize = AtomicUsize::new(0);
static FAILS: AtomicBool = AtomicBool::new(false);

inventory::submit! { OtherChecker { join: |_| {
    JOINS.fetch_add(1, Relaxed);
    match FAILS.load(Relaxed) {
        true => Err(PyRuntimeError::new_err("not yet")),
        false => Ok(()),
    }
} } }

#[test]
fn mut_1_another_checker_is_joined_once_and_again_after_it_failed() {
    alone("joining::mut_1_another_checker_is_joined_once_and_again_after_it_failed", || {
        Python::initialize();
        let tensor = Tensor::from_vec(vec![1, 2, 3]);
        tensor.storage().lend(PythonGate::shared()).unwrap();
        FAILS.store(true, Relaxed);
        Python::attach(|py| {
            for joins in 1..=2 {
                let error = said(py, &join_ledger(py).unwrap_err());
                assert_eq!(error, ("RuntimeError".to_owned(), "not yet".to_owned()));
                assert_eq!(JOINS.load(Relaxed), joins);
                assert!(refusal(&tensor).is_some(), "no guard beside borrows that are not seen");
            }
            FAILS.store(false, Relaxed);
            for _ in 0..2 {
                join_ledger(py).unwrap();
                assert_eq!(JOINS.load(Relaxed), 3);
            }
            assert_eq!(refusal(&tensor), None);
        });
    });
}
