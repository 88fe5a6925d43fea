//! Which threads may touch lent memory.

use std::sync::Barrier;

use ndbridge_interpreter::{PythonGate, join_ledger, lend_to_python};
use ndbridge_tensor::Tensor;
use pyo3::prelude::*;

use crate::alone::alone;
use crate::refusal;

#[test]
fn mut_4_lent_memory_is_borrowed_on_attached_threads_only() {
    Python::initialize();
    let tensor = Tensor::from_vec(vec![1, 2, 3]);
    Python::attach(|py| {
        lend_to_python(&tensor).unwrap();
        assert_eq!(refusal(&tensor), None);
        let inside = py.detach(|| refusal(&tensor));
        assert!(inside.unwrap().contains("Python::attach"));
        assert_eq!(refusal(&tensor), None);
        let again = py.detach(|| Python::attach(|_| refusal(&tensor)));
        assert_eq!(again, None, "attached inside of detached");
    });
    assert!(refusal(&tensor).unwrap().contains("Python::attach"));
    std::thread::scope(|scope| {
        let unknown = scope.spawn(|| refusal(&tensor)).join().unwrap();
        assert!(unknown.unwrap().contains("Python::attach"));
        let known = scope.spawn(|| Python::attach(|_| refusal(&tensor))).join().unwrap();
        assert_eq!(known, None);
    });
}

/// Asked by a thread that Python does not know, and by one that it does, while another is attached.
#[test]
fn mut_4_a_thread_is_not_attached_by_another_one_that_is() {
    Python::initialize();
    let tensor = Tensor::from_vec(vec![1, 2, 3]);
    Python::attach(|_| lend_to_python(&tensor).unwrap());
    let meet = Barrier::new(2);
    std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            let mut found = Vec::new();
            for is_known in [false, true] {
                if is_known {
                    Python::attach(|_| ());
                }
                meet.wait(); // nobody is attached
                meet.wait(); // the other one is
                found.push(refusal(&tensor).is_some());
                meet.wait();
            }
            found
        });
        // Looked at when both are done: whoever fails before leaves the other one waiting.
        let own = [(); 2].map(|()| {
            meet.wait();
            Python::attach(|_| {
                meet.wait();
                meet.wait();
                refusal(&tensor)
            })
        });
        assert_eq!(others.join().unwrap(), [true, true]);
        assert_eq!(own, [None, None]);
    });
}

#[test]
fn mut_4_the_gate_is_shut_until_the_ledger_is_joined() {
    alone("gate::mut_4_the_gate_is_shut_until_the_ledger_is_joined", || {
        let tensor = Tensor::from_vec(vec![1, 2, 3]);
        assert_eq!(refusal(&tensor), None, "not lent yet");
        tensor.storage().lend(PythonGate::shared()).unwrap();
        let no_python = refusal(&tensor).unwrap();
        assert!(no_python.contains("call join_ledger(py) first"), "{no_python}");
        Python::initialize();
        assert_eq!(refusal(&tensor), Some(no_python));
        Python::attach(|py| {
            assert_eq!(refusal(&tensor), Some(no_python));
            join_ledger(py).unwrap();
            assert_eq!(refusal(&tensor), None);
        });
        assert!(refusal(&tensor).unwrap().contains("Python::attach"));
    });
}

#[test]
fn mut_4_memory_is_not_lent_while_a_guard_of_it_lives() {
    Python::initialize();
    let tensor = Tensor::from_vec(vec![1, 2, 3]);
    Python::attach(|py| {
        let guard = tensor.read::<i32>().unwrap();
        let (class, text) = crate::said(py, &lend_to_python(&tensor).unwrap_err());
        assert_eq!(class, "BufferError");
        assert!(text.starts_with("cannot lend: still borrowed"), "{text}");
        assert!(text.contains("Rust code (gate.rs, line "), "{text}");
        drop(guard);
        lend_to_python(&tensor).unwrap();
        // The second time, also while it is borrowed; of an attached thread only.
        let _guard = tensor.read::<i32>().unwrap();
        lend_to_python(&tensor).unwrap();
        let refused = py.detach(|| lend_to_python(&tensor).map_err(|error| error.to_string()));
        assert!(refused.unwrap_err().contains("Python::attach"));
    });
}
