//! Which threads may touch lent memory, in a process that is an interpreter itself.

use ndbridge_interpreter::{join_ledger, lend_to_python};
use ndbridge_storage::BorrowError;
use ndbridge_tensor::{Tensor, TensorError};
use pyo3::prelude::*;

/// Why the gate refuses this thread; `None` if it lets it in.
fn refusal(tensor: &Tensor) -> Option<&'static str> {
    match tensor.read::<i32>() {
        Ok(_) => None,
        Err(TensorError::Borrow(BorrowError::Gate(error))) => Some(error.reason),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn mut_4_lent_memory_is_borrowed_on_attached_threads_only() {
    Python::initialize();
    let tensor = Tensor::from_vec(vec![1, 2, 3]);
    Python::attach(|py| {
        join_ledger(py).unwrap();
        lend_to_python(&tensor).unwrap();
        assert_eq!(refusal(&tensor), None);
        let inside = py.detach(|| refusal(&tensor));
        assert!(inside.unwrap().contains("Python::attach"));
        assert_eq!(refusal(&tensor), None);
    });
    assert!(refusal(&tensor).unwrap().contains("Python::attach"));
    std::thread::scope(|scope| {
        let unknown = scope.spawn(|| refusal(&tensor)).join().unwrap();
        assert!(unknown.unwrap().contains("Python::attach"));
        let known = scope.spawn(|| Python::attach(|_| refusal(&tensor))).join().unwrap();
        assert_eq!(known, None);
    });
}
