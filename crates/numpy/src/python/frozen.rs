//! Arrays that are read-only while they are held, and how their users left them.
//!
//! A held array's flag WRITEABLE was cleared here, not by its user. The array carries a mark
//! meanwhile, a flag that NumPy's `setflags(write=..)` clears whatever it sets, so that the user's
//! last word shows:
//!
//! ```text
//!             before   held   setflags(write=False)   setflags(write=True)   after, if untouched
//! WRITEABLE   1        0      0                       1                      1
//! mark        0        1      0                       0                      0
//! ```
//!
//! Views inherit flags, the mark too. That an array is held itself, the ledger knows, and so all
//! modules of the process do: each hold borrows the array's head, the C structure, for reading.

use std::ffi::{c_int, c_ulong};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use ndbridge_storage::ledger::CallSite;
use ndbridge_storage::{BorrowKind, LentBorrow, fork};
use pyo3::ffi;
use pyo3::prelude::*;

use super::api::{ArrayObject, NumpyApi, WARN_ON_WRITE, WRITEABLE, set_flag};
use super::pins::give_back;

/// Says of a read-only array that nobody but a hold wants it to be so.
const MARK: c_int = WARN_ON_WRITE;

/// Whether the user of an array lets it be written: the flag, or what it was before a hold.
///
/// # Safety
/// `array` is a live ndarray, and this thread is attached.
#[inline]
pub unsafe fn is_writable(array: *const ArrayObject) -> bool {
    // SAFETY: promised by the caller.
    let flags = unsafe { (*array).flags };
    flags & WRITEABLE != 0 || (flags & MARK != 0 && is_held(array))
}

/// Whether some module holds the array. Nobody comes between: all who ask are attached.
#[cold]
fn is_held(array: *const ArrayObject) -> bool {
    enter(BorrowKind::Write, array).is_none()
}

fn enter(kind: BorrowKind, array: *const ArrayObject) -> Option<LentBorrow> {
    let head = Range { start: array.addr(), end: array.addr() + size_of::<ArrayObject>() };
    LentBorrow::try_enter_all(kind, head, CallSite::named(c"a hold"))
}

/// An array that was made read-only, until this is dropped.
pub struct Frozen<'py> {
    array: Bound<'py, PyAny>,
    // Some until this is dropped.
    held: Option<LentBorrow>,
    _noted: Noted,
}

impl<'py> Frozen<'py> {
    /// Makes an array read-only; `None` if its user did.
    pub fn new(api: &NumpyApi, array: &Bound<'py, PyAny>) -> Option<Self> {
        let object = array.as_ptr();
        let flags = api.array_of(array)?.flags;
        // `numpy.broadcast_arrays` uses the mark for its own: these stay as they are.
        let is_marked = flags & WRITEABLE != 0 && flags & MARK != 0;
        // SAFETY: an ndarray; a `Bound` shows that the thread is attached.
        if is_marked || !unsafe { is_writable(object.cast()) } {
            return None;
        }
        let held = enter(BorrowKind::Read, object.cast())?;
        let noted = Noted::new(Note::Frozen { array: object.expose_provenance() });
        // SAFETY: an ndarray; read-only is what any array may be.
        unsafe { set_flag(object, WRITEABLE, false) };
        // SAFETY: an ndarray; in one that is read-only, NumPy's writers do not look at the flag.
        unsafe { set_flag(object, MARK, true) };
        Some(Self { array: array.clone(), held: Some(held), _noted: noted })
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.held = None;
        let array = self.array.as_ptr();
        if !is_held(array.cast()) {
            // SAFETY: an ndarray, attached; frozen here.
            unsafe { thaw(array) };
        }
    }
}

/// Lets an array be written again, unless its user has decided otherwise since.
///
/// # Safety
/// `array` is a live ndarray that was frozen, and nobody else looks at it now.
unsafe fn thaw(array: *mut ffi::PyObject) {
    // SAFETY: promised by the caller.
    let flags = unsafe { (*array.cast::<ArrayObject>()).flags };
    if flags & MARK != 0 {
        // SAFETY: as above; the flags as they were before.
        unsafe { set_flag(array, MARK, false) };
        // SAFETY: as above.
        unsafe { set_flag(array, WRITEABLE, true) };
    }
}

/// What a hold of some thread is about.
#[derive(Clone, Copy, PartialEq)]
enum Note {
    /// WRITEABLE of the array at this address is cleared.
    Frozen { array: usize },
    /// OWNDATA of the array is cleared, since its memory began at `data`.
    Pinned { array: usize, data: usize },
    /// An argument that reaches these addresses is borrowed.
    Lent { start: usize, end: usize },
}

/// Notes of all holds of this module: a child process undoes what threads changed that it does not
/// have, and errors name the thread that holds an argument.
static NOTES: fork::Mutex<Vec<(Thread, Note)>> = fork::Mutex::new(10, Vec::new());

/// A note of this thread's, until it is dropped.
pub struct Noted(Note);

impl Noted {
    fn new(note: Note) -> Self {
        static IS_READY: AtomicBool = AtomicBool::new(false);
        if !IS_READY.load(Ordering::Relaxed) {
            fork::in_child(undo_of_lost_threads);
            IS_READY.store(true, Ordering::Relaxed);
        }
        NOTES.lock().push((Thread::this(), note));
        Self(note)
    }

    /// OWNDATA of an array, whose memory began at the second address, is cleared.
    pub fn pinned((array, data): (*mut ffi::PyObject, *mut u8)) -> Self {
        Self::new(Note::Pinned { array: array.expose_provenance(), data: data.addr() })
    }

    /// An argument that reaches these addresses is borrowed.
    pub fn lent(Range { start, end }: Range<usize>) -> Self {
        Self::new(Note::Lent { start, end })
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        let mut all = NOTES.lock();
        let own = (Thread::this(), self.0);
        if let Some(position) = all.iter().rposition(|noted| *noted == own) {
            all.swap_remove(position);
        }
    }
}

/// Python's number of a thread; the one that forks keeps its in the child.
#[derive(Clone, Copy, PartialEq)]
pub struct Thread(pub c_ulong);

impl Thread {
    pub fn this() -> Self {
        // SAFETY: asks the operating system, and may be called at any time.
        Self(unsafe { ffi::PyThread_get_thread_ident() })
    }

    /// Another thread that holds an argument which reaches exactly these addresses.
    pub fn that_lends(&Range { start, end }: &Range<usize>) -> Option<Self> {
        let lent = Note::Lent { start, end };
        let all = NOTES.lock();
        let thread = all.iter().find(|(thread, note)| *note == lent && *thread != Self::this());
        thread.map(|(thread, _)| *thread)
    }
}

/// Undoes, in a child process, what the holds of threads changed that it does not have. Called once
/// there, by its only thread; no interpreter is needed, nor any reference given up: those of a lost
/// thread are as lost.
fn undo_of_lost_threads() {
    let mut all = NOTES.lock();
    let (own, lost): (Vec<_>, Vec<_>) =
        all.drain(..).partition(|(thread, _)| *thread == Thread::this());
    for (_, note) in lost {
        if own.iter().any(|(_, kept)| *kept == note) {
            continue;
        }
        match note {
            // SAFETY: the lost thread's reference keeps the array, for good; nobody else runs.
            Note::Frozen { array } => unsafe {
                thaw(std::ptr::with_exposed_provenance_mut(array));
            },
            Note::Pinned { array, data } => {
                let data = std::ptr::without_provenance_mut(data);
                // SAFETY: as above.
                unsafe { give_back(std::ptr::with_exposed_provenance_mut(array), data) };
            }
            // The ledger strikes its borrow out.
            Note::Lent { .. } => {}
        }
    }
    *all = own;
}
