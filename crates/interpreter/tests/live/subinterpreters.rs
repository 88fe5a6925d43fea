//! Interpreters beside the main one, and ones without a GIL.

use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use ndbridge_interpreter::{
    PythonGate, Reference, check_interpreter, give_up_parked, join_ledger, lend_to_python,
};
use ndbridge_tensor::Tensor;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::alone::alone;
use crate::owners::references;
use crate::{names, refusal, said};

const MAIN_ONLY: &str =
    "ndbridge works in the main interpreter of a process only, since one ledger";

/// Runs `body` in a subinterpreter, on this thread.
fn in_subinterpreter<R>(main: Python<'_>, body: impl FnOnce(Python<'_>) -> R) -> R {
    let _ = main;
    // SAFETY: attached to the main interpreter, as the token shows.
    let main = unsafe { ffi::PyThreadState_Get() };
    // SAFETY: as above; the new interpreter's state is this thread's afterwards.
    let state = unsafe { ffi::Py_NewInterpreter() };
    assert!(!state.is_null());
    // SAFETY: attached to the new one.
    let done = body(unsafe { Python::assume_attached() });
    // SAFETY: its state is the current one, and no other thread has one there.
    unsafe { ffi::Py_EndInterpreter(state) };
    // SAFETY: none is the current one now; that of the main interpreter still is this thread's.
    unsafe { ffi::PyThreadState_Swap(main) };
    done
}

/// Runs `body` on another thread, attached to the subinterpreter of this one.
fn on_thread_of<R: Send>(sub: Python<'_>, body: impl FnOnce() -> R + Send) -> R {
    let _ = sub;
    // SAFETY: attached, as the token shows.
    let interpreter = AtomicPtr::new(unsafe { ffi::PyInterpreterState_Get() });
    // SAFETY: as above; taken up again below.
    let state = unsafe { ffi::PyEval_SaveThread() };
    let work = || {
        // SAFETY: a live interpreter, which ends after this thread.
        let state = unsafe { ffi::PyThreadState_New(interpreter.load(Relaxed)) };
        // SAFETY: a new state of this thread's.
        unsafe { ffi::PyEval_RestoreThread(state) };
        let done = body();
        // SAFETY: the current state, attached.
        unsafe { ffi::PyThreadState_Clear(state) };
        // SAFETY: as above; not taken up again.
        let state = unsafe { ffi::PyEval_SaveThread() };
        // SAFETY: cleared, and nobody's current one; this thread is unknown to Python afterwards.
        unsafe { ffi::PyThreadState_Delete(state) };
        done
    };
    let done = std::thread::scope(|scope| scope.spawn(work).join());
    // SAFETY: the state that was saved.
    unsafe { ffi::PyEval_RestoreThread(state) };
    done.unwrap()
}

fn assert_refused(py: Python<'_>, answer: PyResult<()>) {
    let (class, text) = said(py, &answer.unwrap_err());
    assert_eq!(class, "ImportError");
    assert!(text.starts_with(MAIN_ONLY), "{text}");
    assert!(text.contains("import it there"), "{text}");
}

#[test]
fn int_2_a_subinterpreter_is_refused_and_finds_the_gate_shut() {
    alone("subinterpreters::int_2_a_subinterpreter_is_refused_and_finds_the_gate_shut", || {
        Python::initialize();
        let tensor = Tensor::from_vec(vec![1, 2, 3]);
        Python::attach(|py| {
            lend_to_python(&tensor).unwrap();
            for _ in 0..2 {
                in_subinterpreter(py, |sub| {
                    assert_refused(sub, check_interpreter(sub));
                    assert_refused(sub, join_ledger(sub));
                    assert!(refusal(&tensor).is_some());
                    let ours = Tensor::from_vec(vec![1]);
                    assert_eq!(refusal(&ours), None, "memory that stays inside works");
                    lend_to_python(&ours).unwrap();
                    assert!(refusal(&ours).is_some(), "lent to the main one");
                    let sys = sub.import("sys").unwrap();
                    assert!(!sys.hasattr("ndbridge.ledger.v2").unwrap());
                    // Where own state and current one agree.
                    let reason = on_thread_of(sub, || refusal(&tensor)).unwrap();
                    assert!(reason.starts_with(MAIN_ONLY), "{reason}");
                });
                assert_eq!(refusal(&tensor), None, "back in the main one");
                check_interpreter(py).unwrap();
            }
        });
        assert!(refusal(&tensor).is_some());
    });
}

#[test]
fn int_2_a_subinterpreter_that_comes_first_takes_nothing() {
    alone("subinterpreters::int_2_a_subinterpreter_that_comes_first_takes_nothing", || {
        Python::initialize();
        let tensor = Tensor::from_vec(vec![1, 2, 3]);
        tensor.storage().lend(PythonGate::shared()).unwrap();
        Python::attach(|py| {
            in_subinterpreter(py, |sub| {
                assert_refused(sub, join_ledger(sub));
                assert!(refusal(&tensor).is_some());
            });
            assert!(refusal(&tensor).is_some(), "the ledger is not joined yet");
            join_ledger(py).unwrap();
            assert_eq!(refusal(&tensor), None);
        });
    });
}

#[test]
fn own_2_a_subinterpreter_gives_up_no_reference_of_the_main_one() {
    alone("subinterpreters::own_2_a_subinterpreter_gives_up_no_reference_of_the_main_one", || {
        Python::initialize();
        Python::attach(|py| {
            join_ledger(py).unwrap();
            let object = names(py, c"class Object: pass\nobject = Object()");
            let object = object.get_item("object").unwrap().unwrap();
            let before = references(&object);
            let kept = Reference::from(object.clone().unbind());
            let count = || references(&object);
            let parked = in_subinterpreter(py, |sub| {
                // Not the main interpreter's thread state: parked.
                drop(kept);
                give_up_parked(sub);
                count()
            });
            assert_eq!(parked, before + 1);
            give_up_parked(py);
            assert_eq!(references(&object), before);
        });
    });
}

#[test]
fn int_2_a_python_without_a_gil_is_refused() {
    alone("subinterpreters::int_2_a_python_without_a_gil_is_refused", || {
        Python::initialize();
        let tensor = Tensor::from_vec(vec![1, 2, 3]);
        tensor.storage().lend(PythonGate::shared()).unwrap();
        Python::attach(|py| {
            names(py, c"import sys\nsys.kept = sys.version, getattr(sys, '_is_gil_enabled', None)");
            // The GIL is off; or on for now, in a build that can do without.
            for faked in [
                c"import sys\nsys._is_gil_enabled = lambda: False",
                c"import sys\nsys._is_gil_enabled = lambda: True\nsys.version = '3.13.1 free-threading'",
                c"import sys\nsys._is_gil_enabled = lambda: 1 / 0",
            ] {
                names(py, faked);
                let (class, text) = said(py, &join_ledger(py).unwrap_err());
                assert_eq!(class, "RuntimeError", "{faked:?}");
                assert!(text.starts_with("ndbridge lends no memory on a Python without a GIL"), "{text}");
                assert!(refusal(&tensor).is_some(), "{faked:?}");
                let ours = Tensor::from_vec(vec![1]);
                lend_to_python(&ours).unwrap_err();
                assert_eq!(refusal(&ours), None, "memory that stays inside works");
            }
            names(
                py,
                c"
import sys
sys.version, sys._is_gil_enabled = sys.kept
if sys._is_gil_enabled is None: del sys._is_gil_enabled
",
            );
            join_ledger(py).unwrap();
            assert_eq!(refusal(&tensor), None);
        });
    });
}
