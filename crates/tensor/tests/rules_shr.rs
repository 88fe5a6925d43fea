//! Sharing and copying: what shares, what copies, and that both are told truly.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its parts too")]

mod zoo;

use ndarray::{array, s};
use ndbridge_tensor::dtype::{ByteOrder, Casting};
use ndbridge_tensor::storage::{ALIGN_BYTES, Access};
use ndbridge_tensor::{
    Action, CopyOrder, CopyReason, CopyReasons, CopyRule, DType, Index, LayoutError, Order, Parts,
    Request, Scalar, Tensor, TensorError, copies, no_copy,
};
use zoo::{dtypes, same_shape, zoo};

/// Runs `call` and says how many bytes were copied meanwhile.
fn counted<R>(call: impl FnOnce() -> R) -> (R, u64) {
    let before = copies();
    let result = call();
    let after = copies();
    assert_eq!(after.bytes == before.bytes, after.copies == before.copies);
    (result, after.bytes - before.bytes)
}

fn grid() -> Tensor {
    Tensor::from_vec_with_shape((0..24).collect::<Vec<i32>>(), &[2, 3, 4]).unwrap()
}

type Maker = (&'static str, fn(&Tensor) -> Result<Tensor, TensorError>);

/// Every layout operation.
const VIEWS: &[Maker] = &[
    ("clone", |t| Ok(t.clone())),
    ("slice", |t| t.slice(s![.., 1.., ..;2])),
    ("slice reversed", |t| t.slice(s![..;-1, .., ..;-3])),
    ("index", |t| t.index(&[Index::At(-1), Index::NewAxis, Index::Ellipsis, (1..3).into()])),
    ("select", |t| t.select(1, 2)),
    ("permute", |t| t.permute(&[2, 0, 1])),
    ("transpose", Tensor::transpose),
    ("swap_axes", |t| t.swap_axes(0, -1)),
    ("flip", |t| t.flip(&[0, 2])),
    ("squeeze", |t| t.squeeze(None)),
    ("unsqueeze", |t| t.unsqueeze(-1)),
    ("broadcast_to", |t| t.broadcast_to(&[5, 2, 3, 4])),
    ("expand", |t| t.expand(&[7, -1, -1, -1])),
    ("diagonal", |t| t.diagonal(-1, 1, 2)),
    ("split", |t| Ok(t.split(Parts::Sections(2), 2)?.remove(1))),
    ("split at", |t| Ok(t.split(Parts::At(&[1]), 0)?.remove(0))),
    ("sliding_windows", |t| t.sliding_windows(&[2, 2], Some(&[1, 2]))),
    ("reshape", |t| t.reshape(&[4, -1])),
    ("reinterpret wider", |t| t.reinterpret(DType::C128)),
    ("reinterpret narrower", |t| t.reinterpret(DType::U8)),
    ("reinterpret as wide", |t| t.reinterpret(DType::F32)),
    ("convert", |t| t.convert(&Request::new("asarray"))),
    ("contiguous", |t| t.contiguous(Order::C)),
    ("into_read_only", |t| Ok(t.clone().into_read_only())),
];

#[test]
fn shr_6_every_view_shares_and_copies_nothing() {
    let tensor = grid();
    for (name, view_of) in VIEWS {
        let (view, bytes) = counted(|| view_of(&tensor).unwrap());
        assert_eq!(bytes, 0, "{name}");
        assert!(view.storage().same_storage(tensor.storage()), "{name}");
        assert!(ndbridge_tensor::shares_memory(&tensor, &view), "{name}");
        assert!(view.receipt().is_shared(), "{name}");
        let scope = no_copy();
        assert!(view_of(&tensor).is_ok(), "{name} inside of no_copy");
        drop(scope);
    }
}

#[test]
fn shr_6_views_of_views_of_the_zoo_share() {
    for case in zoo(DType::I16).into_iter().step_by(zoo::stride(7)) {
        for (name, view_of) in VIEWS {
            let (view, bytes) = counted(|| view_of(&case.tensor));
            let Ok(view) = view else { continue };
            let is_copy = *name == "contiguous" && !case.tensor.is_contiguous(Order::C);
            assert_eq!(bytes == 0, !is_copy || view.is_empty(), "{} {name}", case.name);
            assert_eq!(
                view.storage().same_storage(case.tensor.storage()),
                !is_copy,
                "{} {name}",
                case.name
            );
        }
    }
}

#[test]
fn shr_6_a_reshape_that_would_copy_names_the_call_that_does() {
    let tensor = grid().transpose().unwrap();
    let error = tensor.reshape(&[24]).unwrap_err();
    assert!(matches!(error, TensorError::Layout(LayoutError::NeedsCopy { .. })), "{error}");
    assert!(error.to_string().contains("reshape_copy"), "{error}");
    assert_eq!(tensor.reshape_copy(&[24]).unwrap().shape(), [24]);
}

#[test]
fn shr_1_imports_share() {
    let values = vec![1.0_f64, 2.0];
    let address = values.as_ptr().addr();
    let (tensor, bytes) = counted(|| Tensor::from_vec(values));
    assert_eq!((tensor.as_ptr().addr(), bytes), (address, 0));
    let values = vec![true; 6];
    let address = values.as_ptr().addr();
    let (tensor, bytes) = counted(|| Tensor::from_vec_with_shape(values, &[2, 3]).unwrap());
    assert_eq!((tensor.as_ptr().addr(), bytes), (address, 0));
    let array = array![[1_u8, 2], [3, 4]].reversed_axes();
    let address = array.as_ptr().addr();
    let (tensor, bytes) = counted(|| Tensor::from_array(array).unwrap());
    assert_eq!((tensor.as_ptr().addr(), bytes, tensor.strides()), (address, 0, &[1, 2][..]));
    let array = array![[1_u8, 2], [3, 4]].into_shared();
    let address = array.as_ptr().addr();
    let (tensor, bytes) = counted(|| Tensor::from_arc_array(array).unwrap());
    assert_eq!((tensor.as_ptr().addr(), bytes), (address, 0));
}

#[test]
fn shr_1_a_guard_that_cannot_share_names_the_copying_call() {
    for case in zoo(DType::F64).into_iter().filter(|case| !zoo::is_whole(&case.tensor)) {
        let error = case.tensor.read::<f64>().unwrap_err();
        assert!(
            matches!(error, TensorError::Unaligned { .. } | TensorError::OddStride { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("call copy("), "{}: {error}", case.name);
        assert!(case.tensor.copy(CopyOrder::Keep).unwrap().read::<f64>().is_ok(), "{}", case.name);
    }
    let error = grid().flip(&[0]).unwrap().bytes().unwrap_err();
    assert!(error.to_string().contains("call copy("), "{error}");
}

#[test]
fn shr_2_copying_calls_copy_even_if_they_could_share() {
    const COPIES: &[Maker] = &[
        ("copy C", |t| t.copy(CopyOrder::C)),
        ("copy F", |t| t.copy(CopyOrder::F)),
        ("copy keep", |t| t.copy(CopyOrder::Keep)),
        ("to_dtype, the same", |t| t.to_dtype(t.dtype())),
        ("to_dtype, another", |t| t.to_dtype(DType::F32)),
        ("reshape_copy", |t| t.reshape_copy(&[-1])),
        ("to_native_order", |t| t.to_native_order(ByteOrder::NATIVE)),
        ("convert always", |t| t.convert(&Request::new("asarray").with_copy(CopyRule::Always))),
        ("copy_of", |t| Tensor::copy_of(&*t.read::<i32>()?)),
    ];
    let tensor = grid();
    for (name, copy_of) in COPIES {
        let (copy, bytes) = counted(|| copy_of(&tensor).unwrap());
        assert_eq!(bytes, 96, "{name}");
        assert!(!copy.storage().same_storage(tensor.storage()), "{name}");
        assert!(!ndbridge_tensor::shares_memory(&copy, &tensor), "{name}");
        assert_eq!(copy.receipt().copied_bytes(), 96, "{name}");
        assert!(!copy.receipt().reasons().is_empty(), "{name}");
        let error = no_copy_error(|| copy_of(&tensor).map(drop));
        assert!(matches!(error, TensorError::CopyForbidden { bytes: 96, .. }), "{name}: {error}");
    }
    for bytes in [
        counted(|| tensor.to_vec::<i32>().unwrap()).1,
        counted(|| tensor.to_array::<i32>().unwrap()).1,
    ] {
        assert_eq!(bytes, 96);
    }
}

fn no_copy_error(call: impl FnOnce() -> Result<(), TensorError>) -> TensorError {
    let _scope = no_copy();
    call().unwrap_err()
}

#[test]
fn shr_3_copy_none_true_and_false() {
    let (plain, transposed) = (grid(), grid().transpose().unwrap());
    let request = Request::new("asarray").with_order(Order::C);
    for (rule, can_share, shares) in [
        (CopyRule::IfNeeded, true, Some(true)),
        (CopyRule::IfNeeded, false, Some(false)),
        (CopyRule::Always, true, Some(false)),
        (CopyRule::Always, false, Some(false)),
        (CopyRule::Never, true, Some(true)),
        (CopyRule::Never, false, None),
    ] {
        let source = if can_share { &plain } else { &transposed };
        let result = source.convert(&request.clone().with_copy(rule));
        let found = result.as_ref().ok().map(|result| result.as_ptr() == source.as_ptr());
        assert_eq!(found, shares, "{rule:?} {can_share}");
        if let Err(error) = result {
            assert!(
                error.to_string().starts_with("asarray: cannot share int32 (order)"),
                "{error}"
            );
        }
    }
}

#[test]
fn shr_4_a_write_through_any_sharer_is_seen_by_all() {
    type Writer = (&'static str, fn(&Tensor));
    let writers: [Writer; 5] = [
        ("guard", |t| *t.write::<i32>().unwrap().first_mut().unwrap() = -1),
        ("set", |t| t.set(&vec![0; t.ndim()], -1_i32).unwrap()),
        ("shared", |t| t.shared::<i32>().unwrap().store(&vec![0; t.ndim()], -1).unwrap()),
        ("fill", |t| {
            t.index(&vec![Index::At(0); t.ndim()]).unwrap().fill(Scalar::Int(-1)).unwrap()
        }),
        ("assign", |t| {
            t.index(&vec![Index::At(0); t.ndim()])
                .unwrap()
                .assign(&Tensor::from_vec(vec![-1_i32]).select(0, 0).unwrap())
                .unwrap();
        }),
    ];
    for (how, write) in writers {
        for (name, view_of) in VIEWS.iter().step_by(zoo::stride(6)) {
            let tensor = grid();
            let view = view_of(&tensor).unwrap();
            if view.is_read_only() || view.dtype() != DType::I32 || !zoo::reaches_once(&view) {
                continue;
            }
            let sharers =
                [tensor.clone(), tensor.transpose().unwrap(), tensor.flip(&[0, 1]).unwrap()];
            write(&view);
            for sharer in sharers {
                let seen =
                    sharer.scalars().unwrap().into_iter().filter(|&value| value == Scalar::Int(-1));
                assert_eq!(seen.count(), 1, "{how} through {name}");
            }
        }
    }
}

#[test]
fn shr_5_nothing_is_converted_silently() {
    let tensor = grid();
    for error in [
        tensor.read::<f32>().unwrap_err(),
        tensor.write::<u32>().unwrap_err(),
        tensor.shared::<i64>().unwrap_err(),
        tensor.to_vec::<i64>().unwrap_err(),
        tensor.to_array::<f64>().unwrap_err(),
        tensor.set(&[0, 0, 0], 1.0_f32).unwrap_err(),
        tensor.clone().into_array::<i8>().unwrap_err().error,
    ] {
        assert!(matches!(error, TensorError::WrongDType { found: DType::I32, .. }), "{error}");
        assert!(error.to_string().contains("call to_dtype(DType::"), "{error}");
    }
    assert_eq!(
        tensor.read::<f64>().unwrap_err().to_string(),
        "dtype int32, expected float64: call to_dtype(DType::F64) (copies 192 B)"
    );
    let floats = Tensor::from_vec(vec![0.5_f64]);
    let error = tensor.assign(&floats).unwrap_err();
    assert!(
        matches!(
            error,
            TensorError::LossyWrite {
                from: DType::F64,
                to: DType::I32,
                casting: Casting::SameKind
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("to_dtype(DType::I32)"), "{error}");
    tensor.assign_with(&floats, Casting::Unsafe).unwrap();
    assert!(tensor.fill(Scalar::Int(1 << 40)).is_err());
    assert!(tensor.fill(Scalar::Float(f64::NAN)).is_err());
}

#[test]
fn shr_5_a_change_of_data_type_is_asked_for_and_copies() {
    let tensor = grid();
    let request = Request::new("asarray").with_dtype(DType::F32);
    let converted = tensor.convert(&request).unwrap();
    assert_eq!(converted.receipt().reasons(), CopyReason::DType.into());
    assert_eq!(tensor.convert(&Request::new("asarray")).unwrap().dtype(), DType::I32);
    assert!(tensor.convert(&request.clone().with_copy(CopyRule::Never)).is_err());
    let safe = Request { casting: Casting::Safe, ..request };
    let error = tensor.convert(&safe).unwrap_err().to_string();
    assert_eq!(error, "asarray: cannot cast int32 to float32 under casting 'safe'");
}

#[test]
fn shr_7_copies_are_contiguous_aligned_private_and_writable() {
    for dtype in dtypes() {
        for case in zoo(dtype).into_iter().step_by(zoo::stride(9)) {
            let tensor = case.tensor.into_read_only();
            for (order, copy) in [
                (CopyOrder::C, tensor.copy(CopyOrder::C).unwrap()),
                (CopyOrder::F, tensor.copy(CopyOrder::F).unwrap()),
                (CopyOrder::Keep, tensor.copy(CopyOrder::Keep).unwrap()),
                (CopyOrder::Keep, tensor.to_dtype(DType::F64).unwrap()),
                (CopyOrder::Keep, tensor.to_dtype(dtype).unwrap()),
                (CopyOrder::Keep, tensor.to_native_order(ByteOrder::NATIVE).unwrap()),
                (
                    CopyOrder::C,
                    tensor.reshape_copy(&[-1]).or_else(|_| tensor.copy(CopyOrder::C)).unwrap(),
                ),
            ] {
                let what = format!("{dtype} {} {order:?}", case.name);
                assert!(copy.as_ptr().addr().is_multiple_of(ALIGN_BYTES), "{what}");
                assert_eq!(copy.storage().access(), Access::Private, "{what}");
                assert!(!copy.is_read_only() && copy.facts().writable, "{what}");
                assert_eq!(copy.storage().len_bytes(), copy.size_bytes(), "{what}: gaps");
                assert!(order != CopyOrder::C || copy.is_contiguous(Order::C), "{what}");
                assert!(order != CopyOrder::F || copy.is_contiguous(Order::F), "{what}");
                assert!(order != CopyOrder::Keep || keeps_order(&tensor, &copy), "{what}");
                assert!(copy.is_aligned(), "{what}");
            }
        }
    }
}

/// Axes that the source steps along further are not stepped along less in the copy.
fn keeps_order(source: &Tensor, copy: &Tensor) -> bool {
    let long: Vec<usize> = (0..source.ndim()).filter(|&axis| source.shape()[axis] > 1).collect();
    let step = |tensor: &Tensor, axis: usize| tensor.strides()[axis].unsigned_abs();
    let outside = |tensor: &Tensor, a, b| step(tensor, a) > step(tensor, b);
    source.is_empty()
        || long.iter().all(|&a| long.iter().all(|&b| outside(source, a, b) <= outside(copy, a, b)))
}

#[test]
fn shr_8_every_copy_is_counted_under_its_reason() {
    let tensor = grid();
    let other_vec = Tensor::from_vec(vec![0_i32; 24]).reshape(&[2, 3, 4]).unwrap();
    let cases: [(&str, CopyReason, u64, &dyn Fn()); 8] = [
        ("copy", CopyReason::Requested, 96, &|| drop(tensor.copy(CopyOrder::C))),
        ("to_dtype", CopyReason::DType, 48, &|| drop(tensor.to_dtype(DType::F16))),
        ("contiguous", CopyReason::Order, 96, &|| drop(tensor.contiguous(Order::F))),
        ("to_vec", CopyReason::Requested, 96, &|| drop(tensor.to_vec::<i32>())),
        ("swap", CopyReason::ByteOrder, 96, &|| drop(tensor.to_native_order(ByteOrder::Big))),
        ("into_array", CopyReason::Owner, 96, &|| drop(tensor.clone().into_array::<i32>())),
        ("assign", CopyReason::Requested, 96, &|| other_vec.assign(&tensor).unwrap()),
        ("overlapping assign", CopyReason::Overlap, 48, &|| {
            let (low, high) =
                (other_vec.select(0, 0).unwrap(), other_vec.slice(s![.., 0, ..]).unwrap());
            assert!(
                low.reshape(&[12])
                    .unwrap()
                    .assign(&low.reshape(&[12]).unwrap().flip(&[0]).unwrap())
                    .is_ok()
            );
            drop(high);
        }),
    ];
    for (name, reason, bytes, call) in cases {
        let before = copies();
        call();
        let after = copies();
        assert_eq!(after.bytes_for(reason) - before.bytes_for(reason), bytes, "{name}");
        assert!(after.copies > before.copies, "{name}");
        assert!(after.bytes - before.bytes >= bytes, "{name}");
    }
}

#[test]
fn shr_8_what_copies_nothing_counts_nothing() {
    let tensor = grid();
    let ((), bytes) = counted(|| {
        tensor.fill(Scalar::Int(1)).unwrap();
        tensor.set(&[0, 0, 0], 2_i32).unwrap();
        drop(tensor.read::<i32>().unwrap());
        drop(tensor.bytes().unwrap());
        assert!(tensor.to_vec::<f32>().is_err());
        assert!(tensor.read::<f32>().is_err());
        drop(Tensor::zeros(&[100], DType::F64).unwrap());
        drop(Tensor::full(&[100], Scalar::Bool(true), DType::F64).unwrap());
        assert_eq!(tensor.scalars().unwrap().len(), 24);
    });
    assert_eq!(bytes, 0);
}

#[test]
fn shr_8_the_count_is_the_threads_own() {
    let tensor = grid();
    let before = copies();
    let counted_there = std::thread::scope(|scope| {
        let there = || {
            drop(tensor.copy(CopyOrder::C).unwrap());
            copies().bytes
        };
        scope.spawn(there).join().unwrap()
    });
    assert_eq!((counted_there, copies()), (96, before));
}

#[test]
fn shr_8_no_copy_forbids_nests_and_ends() {
    let tensor = grid();
    let copy = || tensor.copy(CopyOrder::C).map(drop);
    let before = copies();
    let outer = no_copy();
    let inner = no_copy();
    assert!(copy().is_err());
    drop(outer); // in whatever order they go
    assert!(copy().is_err());
    drop(inner);
    assert_eq!(copies(), before, "what was forbidden was not done");
    copy().unwrap();
    let panicked = std::panic::catch_unwind(|| {
        let _scope = no_copy();
        panic!("inside of a scope");
    });
    assert!(panicked.is_err() && copy().is_ok());
}

#[test]
fn shr_8_no_copy_leaves_other_threads_alone() {
    let tensor = grid();
    let _scope = no_copy();
    assert!(tensor.copy(CopyOrder::C).is_err());
    std::thread::scope(|scope| {
        let there = scope.spawn(|| {
            assert!(tensor.copy(CopyOrder::C).is_ok());
            let _scope = no_copy();
            assert!(tensor.copy(CopyOrder::C).is_err());
        });
        there.join().unwrap();
    });
    assert!(tensor.copy(CopyOrder::C).is_err());
}

#[test]
fn shr_8_a_forbidden_copy_says_why_and_what_to_do() {
    let tensor = grid();
    type Case<'a> = (&'a str, &'a dyn Fn() -> Result<(), TensorError>);
    let cases: [Case<'_>; 6] = [
        (
            "to_dtype would copy 192 B (dtype), and this scope forbids copies: keep the source's dtype",
            &|| tensor.to_dtype(DType::F64).map(drop),
        ),
        (
            "copy would copy 96 B (requested), and this scope forbids copies: use a call that shares",
            &|| tensor.copy(CopyOrder::C).map(drop),
        ),
        (
            "contiguous would copy 96 B (order), and this scope forbids copies: use the source's own",
            &|| tensor.contiguous(Order::F).map(drop),
        ),
        ("assign would copy 96 B (requested)", &|| tensor.assign(&tensor)),
        ("asarray would copy 192 B (dtype, order)", &|| {
            tensor
                .convert(&Request::new("asarray").with_dtype(DType::I64).with_order(Order::F))
                .map(drop)
        }),
        (
            "would copy 96 B (owner), and this scope forbids copies: drop the other handles first",
            &|| tensor.clone().into_array::<i32>().map(drop).map_err(|failed| failed.error),
        ),
    ];
    for (expected, call) in cases {
        let error = no_copy_error(call).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn shr_8_receipts_say_what_happened() {
    let tensor = grid();
    assert_eq!(tensor.receipt().to_string(), "from_vec: shared, 0 B copied");
    assert_eq!(Tensor::zeros(&[2], DType::I8).unwrap().receipt().action(), Action::Created);
    let both = tensor
        .convert(&Request::new("asarray").with_dtype(DType::I64).with_order(Order::F))
        .unwrap();
    assert_eq!(both.receipt().to_string(), "asarray: copied 192 B (dtype, order)");
    let reasons = CopyReasons::from(CopyReason::DType).with(CopyReason::Order);
    assert_eq!(both.receipt().action(), Action::Copied { reasons, bytes: 192 });
    assert_eq!(both.flip(&[0]).unwrap().receipt(), both.receipt(), "a view keeps the receipt");
}

#[test]
fn dty_1_views_and_copies_keep_the_data_type() {
    for dtype in dtypes() {
        for case in same_shape(dtype).into_iter().step_by(zoo::stride(4)) {
            for (name, view_of) in VIEWS.iter().filter(|(name, _)| !name.starts_with("reinterpret"))
            {
                let Ok(view) = view_of(&case.tensor) else { continue };
                assert_eq!(view.dtype(), dtype, "{} {name}", case.name);
            }
            assert_eq!(case.tensor.copy(CopyOrder::Keep).unwrap().dtype(), dtype);
            assert_eq!(case.tensor.reshape_copy(&[-1]).unwrap().dtype(), dtype);
        }
        assert_eq!(Tensor::zeros(&[2], dtype).unwrap().dtype(), dtype);
        assert_eq!(Tensor::ones(&[2], dtype).unwrap().dtype(), dtype);
        assert_eq!(Tensor::from_scalar(Scalar::Bool(true), dtype).unwrap().dtype(), dtype);
    }
}
