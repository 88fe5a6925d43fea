//! The capsule of rust-numpy, as one of its users calls it.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering::Relaxed};

use ndbridge_interpreter::join_ledger;
use ndbridge_storage::ledger::CallSite;
use ndbridge_storage::{BorrowError, BorrowKind, LentBorrow, Region};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};

use crate::alone::alone;
use crate::{eval, run, said, with_numpy};

const NAME: &CStr = c"_RUST_NUMPY_BORROW_CHECKING_API";

type Acquire = unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int;
type Release = unsafe extern "C" fn(*mut c_void, *mut c_void);

/// rust-numpy's table, `Shared` in its `borrow/shared.rs`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Table {
    version: u64,
    flags: *mut c_void,
    acquire: Acquire,
    acquire_mut: Acquire,
    release: Release,
    release_mut: Release,
}

/// The table that a user of rust-numpy finds now.
fn table(py: Python<'_>) -> Table {
    let core = py.import("numpy._core.multiarray").unwrap();
    let capsule = core.getattr(NAME.to_str().unwrap()).unwrap().cast_into::<PyCapsule>().unwrap();
    let table = capsule.pointer_checked(Some(NAME)).unwrap().cast::<Table>();
    // SAFETY: a capsule of this name holds such a table.
    unsafe { table.read() }
}

/// A borrow, as `PyReadonlyArray` and `PyReadwriteArray` take it.
fn acquire(array: &Bound<'_, PyAny>, is_mut: bool) -> c_int {
    let table = table(array.py());
    let acquire = if is_mut { table.acquire_mut } else { table.acquire };
    // SAFETY: the table's own flags, a live array, attached.
    unsafe { acquire(table.flags, array.as_ptr().cast()) }
}

fn release(array: &Bound<'_, PyAny>, is_mut: bool) {
    let table = table(array.py());
    let release = if is_mut { table.release_mut } else { table.release };
    // SAFETY: as above.
    unsafe { release(table.flags, array.as_ptr().cast()) }
}

const ENTERED: c_int = 0;
const CONFLICT: c_int = -1;
const NOT_WRITEABLE: c_int = -2;
const READ: bool = false;
const WRITE: bool = true;

#[test]
fn mut_1_rust_numpys_users_exclude_each_other() {
    with_numpy("x = np.zeros((4, 6))", |py, names| {
        join_ledger(py).unwrap();
        for (first, second, is_common) in [
            ("x", "x", true),
            ("x", "x[2, 3:]", true),
            ("x[::2]", "x[1::2]", false),
            ("x[:, :3]", "x[:, 3:]", false),
            ("x[::-1]", "x[3]", true),
            ("x[:, ::2]", "x[:, 1::2].T", false),
            ("x[1, 2, ...]", "x[1, 2, ...]", true),
            ("x[1, 2, ...]", "x[1, 3, ...]", false),
            ("x", "np.asarray(memoryview(x))", true),
            ("x", "np.from_dlpack(x)", true),
            ("x[:0]", "x", false),
        ] {
            let (one, two) = (eval(names, first), eval(names, second));
            for (held, wanted) in [(READ, READ), (READ, WRITE), (WRITE, READ), (WRITE, WRITE)] {
                let case = format!("{first} {held}, {second} {wanted}");
                assert_eq!(acquire(&one, held), ENTERED, "{case}");
                let is_refused = is_common && (held || wanted);
                let code = acquire(&two, wanted);
                assert_eq!(code, if is_refused { CONFLICT } else { ENTERED }, "{case}");
                if code == ENTERED {
                    release(&two, wanted);
                }
                release(&one, held);
                assert_eq!(acquire(&two, WRITE), ENTERED, "{case}, released");
                release(&two, WRITE);
            }
        }
    });
}

#[test]
fn mut_1_a_borrow_may_be_taken_more_than_once() {
    with_numpy("x = np.zeros(4)", |py, names| {
        join_ledger(py).unwrap();
        let x = eval(names, "x");
        for _ in 0..3 {
            assert_eq!(acquire(&x, READ), ENTERED);
        }
        for left in (0..3).rev() {
            assert_eq!(acquire(&x, WRITE), CONFLICT);
            release(&x, READ);
            let code = acquire(&x, WRITE);
            assert_eq!(code, if left > 0 { CONFLICT } else { ENTERED });
        }
        release(&x, WRITE);
    });
}

#[test]
fn mut_2_a_read_only_array_is_not_borrowed_for_writing() {
    with_numpy("x = np.zeros(4)\nx.setflags(write=False)", |py, names| {
        join_ledger(py).unwrap();
        let x = eval(names, "x");
        assert_eq!(acquire(&x, WRITE), NOT_WRITEABLE);
        assert_eq!(acquire(&x, READ), ENTERED);
        release(&x, READ);
        run(names, "x.setflags(write=True)");
        assert_eq!(acquire(&x, WRITE), ENTERED);
        release(&x, WRITE);
    });
}

fn borrow(
    names: &Bound<'_, PyDict>,
    code: &str,
    kind: BorrowKind,
) -> Result<LentBorrow, BorrowError> {
    let array = ndbridge_numpy::python::array::describe_again(&eval(names, code)).unwrap();
    let region: Region<'_> = array.region();
    LentBorrow::enter(kind, &region, CallSite::named(c"a guard"))
}

#[test]
fn mut_1_guards_and_rust_numpy_exclude_each_other() {
    with_numpy("x = np.zeros((4, 6))", |py, names| {
        join_ledger(py).unwrap();
        let x = eval(names, "x");
        for (is_mut, kind, name) in [
            (READ, BorrowKind::Read, "rust-numpy's PyReadonlyArray"),
            (WRITE, BorrowKind::Write, "rust-numpy's PyReadwriteArray"),
        ] {
            assert_eq!(acquire(&x, is_mut), ENTERED);
            match borrow(names, "x[1:3, ::2]", BorrowKind::Write) {
                Err(BorrowError::Conflict { held, held_at, .. }) => {
                    assert_eq!((held, held_at.to_string().as_str()), (kind, name));
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(borrow(names, "x[1]", BorrowKind::Read).is_ok(), !is_mut);
            release(&x, is_mut);
            let guard = borrow(names, "x[1:3, ::2]", kind).unwrap();
            assert_eq!(acquire(&x, WRITE), CONFLICT);
            assert_eq!(acquire(&eval(names, "x[:, 1::2]"), WRITE), ENTERED);
            release(&eval(names, "x[:, 1::2]"), WRITE);
            let code = acquire(&x, READ);
            assert_eq!(code, if is_mut { CONFLICT } else { ENTERED });
            drop(guard);
            if code == ENTERED {
                release(&x, READ);
            }
        }
        assert!(borrow(names, "x", BorrowKind::Write).is_ok());
    });
}

/// What the functions of a table that was there first were asked, and what they answer.
static ASKED: AtomicI32 = AtomicI32::new(0);
static RELEASED: AtomicI32 = AtomicI32::new(0);
static ANSWER: AtomicI32 = AtomicI32::new(ENTERED);
static FLAGS: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

unsafe extern "C" fn former_acquire(flags: *mut c_void, _: *mut c_void) -> c_int {
    ASKED.fetch_add(1, Relaxed);
    FLAGS.store(flags, Relaxed);
    ANSWER.load(Relaxed)
}

unsafe extern "C" fn former_release(_: *mut c_void, _: *mut c_void) {
    RELEASED.fetch_add(1, Relaxed);
}

/// Puts a table there, as the first user of rust-numpy does.
fn publish(py: Python<'_>, version: u64) -> NonNull<Table> {
    let (acquire, release) = (former_acquire, former_release);
    let flags = std::ptr::dangling_mut::<u64>().cast();
    let table =
        Table { version, flags, acquire, acquire_mut: acquire, release, release_mut: release };
    let table = NonNull::from(Box::leak(Box::new(table)));
    // SAFETY: leaked, as rust-numpy does.
    let capsule = unsafe { PyCapsule::new_with_pointer(py, table.cast(), NAME) }.unwrap();
    let core = py.import("numpy._core.multiarray").unwrap();
    core.setattr(NAME.to_str().unwrap(), capsule).unwrap();
    table
}

#[test]
fn mut_1_a_table_that_was_there_first_is_asked_as_well() {
    alone("rust_numpy::mut_1_a_table_that_was_there_first_is_asked_as_well", || {
        with_numpy("x = np.zeros(4)", |py, names| {
            let counts = || (ASKED.load(Relaxed), RELEASED.load(Relaxed));
            let published = publish(py, 1);
            join_ledger(py).unwrap();
            let x = eval(names, "x");
            // SAFETY: leaked above; nobody else runs.
            let now = unsafe { published.read() };
            assert_eq!(FLAGS.load(Relaxed), std::ptr::null_mut());
            assert!(!std::ptr::fn_addr_eq(now.acquire, former_acquire as Acquire), "replaced");
            // Asked, and at once released: what they enter does not stay.
            assert_eq!(acquire(&x, WRITE), ENTERED);
            assert_eq!((counts(), FLAGS.load(Relaxed)), ((1, 1), now.flags));
            assert_eq!(acquire(&x, READ), CONFLICT, "the ledger's answer comes first");
            assert_eq!(counts(), (1, 1));
            release(&x, WRITE);
            assert_eq!(counts(), (1, 1), "entered here");
            // Borrowed since before the join.
            ANSWER.store(CONFLICT, Relaxed);
            assert_eq!(acquire(&x, READ), CONFLICT);
            assert_eq!(counts(), (2, 1));
            assert!(borrow(names, "x", BorrowKind::Write).is_ok(), "not left in the ledger");
            release(&x, WRITE);
            assert_eq!(counts(), (2, 2), "entered there");
        });
    });
}

#[test]
fn mut_1_a_table_of_a_later_version_will_do_and_of_an_earlier_one_not() {
    alone("rust_numpy::mut_1_a_table_of_a_later_version_will_do_and_of_an_earlier_one_not", || {
        with_numpy("x = np.zeros(4)", |py, names| {
            publish(py, 0);
            for _ in 0..2 {
                let (class, text) = said(py, &join_ledger(py).unwrap_err());
                assert_eq!(class, "ImportError");
                assert!(text.contains("borrow table has version 0, expected 1 or later"), "{text}");
            }
            publish(py, 7);
            join_ledger(py).unwrap();
            let x = eval(names, "x");
            assert_eq!(acquire(&x, WRITE), ENTERED);
            assert!(borrow(names, "x", BorrowKind::Read).is_err());
            release(&x, WRITE);
        });
    });
}

#[test]
fn mut_1_without_numpy_there_is_nothing_to_join() {
    alone("rust_numpy::mut_1_without_numpy_there_is_nothing_to_join", || {
        Python::initialize();
        Python::attach(|py| {
            let modules = py.import("sys").unwrap().getattr("modules").unwrap();
            modules.set_item("numpy", py.None()).unwrap();
            join_ledger(py).unwrap();
        });
    });
}
