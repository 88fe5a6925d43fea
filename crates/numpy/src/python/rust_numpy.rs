//! The borrows of rust-numpy (the crate `numpy`), entered in the ledger of the process.
//!
//! rust-numpy keeps a table of C functions in a capsule at `numpy._core.multiarray`, and every
//! extension module that uses it calls through that table. Whoever comes first puts it there:
//!
//! ```text
//! rust-numpy came first                       ndbridge came first
//!
//! capsule ─► acquire, release: replaced,      capsule ─► acquire, release: ours
//!            ours call the former ones too
//! ```
//!
//! Ours enter the bytes that an array reaches in the ledger, which decides exactly, and by address:
//! the escapes of rust-numpy's own table (an array and its alias by another protocol, views of
//! rank 0) are closed with it. The former functions are asked as well, since borrows from before
//! may live there; what they enter is taken out again at once. They find a borrow by the array's
//! present shape, so that one which lasts over a `resize` would stop the process.
//!
//! # Limitations
//! Borrows that rust-numpy took before the join are seen by rust-numpy's users only.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::{MutexGuard, OnceLock};

use ndbridge_interpreter::{OtherChecker, set_default};
use ndbridge_storage::ledger::CallSite;
use ndbridge_storage::{BorrowKind, LentBorrow, Region, fork};
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use super::api::{ArrayObject, Descr};
use super::frozen::is_writable;

const NAME: &CStr = c"_RUST_NUMPY_BORROW_CHECKING_API";

/// Version of the table below; later ones only have more behind it.
const VERSION: u64 = 1;

// What acquiring answers.
const ENTERED: c_int = 0;
const CONFLICT: c_int = -1;
const NOT_WRITEABLE: c_int = -2;

type Acquire = unsafe extern "C" fn(flags: *mut c_void, array: *mut ArrayObject) -> c_int;
type Release = unsafe extern "C" fn(flags: *mut c_void, array: *mut ArrayObject);

/// rust-numpy's table.
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

// SAFETY: rust-numpy's functions are called with its flags by attached threads, any of them.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

/// Set once, before the first call of the functions here.
static JOINED: OnceLock<Joined> = OnceLock::new();

struct Joined {
    /// rust-numpy's own functions, if it came first.
    former: Option<Table>,
    item_bytes: ItemBytes,
}

/// Reads the size of an item, which NumPy 1 and 2 keep in different places.
type ItemBytes = unsafe fn(*const Descr) -> usize;

inventory::submit! { OtherChecker { join: join_if_loadable } }

// Without NumPy nobody uses rust-numpy.
fn join_if_loadable(py: Python<'_>) -> PyResult<()> {
    match py.import("numpy") {
        Err(error) if error.is_instance_of::<PyImportError>(py) => Ok(()),
        numpy => join(&numpy?),
    }
}

/// Puts the functions of this module into rust-numpy's table, or such a table in its place.
///
/// # Errors
/// `ImportError` if the table is of an unknown version.
fn join(numpy: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = numpy.py();
    let version: String = numpy.getattr("__version__")?.extract()?;
    let is_first = version.starts_with("1.");
    let core = if is_first { "numpy.core.multiarray" } else { "numpy._core.multiarray" };
    let item_bytes: ItemBytes = if is_first { item_bytes_1 } else { item_bytes_2 };

    let own = Table {
        version: VERSION,
        flags: std::ptr::null_mut(),
        acquire,
        acquire_mut,
        release,
        release_mut,
    };
    let own = NonNull::from(Box::leak(Box::new(own)));
    // SAFETY: the table is never freed.
    let capsule = unsafe { PyCapsule::new_with_pointer(py, own.cast(), NAME)? };
    let found = set_default(&py.import(core)?.dict(), NAME, capsule.into_any())?;
    let found = found.cast_into::<PyCapsule>()?;
    let table = found.pointer_checked(Some(NAME))?.cast::<Table>();
    // SAFETY: a capsule of this name holds a table, and all begin with a version.
    let version = unsafe { table.cast::<u64>().read() };
    if version < VERSION {
        return Err(PyImportError::new_err(format!(
            "rust-numpy's borrow table has version {version}, expected {VERSION} or later"
        )));
    }
    // The table stays as long as the process: rust-numpy's users have its address.
    std::mem::forget(found);
    // SAFETY: version 1 or later has these fields.
    unsafe { take_over(table, item_bytes) };
    Ok(())
}

/// # Safety
/// At `table` rust-numpy's table stays for good, and this thread is attached.
unsafe fn take_over(table: NonNull<Table>, item_bytes: ItemBytes) {
    // SAFETY: promised by the caller.
    let found = unsafe { table.read() };
    let is_ours = std::ptr::fn_addr_eq(found.acquire, acquire as Acquire);
    let former = (!is_ours).then_some(found);
    if JOINED.set(Joined { former, item_bytes }).is_err() || is_ours {
        return;
    }
    // The flags stay what they are: the former functions need them.
    let replaced = Table { acquire, acquire_mut, release, release_mut, ..found };
    // SAFETY: who calls through the table is attached meanwhile, as this thread is now, and looks
    // at it anew for each call.
    unsafe { table.write(replaced) };
}

unsafe extern "C" fn acquire(flags: *mut c_void, array: *mut ArrayObject) -> c_int {
    // SAFETY: promised by the caller.
    unsafe { acquire_for(BorrowKind::Read, flags, array) }
}

unsafe extern "C" fn acquire_mut(flags: *mut c_void, array: *mut ArrayObject) -> c_int {
    // SAFETY: promised by the caller.
    unsafe { acquire_for(BorrowKind::Write, flags, array) }
}

unsafe extern "C" fn release(flags: *mut c_void, array: *mut ArrayObject) {
    // SAFETY: promised by the caller.
    unsafe { release_for(BorrowKind::Read, flags, array) }
}

unsafe extern "C" fn release_mut(flags: *mut c_void, array: *mut ArrayObject) {
    // SAFETY: promised by the caller.
    unsafe { release_for(BorrowKind::Write, flags, array) }
}

/// # Safety
/// `array` is a live ndarray, `flags` are those of the table, and this thread is attached.
unsafe fn acquire_for(kind: BorrowKind, flags: *mut c_void, array: *mut ArrayObject) -> c_int {
    let enter = || {
        let Some(joined) = JOINED.get() else { return CONFLICT };
        // SAFETY: promised by the caller.
        let fields = unsafe { &*array };
        // SAFETY: promised by the caller; the join found out about this NumPy.
        let borrow = match unsafe { enter_array(kind, fields, joined.item_bytes) } {
            Ok(borrow) => borrow,
            Err(code) => return code,
        };
        // SAFETY: promised by the caller.
        let code = unsafe { ask_former(kind, joined, flags, array) };
        if code == ENTERED {
            live().insert(array, kind, borrow);
        }
        code
    };
    // A borrow that was entered goes with the panic.
    catch_unwind(AssertUnwindSafe(enter)).unwrap_or(CONFLICT)
}

/// # Safety
/// `array` is a live ndarray and this thread attached; `item_bytes` reads the data types of this
/// NumPy.
unsafe fn enter_array(
    kind: BorrowKind,
    array: &ArrayObject,
    item_bytes: ItemBytes,
) -> Result<LentBorrow, c_int> {
    // SAFETY: a live ndarray; whoever calls through the table is attached.
    if kind == BorrowKind::Write && !unsafe { is_writable(array) } {
        return Err(NOT_WRITEABLE);
    }
    let at = match kind {
        BorrowKind::Write => CallSite::named(c"rust-numpy's PyReadwriteArray"),
        _ => CallSite::named(c"rust-numpy's PyReadonlyArray"),
    };
    // SAFETY: an array's data type is a live object.
    let item_bytes = unsafe { item_bytes(array.descr) };
    let (start, (shape, strides)) = (array.data.addr(), axes(array));
    LentBorrow::enter(kind, &Region { start, item_bytes, shape, strides }, at).map_err(|_| CONFLICT)
}

/// Lengths, and strides in bytes.
fn axes(array: &ArrayObject) -> (&[usize], &[isize]) {
    let ndim = usize::try_from(array.ndim).unwrap_or(0);
    if ndim == 0 {
        return (&[], &[]);
    }
    // SAFETY: NumPy keeps `ndim` lengths there, none of them negative, and does not change them
    // while this thread is attached.
    let shape = unsafe { std::slice::from_raw_parts(array.shape.cast::<usize>(), ndim) };
    // SAFETY: as above, for strides.
    let strides = unsafe { std::slice::from_raw_parts(array.strides, ndim) };
    (shape, strides)
}

/// Whether the former functions, which know of the borrows before the join, allow one more; it is
/// not left with them.
///
/// # Safety
/// As [`acquire_for`].
unsafe fn ask_former(
    kind: BorrowKind,
    joined: &Joined,
    flags: *mut c_void,
    array: *mut ArrayObject,
) -> c_int {
    let Some(former) = joined.former else { return ENTERED };
    let (acquire, release) = former.functions(kind);
    // SAFETY: promised by the caller.
    let code = unsafe { acquire(flags, array) };
    if code == ENTERED {
        // SAFETY: entered above, and the array is as it was.
        unsafe { release(flags, array) };
    }
    code
}

/// Strikes out a borrow of the array; passes on what was not entered here.
///
/// # Safety
/// As [`acquire_for`], and the array was acquired.
unsafe fn release_for(kind: BorrowKind, flags: *mut c_void, array: *mut ArrayObject) {
    let known = catch_unwind(|| {
        let borrow = live().remove(array, kind);
        // Released when the lock is given back.
        borrow.is_some()
    });
    let Ok(false) = known else { return };
    if let Some(former) = JOINED.get().and_then(|joined| joined.former) {
        let (_, release) = former.functions(kind);
        // SAFETY: promised by the caller; entered before the join.
        unsafe { release(flags, array) };
    }
}

impl Table {
    fn functions(&self, kind: BorrowKind) -> (Acquire, Release) {
        match kind {
            BorrowKind::Write => (self.acquire_mut, self.release_mut),
            _ => (self.acquire, self.release),
        }
    }
}

/// Borrows by the address of the array object, which lives while it is borrowed. One array can be
/// borrowed several times: a number tells these apart.
struct Live {
    borrows: BTreeMap<(usize, BorrowKind, u64), LentBorrow>,
    next: u64,
}

fn live() -> MutexGuard<'static, Live> {
    static LIVE: fork::Mutex<Live> =
        fork::Mutex::new(12, Live { borrows: BTreeMap::new(), next: 0 });
    LIVE.lock()
}

impl Live {
    fn insert(&mut self, array: *const ArrayObject, kind: BorrowKind, borrow: LentBorrow) {
        self.borrows.insert((array.addr(), kind, self.next), borrow);
        self.next += 1;
    }

    fn remove(&mut self, array: *const ArrayObject, kind: BorrowKind) -> Option<LentBorrow> {
        let of_array = (array.addr(), kind, 0)..=(array.addr(), kind, u64::MAX);
        let (&key, _) = self.borrows.range(of_array).next_back()?;
        self.borrows.remove(&key)
    }
}

/// The head of `PyArray_Descr` in NumPy 1.
#[repr(C)]
struct Descr1 {
    head: Descr,
    item_bytes: c_int,
}

/// The head of `PyArray_Descr` in NumPy 2.
#[repr(C)]
struct Descr2 {
    head: Descr,
    flags: u64,
    item_bytes: isize,
}

/// # Safety
/// A live data type of NumPy 1.
unsafe fn item_bytes_1(descr: *const Descr) -> usize {
    // SAFETY: promised by the caller.
    let bytes = unsafe { (*descr.cast::<Descr1>()).item_bytes };
    usize::try_from(bytes).unwrap_or(0)
}

/// # Safety
/// A live data type of NumPy 2.
unsafe fn item_bytes_2(descr: *const Descr) -> usize {
    // SAFETY: promised by the caller.
    let bytes = unsafe { (*descr.cast::<Descr2>()).item_bytes };
    usize::try_from(bytes).unwrap_or(0)
}
