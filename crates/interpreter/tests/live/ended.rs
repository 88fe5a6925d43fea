//! After the interpreter has ended.

use ndbridge_interpreter::{
    PythonOwner, Reference, check_interpreter, join_ledger, lend_to_python,
};
use ndbridge_tensor::Tensor;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::alone::alone;
use crate::{refusal, said};

/// Ends the interpreter that this thread has started.
fn end_python() {
    // SAFETY: an interpreter is there; attaches this thread.
    unsafe { ffi::PyGILState_Ensure() };
    // SAFETY: attached, on the thread that started it; nobody else uses it.
    assert_eq!(unsafe { ffi::Py_FinalizeEx() }, 0);
}

#[test]
fn own_2_nothing_is_touched_after_the_interpreter_has_ended() {
    alone("ended::own_2_nothing_is_touched_after_the_interpreter_has_ended", || {
        Python::initialize();
        let tensor = Tensor::from_vec(vec![1, 2, 3]);
        let (reference, owner, on_thread) = Python::attach(|py| {
            lend_to_python(&tensor).unwrap();
            let object = py.eval(c"object()", None, None).unwrap().unbind();
            let owner = PythonOwner::new(object.clone_ref(py), vec![object.clone_ref(py)], None);
            (Reference::from(object.clone_ref(py)), owner, Reference::from(object))
        });
        end_python();
        assert!(refusal(&tensor).unwrap().contains("or it has ended"));
        drop(reference);
        drop(owner);
        std::thread::spawn(|| drop(on_thread)).join().unwrap();
        drop(tensor);
    });
}

#[test]
fn int_2_an_interpreter_after_the_first_is_refused() {
    alone("ended::int_2_an_interpreter_after_the_first_is_refused", || {
        Python::initialize();
        let tensor = Tensor::from_vec(vec![1, 2, 3]);
        Python::attach(|py| {
            check_interpreter(py).unwrap();
            lend_to_python(&tensor).unwrap();
        });
        end_python();
        // SAFETY: none is there; this thread is attached to the new one.
        unsafe { ffi::Py_InitializeEx(0) };
        // SAFETY: attached, by the line before.
        let py = unsafe { Python::assume_attached() };
        for answer in [check_interpreter(py), join_ledger(py)] {
            let (class, text) = said(py, &answer.unwrap_err());
            assert_eq!(class, "ImportError");
            assert!(
                text.contains("has ended, and cannot begin again: start a new process"),
                "{text}"
            );
        }
        assert!(refusal(&tensor).is_some());
        let ours = Tensor::from_vec(vec![1]);
        assert_eq!(refusal(&ours), None, "memory that stays inside works");
    });
}
