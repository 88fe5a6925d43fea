//! Memory that went out to Python and comes back.

use ndbridge_interpreter::{PythonGate, PythonOwner, join_ledger, lend_to_python, storage_of};
use ndbridge_storage::{ForeignAccess, Mutability};
use ndbridge_tensor::{Outside, Tensor, storage::Device};
use pyo3::prelude::*;

use Mutability::{ReadOnly, Unknown, Writable};

/// What an object says that has the tensor's memory.
fn outside(tensor: &Tensor, mutability: Mutability) -> Outside {
    Outside {
        ptr: tensor.as_ptr(),
        shape: tensor.shape().into(),
        strides: tensor.strides().into(),
        dtype: tensor.dtype(),
        byte_order: ndbridge_dtype::ByteOrder::NATIVE,
        device: Device::Cpu,
        mutability,
    }
}

/// Four elements that belong to a Python object.
fn of_python(py: Python<'_>, mutability: Mutability) -> Tensor {
    let memory = Tensor::from_vec(vec![1, 2, 3, 4]);
    let outside = outside(&memory, mutability);
    let owner = PythonOwner::new(py.None(), Vec::new(), Some(Box::new(memory)));
    let access = ForeignAccess::Lent(PythonGate::shared());
    // SAFETY: the owner has the tensor, which nobody else writes.
    unsafe { outside.into_tensor("test", owner, access) }.unwrap()
}

/// What comes back where an object says this, as the table in `known_memory.rs` has it; `None`: the
/// object gets a storage of its own.
type Back = [(Mutability, Option<Mutability>); 3];

type Case = (&'static str, fn(Python<'_>) -> Tensor, Back);

const CASES: [Case; 5] = [
    (
        "ours, read-only",
        |_| Tensor::from_vec(vec![1, 2, 3, 4]).into_constant(),
        [(Writable, Some(ReadOnly)), (Unknown, Some(ReadOnly)), (ReadOnly, Some(ReadOnly))],
    ),
    (
        "ours, writable",
        |_| Tensor::from_vec(vec![1, 2, 3, 4]),
        [(Writable, Some(Writable)), (Unknown, None), (ReadOnly, Some(ReadOnly))],
    ),
    (
        "another's, writable",
        |py| of_python(py, Writable),
        [(Writable, Some(Writable)), (Unknown, None), (ReadOnly, Some(ReadOnly))],
    ),
    (
        "another's, unknown",
        |py| of_python(py, Unknown),
        [(Writable, None), (Unknown, Some(Unknown)), (ReadOnly, Some(ReadOnly))],
    ),
    (
        "another's, read-only",
        |py| of_python(py, ReadOnly),
        [(Writable, None), (Unknown, None), (ReadOnly, Some(ReadOnly))],
    ),
];

#[test]
fn mut_2_what_comes_back_is_as_writable_as_the_table_says() {
    Python::initialize();
    Python::attach(|py| {
        join_ledger(py).unwrap();
        for (name, make, back) in CASES {
            let tensor = make(py);
            for (said, _) in back {
                assert!(storage_of(&outside(&tensor, said)).is_none(), "{name}: did not go out");
            }
            lend_to_python(&tensor).unwrap();
            for (said, expected) in back {
                let object = outside(&tensor, said);
                let found = storage_of(&object);
                let ours = found.map(|storage| object.view_of(&storage).unwrap());
                let case = format!("{name}, {said:?}");
                assert_eq!(ours.as_ref().map(Tensor::mutability), expected, "{case}");
                if let Some(ours) = ours {
                    assert!(ours.storage().same_storage(tensor.storage()), "{case}");
                    assert_eq!(ours.write::<i32>().is_ok(), expected == Some(Writable), "{case}");
                }
            }
        }
    });
}

/// Two objects over one memory that say different things each find the storage that says the same.
#[test]
fn mut_2_storages_over_one_memory_are_told_apart() {
    Python::initialize();
    Python::attach(|py| {
        join_ledger(py).unwrap();
        let first = of_python(py, Writable);
        let owner = PythonOwner::new(py.None(), Vec::new(), Some(Box::new(first.clone())));
        let access = ForeignAccess::Lent(PythonGate::shared());
        let second = outside(&first, Unknown);
        // SAFETY: the owner holds the first one, which has the memory.
        let second = unsafe { second.into_tensor("test", owner, access) }.unwrap();
        lend_to_python(&first).unwrap();
        lend_to_python(&second).unwrap();
        for (tensor, said) in [(&first, Writable), (&second, Unknown)] {
            let found = storage_of(&outside(tensor, said)).unwrap();
            assert!(found.same_storage(tensor.storage()), "{said:?}");
        }
    });
}

#[test]
fn own_1_a_part_comes_back_as_a_view_and_what_is_outside_does_not() {
    Python::initialize();
    Python::attach(|_| {
        let tensor = Tensor::from_vec((0..8).collect::<Vec<i32>>());
        lend_to_python(&tensor).unwrap();
        let part = |first: isize, len: usize, stride: isize| {
            let ptr = tensor.as_ptr().wrapping_offset(4 * first);
            let (shape, strides) = ([len][..].into(), [stride][..].into());
            Outside { ptr, shape, strides, ..outside(&tensor, Writable) }
        };
        for (first, len, stride, values) in [
            (0, 8, 4, vec![0, 1, 2, 3, 4, 5, 6, 7]),
            (2, 3, 8, vec![2, 4, 6]),
            (7, 8, -4, vec![7, 6, 5, 4, 3, 2, 1, 0]),
        ] {
            let object = part(first, len, stride);
            let view = object.view_of(&storage_of(&object).unwrap()).unwrap();
            assert_eq!(view.to_vec::<i32>().unwrap(), values);
            assert!(view.storage().same_storage(tensor.storage()));
        }
        for (first, len, stride) in [(-1, 2, 4), (7, 2, 4), (0, 9, 4), (0, 2, -4), (8, 1, 4)] {
            assert!(storage_of(&part(first, len, stride)).is_none(), "{first} {len} {stride}");
        }
        assert!(storage_of(&part(0, 0, 4)).is_none(), "no bytes");
    });
}

#[test]
fn own_1_what_is_gone_or_behind_a_shut_gate_does_not_come_back() {
    Python::initialize();
    let tensor = Tensor::from_vec(vec![1, 2, 3, 4]);
    // Sendable: what an object says, by its numbers.
    let describe = |tensor: &Tensor| outside(tensor, Writable);
    Python::attach(|py| {
        lend_to_python(&tensor).unwrap();
        assert!(storage_of(&describe(&tensor)).is_some());
        assert!(py.detach(|| storage_of(&describe(&tensor)).is_none()));
        let object = describe(&tensor);
        drop(tensor);
        assert!(storage_of(&object).is_none());
    });
}

/// More than are sorted at once.
#[test]
fn own_1_each_of_many_is_found() {
    Python::initialize();
    Python::attach(|_| {
        let tensors: Vec<Tensor> = (0..300).map(|i| Tensor::from_vec(vec![i; 4])).collect();
        for (at, tensor) in tensors.iter().enumerate() {
            lend_to_python(tensor).unwrap();
            if at % 2 == 1 {
                lend_to_python(&Tensor::from_vec(vec![at as i32])).unwrap();
            }
        }
        for tensor in &tensors {
            let found = storage_of(&outside(tensor, Writable)).unwrap();
            assert!(found.same_storage(tensor.storage()));
        }
    });
}
