//! Mutation: who may write what, and when.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its parts too")]

mod zoo;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::s;
use ndbridge_tensor::storage::{BorrowError, Gate, GateError, Storage};
use ndbridge_tensor::{CopyOrder, DType, Layout, Order, Scalar, Tensor, TensorError};
use zoo::{is_whole, reaches_once, same_shape, zoo};

fn grid() -> Tensor {
    Tensor::from_vec_with_shape((0..24).collect::<Vec<i32>>(), &[4, 6]).unwrap()
}

#[test]
fn mut_1_overlapping_views_of_one_storage() {
    let tensor = grid();
    let (top, left) = (tensor.slice(s![..2, ..]).unwrap(), tensor.slice(s![.., ..2]).unwrap());
    let reading = top.read::<i32>().unwrap();
    let also = left.read::<i32>().unwrap();
    assert_eq!(reading[[1, 1]], also[[1, 1]]);
    assert!(left.write::<i32>().is_err());
    assert!(left.shared::<i32>().is_err());
    drop((reading, also));
    let writing = left.write::<i32>().unwrap();
    assert!(top.read::<i32>().is_err());
    assert!(top.bytes().is_err());
    assert!(top.get(&[0, 0]).is_err());
    assert!(top.to_vec::<i32>().is_err());
    assert!(top.copy(CopyOrder::C).is_err());
    assert!(top.shared::<i32>().is_err());
    assert!(top.assign(&Tensor::from_vec(vec![0_i32])).is_err());
    assert!(top.fill(Scalar::Int(0)).is_err());
    assert!(ndbridge_tensor::array_equal(&top, &top).is_err());
    drop(writing);
    let shared = (top.shared::<i32>().unwrap(), left.shared::<i32>().unwrap());
    assert!(top.read::<i32>().is_err() && left.write::<i32>().is_err());
    drop(shared);
    assert!(top.write::<i32>().is_ok());
}

#[test]
fn mut_1_disjoint_views_do_not_conflict() {
    let tensor = grid();
    let even = tensor.slice(s![.., ..;2]).unwrap();
    let odd = tensor.slice(s![.., 1..;2]).unwrap();
    let mut writing = even.write::<i32>().unwrap();
    let mut other = odd.write::<i32>().unwrap();
    writing[[0, 0]] = other[[0, 0]] + 100;
    other[[0, 0]] = writing[[0, 0]] + 100;
    drop((writing, other));
    assert_eq!(tensor.select(0, 0).unwrap().to_vec::<i32>().unwrap(), [101, 201, 2, 3, 4, 5]);
}

#[test]
fn mut_1_parts_of_a_split_are_written_on_several_threads() {
    let tensor = Tensor::zeros(&[8, 5], DType::U16).unwrap();
    let parts = tensor.split(ndbridge_tensor::Parts::Sections(4), 1).unwrap();
    std::thread::scope(|scope| {
        for (number, part) in (1..).zip(&parts) {
            scope.spawn(move || part.write::<u16>().unwrap().fill(number));
        }
    });
    assert_eq!(tensor.select(0, 7).unwrap().to_vec::<u16>().unwrap(), [1, 1, 2, 3, 4]);
}

#[test]
fn mut_1_an_error_names_both_places() {
    let tensor = grid();
    let held_line = line!() + 1;
    let guard = tensor.write::<i32>().unwrap();
    let wanted_line = line!() + 1;
    let error = tensor.read::<i32>().unwrap_err();
    let text = error.to_string();
    for expected in [
        format!("already borrowed for writing at {}:{held_line}:", file!()),
        format!("wanted for reading at {}:{wanted_line}:", file!()),
    ] {
        assert!(text.contains(&expected), "{text}");
    }
    drop(guard);
}

/// Every call that borrows names the line of its caller, not of this crate.
#[test]
fn mut_1_every_call_names_its_caller() {
    let tensor = grid();
    let _guard = tensor.write::<i32>().unwrap();
    let row = Tensor::from_vec(vec![0_i32; 6]);
    let request = ndbridge_tensor::Request::new("asarray").with_order(Order::F);
    let here = |error: TensorError| {
        let text = error.to_string();
        assert_eq!(text.matches(file!()).count(), 2, "{text}");
    };
    here(tensor.read::<i32>().unwrap_err());
    here(tensor.write::<i32>().unwrap_err());
    here(tensor.shared::<i32>().unwrap_err());
    here(tensor.bytes().unwrap_err());
    here(tensor.get(&[0, 0]).unwrap_err());
    here(tensor.set(&[0, 0], 1_i32).unwrap_err());
    here(tensor.scalars().unwrap_err());
    here(tensor.slice(s![..1, ..1]).unwrap().item().unwrap_err());
    here(tensor.to_vec::<i32>().unwrap_err());
    here(tensor.to_array::<i32>().unwrap_err());
    here(tensor.copy(CopyOrder::C).unwrap_err());
    here(tensor.to_dtype(DType::F16).unwrap_err());
    here(tensor.reshape_copy(&[24]).unwrap_err());
    here(tensor.to_native_order(ndbridge_tensor::dtype::ByteOrder::Big).unwrap_err());
    here(tensor.convert(&request).unwrap_err());
    here(tensor.contiguous(Order::F).unwrap_err());
    here(tensor.assign(&row).unwrap_err());
    here(tensor.assign(&tensor).unwrap_err());
    here(tensor.fill(Scalar::Int(1)).unwrap_err());
    here(ndbridge_tensor::array_equal(&tensor, &tensor).unwrap_err());
    here(tensor.clone().into_array::<i32>().unwrap_err().error);
}

#[test]
fn mut_1_every_pair_of_views_conflicts_where_they_share_a_byte() {
    let specimens = same_shape(DType::U16);
    let storage = specimens[0].tensor.storage().clone();
    let on_one = |tensor: &Tensor| {
        Tensor::from_parts(storage.clone(), DType::U16, tensor.layout().clone()).unwrap()
    };
    let views: Vec<_> = specimens.iter().map(|case| (case.name, on_one(&case.tensor))).collect();
    for (one_name, one) in views.iter().step_by(zoo::stride(5)) {
        for (other_name, other) in &views {
            let bytes = |tensor: &Tensor| -> std::collections::BTreeSet<usize> {
                zoo::element_offsets(tensor).into_iter().flat_map(|at| [at, at + 1]).collect()
            };
            let disjoint = bytes(one).is_disjoint(&bytes(other));
            let what = format!("{one_name} beside {other_name}");
            assert_eq!(ndbridge_tensor::shares_memory(one, other), !disjoint, "{what}");
            let (Ok(_held), true) = (one.write::<u16>(), is_whole(other)) else { continue };
            assert_eq!(other.read::<u16>().is_ok(), disjoint, "{what}");
        }
    }
}

#[test]
fn mut_1_guards_read_and_write_what_the_layout_says() {
    for case in zoo(DType::F32) {
        let (tensor, name) = (&case.tensor, case.name);
        let read = tensor.read::<f32>();
        assert_eq!(read.is_ok(), is_whole(tensor), "{name}");
        if let Ok(guard) = read {
            assert_eq!(guard.shape(), tensor.shape(), "{name}");
            assert_eq!(
                guard.iter().copied().collect::<Vec<_>>(),
                zoo::model::<f32>(tensor),
                "{name}"
            );
        } else {
            let text = read.unwrap_err().to_string();
            assert!(text.contains("call copy("), "{text}");
        }
        let Ok(mut guard) = tensor.write::<f32>() else {
            let refused = !is_whole(tensor) || !reaches_once(tensor) || name == "interleaved axes";
            assert!(refused, "{name}");
            continue;
        };
        (0..).zip(guard.iter_mut()).for_each(|(number, element)| *element = number as f32);
        drop(guard);
        let counted: Vec<f32> = (0..tensor.len()).map(|number| number as f32).collect();
        assert_eq!(zoo::model::<f32>(tensor), counted, "{name}");
    }
}

/// ndarray's rule for mutable views is stricter than ours: what it would not take is an error.
#[test]
fn mut_1_interleaved_axes_are_written_by_assign_not_by_a_guard() {
    let storage = Storage::from_vec((0..8).collect::<Vec<i64>>());
    let layout = Layout::new(&[3, 2], &[16, 24], 0, 8).unwrap(); // elements 0 3, 2 5, 4 7
    let tensor = Tensor::from_parts(storage, DType::I64, layout).unwrap();
    assert_eq!(tensor.read::<i64>().unwrap()[[1, 1]], 5);
    let error = tensor.write::<i64>().unwrap_err();
    assert!(matches!(error, TensorError::Interleaved { copy_bytes: 48, .. }), "{error}");
    tensor.fill(Scalar::Int(9)).unwrap();
    assert_eq!(tensor.to_vec::<i64>().unwrap(), [9; 6]);
}

#[test]
fn mut_2_read_only_stays_read_only_through_every_view() {
    let tensor = grid().into_read_only();
    let views = [
        tensor.clone(),
        tensor.slice(s![1.., ..;-1]).unwrap(),
        tensor.index(&[1.into()]).unwrap(),
        tensor.select(1, 0).unwrap(),
        tensor.permute(&[1, 0]).unwrap(),
        tensor.transpose().unwrap(),
        tensor.swap_axes(0, 1).unwrap(),
        tensor.flip(&[0]).unwrap(),
        tensor.squeeze(None).unwrap(),
        tensor.unsqueeze(0).unwrap(),
        tensor.broadcast_to(&[2, 4, 6]).unwrap(),
        tensor.expand(&[4, -1]).unwrap(),
        tensor.diagonal(0, 0, 1).unwrap(),
        tensor.split(ndbridge_tensor::Parts::Sections(2), 0).unwrap().remove(1),
        tensor.sliding_windows(&[2], Some(&[0])).unwrap(),
        tensor.reshape(&[24]).unwrap(),
        tensor.reinterpret(DType::U8).unwrap(),
        tensor.convert(&ndbridge_tensor::Request::new("asarray")).unwrap(),
        tensor.contiguous(Order::C).unwrap(),
    ];
    for (number, view) in views.iter().enumerate() {
        assert!(view.is_read_only(), "view {number}");
        assert!(view.fill(Scalar::Int(0)).is_err(), "view {number}");
        let values = view.copy(CopyOrder::Keep).unwrap();
        let error = view.assign(&values).unwrap_err();
        assert!(matches!(error, TensorError::ReadOnly { .. }), "view {number}: {error}");
        assert!(!values.is_read_only(), "a copy is writable");
    }
    assert!(tensor.write::<i32>().unwrap_err().to_string().contains("read-only: write to a copy"));
    assert!(tensor.shared::<i32>().unwrap().store(&[0, 0], 1).is_err());
    assert!(tensor.set(&[0, 0], 1_i32).is_err());
    assert_eq!(tensor.to_vec::<i32>().unwrap(), (0..24).collect::<Vec<_>>());
}

#[test]
fn mut_2_a_refused_assign_copies_nothing() {
    let writable = grid();
    let read_only = writable.clone().into_read_only();
    let before = ndbridge_tensor::copies();
    assert!(read_only.assign(&writable.flip(&[0]).unwrap()).is_err());
    let wide = writable.slice(s![..1, ..1]).unwrap().broadcast_to(&[1 << 20, 1 << 30]).unwrap();
    let error = wide.assign(&writable.select(0, 0).unwrap().slice(s![..1]).unwrap()).unwrap_err();
    assert!(matches!(error, TensorError::Borrow(BorrowError::ReachesTwice { .. })), "{error}");
    assert_eq!(ndbridge_tensor::copies(), before);
}

#[test]
fn mut_2_frozen_storage_is_never_written() {
    let layout = Layout::contiguous(&[3], 1, Order::C).unwrap();
    let tensor = Tensor::from_parts(Storage::frozen(*b"abc"), DType::U8, layout).unwrap();
    assert!(tensor.is_read_only() && tensor.flip(&[0]).unwrap().is_read_only());
    let error = tensor.assign(&Tensor::from_vec(vec![0_u8])).unwrap_err();
    assert!(matches!(error, TensorError::ReadOnly { copy_bytes: 3 }), "{error}");
    assert_eq!(tensor.to_vec::<u8>().unwrap(), b"abc");
}

#[test]
fn mut_3_what_is_reached_twice_is_read_and_not_written() {
    for case in zoo(DType::I32).into_iter().filter(|case| !reaches_once(&case.tensor)) {
        let (tensor, name) = (&case.tensor, case.name);
        assert_eq!(
            tensor.read::<i32>().unwrap().iter().copied().collect::<Vec<_>>(),
            zoo::model::<i32>(tensor),
            "{name}"
        );
        let twice = |error: TensorError| {
            assert!(
                matches!(error, TensorError::Borrow(BorrowError::ReachesTwice { .. })),
                "{name}: {error}"
            );
        };
        twice(tensor.write::<i32>().unwrap_err());
        twice(tensor.fill(Scalar::Int(1)).unwrap_err());
        twice(tensor.assign(&Tensor::from_vec(vec![1_i32])).unwrap_err());
        twice(tensor.assign(tensor).unwrap_err());
        twice(tensor.set(&vec![0; tensor.ndim()], 1_i32).unwrap_err());
        let expected = zoo::model::<i32>(tensor)[4]; // of shape (2, 3): the element at [1, 1]
        let shared = tensor.shared::<i32>().unwrap();
        let index = vec![1; tensor.ndim()];
        assert_eq!(shared.load(&index).unwrap(), expected, "{name}");
        twice(shared.store(&index, 1).unwrap_err());
        drop(shared);
        assert!(!tensor.facts().writable, "{name}");
        let request =
            ndbridge_tensor::Request { writable: true, ..ndbridge_tensor::Request::new("asarray") };
        let writable = tensor.convert(&request).unwrap();
        assert!(
            writable.write::<i32>().is_ok()
                && tensor.copy(CopyOrder::Keep).unwrap().write::<i32>().is_ok()
        );
    }
}

/// A gate that can be shut.
#[derive(Default)]
struct Door(AtomicBool);

impl Gate for Door {
    fn check(&self) -> Result<(), GateError> {
        match self.0.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err(GateError { gate: "the door", reason: "open it first" }),
        }
    }
}

#[test]
fn mut_4_lent_memory_is_reached_through_its_gate_alone() {
    let tensor = grid();
    let door = Arc::new(Door::default());
    let guard = tensor.read::<i32>().unwrap();
    assert!(tensor.storage().lend(door.clone()).is_err(), "not while it is borrowed");
    drop(guard);
    tensor.storage().lend(door.clone()).unwrap();
    let view = tensor.flip(&[0]).unwrap();
    for attempt in [
        tensor.read::<i32>().map(drop),
        tensor.write::<i32>().map(drop),
        tensor.shared::<i32>().map(drop),
        tensor.bytes().map(drop),
        view.read::<i32>().map(drop),
        view.copy(CopyOrder::C).map(drop),
        view.to_dtype(DType::F64).map(drop),
        view.get(&[0, 0]).map(drop),
        view.fill(Scalar::Int(0)),
        view.assign(&tensor),
        view.to_vec::<i32>().map(drop),
    ] {
        let error = attempt.unwrap_err();
        assert!(matches!(error, TensorError::Borrow(BorrowError::Gate(_))), "{error}");
        assert_eq!(error.to_string(), "the door refuses: open it first");
    }
    let failed = view.into_array::<i32>().unwrap_err();
    assert!(matches!(failed.error, TensorError::Borrow(BorrowError::Gate(_))));
    door.0.store(true, Ordering::Relaxed);
    assert_eq!(tensor.read::<i32>().unwrap()[[0, 1]], 1);
    assert!(tensor.write::<i32>().is_ok());
}

/// Bytes 1, 0, 2, 1 as bools.
fn almost_bools() -> Tensor {
    Tensor::from_vec(vec![1_u8, 0, 2, 1]).reinterpret(DType::Bool).unwrap()
}

#[test]
fn mut_5_a_byte_that_is_no_bool_is_named() {
    let tensor = almost_bools().reshape(&[2, 2]).unwrap();
    let named = |error: TensorError, at: &[usize]| {
        let found = matches!(&error, TensorError::InvalidBool { index, byte: 2 } if index == at);
        assert!(found, "{error}");
        assert!(error.to_string().contains("reinterpret(DType::U8)"), "{error}");
    };
    named(tensor.read::<bool>().unwrap_err(), &[1, 0]);
    named(tensor.write::<bool>().unwrap_err(), &[1, 0]);
    named(tensor.to_dtype(DType::I32).unwrap_err(), &[1, 0]);
    named(tensor.to_vec::<bool>().unwrap_err(), &[1, 0]);
    named(tensor.to_array::<bool>().unwrap_err(), &[1, 0]);
    named(tensor.scalars().unwrap_err(), &[1, 0]);
    named(tensor.get(&[1, 0]).unwrap_err(), &[1, 0]);
    named(tensor.slice(s![1.., ..1]).unwrap().item().unwrap_err(), &[0, 0]);
    named(ndbridge_tensor::array_equal(&tensor, &tensor).unwrap_err(), &[1, 0]);
    named(tensor.flip(&[0, 1]).unwrap().read::<bool>().unwrap_err(), &[0, 1]);
    named(tensor.transpose().unwrap().read::<bool>().unwrap_err(), &[0, 1]);
    named(tensor.broadcast_to(&[3, 2, 2]).unwrap().read::<bool>().unwrap_err(), &[0, 1, 0]);
    let floats = Tensor::zeros(&[2, 2], DType::F32).unwrap();
    named(floats.assign(&tensor).unwrap_err(), &[1, 0]);
    named(tensor.clone().into_array::<bool>().unwrap_err().error, &[1, 0]);
}

#[test]
fn mut_5_the_shared_tier_looks_at_each_byte() {
    let tensor = almost_bools();
    let shared = tensor.shared::<bool>().unwrap();
    assert!(matches!((shared.load(&[0]), shared.load(&[1])), (Ok(true), Ok(false))));
    let error = shared.load(&[2]).unwrap_err();
    assert!(
        matches!(&error, TensorError::InvalidBool { index, byte: 2 } if index == &[2]),
        "{error}"
    );
    shared.store(&[2], true).unwrap();
    assert!(shared.load(&[2]).unwrap());
}

#[test]
fn mut_5_plain_copies_keep_the_byte_and_good_parts_are_read() {
    let tensor = almost_bools();
    assert_eq!(*tensor.copy(CopyOrder::C).unwrap().bytes().unwrap(), [1, 0, 2, 1]);
    assert_eq!(*tensor.bytes().unwrap(), [1, 0, 2, 1]);
    let other = Tensor::zeros(&[4], DType::Bool).unwrap();
    other.assign(&tensor).unwrap();
    assert_eq!(*other.bytes().unwrap(), [1, 0, 2, 1]);
    let good = tensor.slice(s![..2]).unwrap();
    assert_eq!(good.read::<bool>().unwrap().iter().collect::<Vec<_>>(), [&true, &false]);
    assert_eq!(tensor.slice(s![..;3]).unwrap().to_vec::<bool>().unwrap(), [true, true]);
    tensor.fill(Scalar::Bool(false)).unwrap();
    assert_eq!(tensor.to_vec::<bool>().unwrap(), [false; 4]);
}

/// Whichever way its axes run, a block is looked at from its lowest byte on, and no byte around it.
#[test]
fn mut_5_a_block_is_looked_at_where_it_lies() {
    let all = Tensor::from_vec(vec![2_u8, 1, 0, 0, 1, 2]).reinterpret(DType::Bool).unwrap();
    for (part, is_good) in [(s![1..5], true), (s![..4], false), (s![2..], false)] {
        let block = all.slice(part).unwrap().reshape(&[2, 2]).unwrap();
        for axes in [&[][..], &[0], &[1], &[0, 1]] {
            let flipped = block.flip(axes).unwrap();
            for view in [flipped.transpose().unwrap(), flipped] {
                assert_eq!(view.read::<bool>().is_ok(), is_good, "{part:?} {axes:?}");
            }
        }
    }
}

/// A broadcast axis longer than any walk is looked at once.
#[test]
fn mut_5_the_check_of_a_huge_broadcast_ends() {
    let tensor = almost_bools();
    let huge = tensor.slice(s![..2]).unwrap().broadcast_to(&[1 << 60, 2]).unwrap();
    assert!(huge.read::<bool>().unwrap()[[1 << 59, 0]]);
    assert!(huge.get(&[1 << 40, 0]).is_ok());
    let bad = tensor.broadcast_to(&[1 << 60, 4]).unwrap();
    assert!(
        matches!(bad.read::<bool>().unwrap_err(), TensorError::InvalidBool { index, .. } if index == [0, 2])
    );
}
