//! References to Python objects, dropped wherever.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ndbridge_interpreter::{PythonOwner, Reference, give_up_parked, join_ledger};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use crate::alone::alone;
use crate::names;

/// How many references to the object there are.
pub fn references(object: &Bound<'_, PyAny>) -> isize {
    // SAFETY: a live object; attached, as it shows.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) }
}

type Kept = Box<dyn Send>;

/// A way to drop it: whether the thread is attached then, and how.
type Way = (&'static str, bool, fn(Python<'_>, Kept));

/// Ends by a panic, with `kept` on the stack; the panic is not printed.
fn unwind(kept: Kept) {
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _kept = kept;
        resume_unwind(Box::new("on purpose"));
    }));
    assert!(unwound.is_err());
}

fn on_unknown_thread(py: Python<'_>, kept: Kept, end: fn(Kept)) {
    py.detach(|| std::thread::spawn(move || end(kept)).join().unwrap());
}

const WAYS: [Way; 7] = [
    ("attached", true, |_, kept| drop(kept)),
    ("attached, unwinding", true, |_, kept| unwind(kept)),
    ("detached", false, |py, kept| py.detach(|| drop(kept))),
    ("detached, unwinding", false, |py, kept| py.detach(|| unwind(kept))),
    ("unknown thread", false, |py, kept| on_unknown_thread(py, kept, drop)),
    ("unknown thread, unwinding", false, |py, kept| on_unknown_thread(py, kept, unwind)),
    ("attached thread", true, |py, kept| {
        let work = move || Python::attach(|_| drop(kept));
        py.detach(|| std::thread::spawn(work).join().unwrap());
    }),
];

/// What keeps an object, and how many references it takes.
type Keeper = (&'static str, isize, fn(Py<PyAny>) -> Kept);

const KEEPERS: [Keeper; 3] = [
    ("Reference", 1, |object| Box::new(Reference::from(object))),
    ("PythonOwner", 1, |object| Box::new(PythonOwner::new(object, Vec::new(), None))),
    ("PythonOwner with pins", 3, |object| {
        let pins = Python::attach(|py| vec![object.clone_ref(py), object.clone_ref(py)]);
        Box::new(PythonOwner::new(object, pins, None))
    }),
];

#[test]
fn own_2_a_reference_is_given_up_once_wherever_it_is_dropped() {
    alone("owners::own_2_a_reference_is_given_up_once_wherever_it_is_dropped", || {
        Python::initialize();
        Python::attach(|py| {
            join_ledger(py).unwrap();
            let object = names(py, c"class Object: pass\nobject = Object()");
            let object = object.get_item("object").unwrap().unwrap();
            let before = references(&object);
            for (keeper, count, keep) in KEEPERS {
                for (way, is_attached, drop_it) in WAYS {
                    let kept = keep(object.clone().unbind());
                    assert_eq!(references(&object), before + count, "{keeper}");
                    drop_it(py, kept);
                    // Counted before any Python code runs, which would give the parked ones up.
                    let parked = if is_attached { 0 } else { count };
                    assert_eq!(references(&object), before + parked, "{keeper}, {way}");
                    for _ in 0..2 {
                        give_up_parked(py);
                        assert_eq!(references(&object), before, "{keeper}, {way}, given up");
                    }
                }
            }
        });
    });
}

#[test]
fn own_2_python_gives_up_what_is_parked_when_it_runs_next() {
    alone("owners::own_2_python_gives_up_what_is_parked_when_it_runs_next", || {
        Python::initialize();
        Python::attach(|py| {
            join_ledger(py).unwrap();
            let found = names(
                py,
                c"
import weakref
class Object: pass
object, ended = Object(), []
weakref.finalize(object, ended.append, 1)
",
            );
            let object = found.get_item("object").unwrap().unwrap().unbind();
            found.del_item("object").unwrap();
            let kept = Box::new(Reference::from(object));
            on_unknown_thread(py, kept, drop);
            // Nothing of this crate is called.
            py.run(c"for _ in range(1000): pass\nassert ended == [1], ended", Some(&found), None)
                .unwrap();
        });
    });
}

#[test]
fn own_2_what_a_producer_made_goes_with_its_owner_once() {
    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    Python::initialize();
    Python::attach(|py| {
        join_ledger(py).unwrap();
        for (way, _, drop_it) in WAYS {
            let count = Arc::new(AtomicUsize::new(0));
            let also: Box<dyn Send + Sync> = Box::new(Counted(Arc::clone(&count)));
            drop_it(py, Box::new(PythonOwner::new(py.None(), Vec::new(), Some(also))));
            assert_eq!(count.load(Ordering::Relaxed), 1, "{way}");
        }
    });
}

#[test]
fn own_2_objects_that_go_may_drop_references_themselves() {
    alone("owners::own_2_objects_that_go_may_drop_references_themselves", || {
        Python::initialize();
        Python::attach(|py| {
            join_ledger(py).unwrap();
            let last = names(py, c"class Object: pass\nobject = Object()");
            let object = last.get_item("object").unwrap().unwrap();
            let before = references(&object);
            let inner = Reference::from(object.clone().unbind());
            let hook = Mutex::new(Some(inner));
            let run = move |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
                let inner = hook.lock().unwrap().take();
                std::thread::spawn(move || drop(inner)).join().unwrap();
            };
            let run = PyCFunction::new_closure(py, None, None, run).unwrap();
            let found = names(
                py,
                c"
ended = []
class Outer:
    def __del__(self):
        ended.append(1)
        run()
outer = Outer()
",
            );
            found.set_item("run", run).unwrap();
            let outer = found.get_item("outer").unwrap().unwrap().unbind();
            found.del_item("outer").unwrap();
            on_unknown_thread(py, Box::new(Reference::from(outer)), drop);
            give_up_parked(py);
            give_up_parked(py);
            assert_eq!(references(&object), before);
            py.run(c"assert ended == [1], ended", Some(&found), None).unwrap();
        });
    });
}
