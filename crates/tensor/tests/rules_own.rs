//! Ownership: handles, owners, arrays moved in and out.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its parts too")]

mod zoo;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{ArcArray2, Array, ArrayD, Axis, Ix3, array, s};
use ndbridge_tensor::storage::Storage;
use ndbridge_tensor::{CopyReason, DType, Layout, Order, Tensor, TensorError, copies, no_copy};

/// Bytes that count how often they are dropped.
struct Counted {
    bytes: Vec<u8>,
    drops: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
    }
}

/// Bytes 0 to 11, and how often their owner was dropped.
fn counted() -> (Storage, impl Fn() -> usize) {
    let drops = Arc::new(AtomicUsize::new(0));
    let owner = Counted { bytes: (0..12).collect(), drops: Arc::clone(&drops) };
    (Storage::frozen(owner), move || drops.load(Ordering::Relaxed))
}

fn counted_tensor() -> (Tensor, impl Fn() -> usize) {
    let (storage, drops) = counted();
    let layout = Layout::contiguous(&[3, 4], 1, Order::C).unwrap();
    (Tensor::from_parts(storage, DType::U8, layout).unwrap(), drops)
}

#[test]
fn own_1_views_outlive_the_handle_they_came_from() {
    let (tensor, drops) = counted_tensor();
    let row = tensor.select(0, 1).unwrap();
    drop(tensor);
    let back = row.flip(&[0]).unwrap();
    drop(row);
    assert_eq!(back.to_vec::<u8>().unwrap(), [7, 6, 5, 4]);
    assert_eq!(drops(), 0);
    drop(back);
    assert_eq!(drops(), 1);
}

#[test]
fn own_1_cloning_shares() {
    let tensor = Tensor::from_vec(vec![1_i32, 2]);
    let clone = tensor.clone();
    assert_eq!(clone.as_ptr(), tensor.as_ptr());
    clone.set(&[0], 10).unwrap();
    assert_eq!(tensor.to_vec::<i32>().unwrap(), [10, 2]);
}

#[test]
fn own_1_the_last_handle_may_go_on_another_thread() {
    let (tensor, drops) = counted_tensor();
    let view = tensor.permute(&[1, 0]).unwrap();
    let sum = std::thread::spawn(move || {
        view.read::<u8>().unwrap().iter().map(|&x| u32::from(x)).sum::<u32>()
    });
    drop(tensor);
    assert_eq!(sum.join().unwrap(), 66);
    assert_eq!(drops(), 1);
}

#[test]
fn own_2_dropped_once_on_error() {
    let (storage, drops) = counted();
    let too_long = Layout::contiguous(&[13], 1, Order::C).unwrap();
    let error = Tensor::from_parts(storage, DType::U8, too_long).unwrap_err();
    assert!(matches!(error, TensorError::OutsideStorage { end: 13, storage_bytes: 12, .. }));
    assert_eq!(drops(), 1);
}

#[test]
fn own_2_dropped_once_when_an_array_cannot_be_taken_out() {
    let (tensor, drops) = counted_tensor();
    let failed = tensor.into_array::<f32>().unwrap_err();
    assert!(matches!(failed.error, TensorError::WrongDType { .. }), "{failed}");
    assert_eq!(drops(), 0);
    let scope = no_copy();
    let failed = failed.tensor.into_array::<u8>().unwrap_err();
    assert!(matches!(failed.error, TensorError::CopyForbidden { .. }), "{failed}");
    drop(scope);
    assert_eq!(failed.tensor.to_vec::<u8>().unwrap().len(), 12);
    drop(failed);
    assert_eq!(drops(), 1);
}

#[test]
fn own_2_dropped_once_when_copied_out() {
    let (tensor, drops) = counted_tensor();
    let (array, receipt) = tensor.into_array::<u8>().unwrap();
    assert_eq!((drops(), receipt.copied_bytes()), (1, 12));
    assert_eq!(array[[2, 3]], 11);
}

#[test]
fn own_2_dropped_once_in_a_panic_with_guards() {
    let (tensor, drops) = counted_tensor();
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let view = tensor.clone();
        let guard = view.read::<u8>().unwrap();
        assert_eq!(guard[[0, 0]], 99, "a panic with a guard");
    }));
    assert!(panicked.is_err());
    assert_eq!(drops(), 1);
}

#[test]
fn own_2_a_panic_releases_the_borrow() {
    let tensor = Tensor::from_vec(vec![1_i32]);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _guard = tensor.write::<i32>().unwrap();
        panic!("with a guard");
    }));
    assert!(panicked.is_err());
    assert!(tensor.write::<i32>().is_ok());
}

#[test]
fn own_3_a_vec_goes_in_and_comes_out_as_the_same_allocation() {
    let values = vec![1.5_f32, 2.5, 3.5];
    let address = values.as_ptr();
    let tensor = Tensor::from_vec(values);
    assert!(tensor.receipt().is_shared());
    let (array, receipt) = tensor.into_array::<f32>().unwrap();
    assert!(receipt.is_shared());
    assert_eq!(array.as_ptr(), address);
    assert_eq!(array.into_raw_vec_and_offset().0.as_ptr(), address);
}

/// Arrays of every layout that ndarray can own, each with the sum of their steps as a name.
fn arrays() -> Vec<(&'static str, ArrayD<i16>)> {
    let cube = || Array::from_shape_fn((2, 3, 4), |(i, j, k)| (100 * i + 10 * j + k) as i16);
    let mut flipped = cube();
    flipped.invert_axis(Axis(1));
    let mut all_flipped = cube().permuted_axes([2, 0, 1]);
    (0..3).for_each(|axis| all_flipped.invert_axis(Axis(axis)));
    vec![
        ("plain", cube().into_dyn()),
        ("permuted", cube().permuted_axes([1, 2, 0]).into_dyn()),
        ("transposed", cube().reversed_axes().into_dyn()),
        ("one axis reversed", flipped.into_dyn()),
        ("all axes reversed, permuted", all_flipped.into_dyn()),
        ("rows cut off the front", cube().slice_move(s![1.., .., ..]).into_dyn()),
        ("one row", cube().slice_move(s![1, 2, ..]).into_dyn()),
        ("an element", cube().slice_move(s![1, 2, 3]).into_dyn()),
        ("length-1 axes", cube().slice_move(s![1..;2, 2..3, ..]).into_dyn()),
        ("reversed row", cube().slice_move(s![0, 1, ..;-1]).into_dyn()),
        ("empty", cube().slice_move(s![.., 1..1, ..]).into_dyn()),
        ("rank 0", ndarray::arr0(7).into_dyn()),
        (
            "fortran",
            ArrayD::from_shape_vec(
                ndarray::ShapeBuilder::f(ndarray::IxDyn(&[2, 3])),
                (0..6).collect(),
            )
            .unwrap(),
        ),
    ]
}

#[test]
fn own_3_gapless_arrays_come_out_as_the_same_allocation() {
    for (name, array) in arrays() {
        let (expected, address) = (array.clone(), array.as_ptr().addr());
        let before = copies();
        let tensor = Tensor::from_array(array).unwrap();
        assert!(tensor.receipt().is_shared(), "{name}");
        if !tensor.is_empty() {
            assert_eq!(tensor.as_ptr().addr(), address, "{name}");
        }
        assert_eq!(*tensor.read::<i16>().unwrap(), *expected, "{name}");
        let (back, receipt) = tensor.into_array::<i16>().unwrap();
        assert!(receipt.is_shared(), "{name}: {receipt}");
        assert_eq!(back, expected, "{name}");
        if !back.is_empty() {
            assert_eq!(back.as_ptr().addr(), address, "{name}");
        }
        assert_eq!(copies(), before, "{name}");
    }
}

#[test]
fn own_3_gapless_views_of_a_vec_come_out_as_the_same_allocation() {
    let make = || Tensor::from_vec_with_shape((0..24).collect::<Vec<i32>>(), &[2, 3, 4]).unwrap();
    type Maker = (&'static str, fn(&Tensor) -> Tensor);
    let views: [Maker; 7] = [
        ("permuted", |t| t.permute(&[2, 0, 1]).unwrap()),
        ("flipped", |t| t.flip(&[0, 2]).unwrap()),
        ("transposed", |t| t.transpose().unwrap()),
        ("selected", |t| t.select(0, 1).unwrap()),
        ("sliced in front", |t| t.slice(s![1.., .., ..]).unwrap()),
        ("selected, flipped, permuted", |t| {
            t.select(0, 0).unwrap().flip(&[1]).unwrap().transpose().unwrap()
        }),
        ("with new axes", |t| t.unsqueeze(1).unwrap().unsqueeze(-1).unwrap()),
    ];
    for (name, view_of) in views {
        let tensor = make();
        let view = view_of(&tensor);
        drop(tensor);
        let (address, expected) = (view.as_ptr().addr(), view.to_array::<i32>().unwrap());
        let (array, receipt) = view.into_array::<i32>().unwrap();
        assert!(receipt.is_shared(), "{name}: {receipt}");
        assert_eq!((array.as_ptr().addr(), &array), (address, &expected), "{name}");
    }
}

#[test]
fn own_3_what_cannot_move_out_is_copied_and_says_why() {
    let vec = || Tensor::from_vec_with_shape((0..12).collect::<Vec<i32>>(), &[3, 4]).unwrap();
    let shared = vec();
    let _other = shared.clone();
    let cases = [
        ("other handle", shared, CopyReason::Owner),
        ("gaps", vec().slice(s![.., ..;2]).unwrap(), CopyReason::Order),
        (
            "broadcast",
            vec().select(0, 0).unwrap().broadcast_to(&[2, 4]).unwrap(),
            CopyReason::Order,
        ),
        (
            "windows",
            vec().reshape(&[12]).unwrap().sliding_windows(&[3], None).unwrap(),
            CopyReason::Order,
        ),
        ("other owner", vec().copy(ndbridge_tensor::CopyOrder::C).unwrap(), CopyReason::Owner),
        (
            "other type",
            Tensor::from_vec(vec![1.0_f32]).reinterpret(DType::I32).unwrap(),
            CopyReason::Owner,
        ),
        ("read-only", vec().into_read_only(), CopyReason::ReadOnly),
        ("half an item in", half_an_item_in(), CopyReason::Order),
    ];
    for (name, tensor, reason) in cases {
        let expected = tensor.to_array::<i32>().unwrap();
        let before = copies();
        let (address, bytes) = (tensor.as_ptr().addr(), tensor.size_bytes());
        let (array, receipt) = tensor.into_array::<i32>().unwrap();
        assert_eq!(array, expected, "{name}");
        assert_ne!(array.as_ptr().addr(), address, "{name}");
        assert_eq!(receipt.reasons(), reason.into(), "{name}: {receipt}");
        assert_eq!(receipt.copied_bytes(), bytes, "{name}");
        assert_eq!(copies().bytes_for(reason) - before.bytes_for(reason), bytes as u64, "{name}");
    }
}

fn half_an_item_in() -> Tensor {
    let storage = Storage::from_vec((0..6).collect::<Vec<i32>>());
    let layout = Layout::new(&[4], &[4], 2, 4).unwrap();
    Tensor::from_parts(storage, DType::I32, layout).unwrap()
}

#[test]
fn own_3_views_of_the_zoo_come_out_as_what_they_are() {
    for dtype in [DType::I32, DType::C128] {
        for case in zoo::zoo(dtype) {
            if dtype == DType::I32 {
                let expected = zoo::model::<i32>(&case.tensor);
                let shape = case.tensor.shape().to_vec();
                let (array, _) = case.tensor.into_array::<i32>().unwrap();
                assert_eq!(array.shape(), shape, "{}", case.name);
                assert_eq!(array.iter().copied().collect::<Vec<_>>(), expected, "{}", case.name);
            } else {
                let error = case.tensor.into_array::<i32>().unwrap_err();
                assert_eq!(error.tensor.dtype(), DType::C128);
            }
        }
    }
}

/// A `Vec<bool>` whose bytes no longer are bools stays in.
#[test]
fn own_3_a_vec_that_was_broken_meanwhile_is_not_given_back() {
    let tensor = Tensor::from_vec(vec![true, false]);
    tensor.reinterpret(DType::U8).unwrap().set(&[1], 2_u8).unwrap();
    let failed = tensor.into_array::<bool>().unwrap_err();
    assert!(matches!(failed.error, TensorError::InvalidBool { byte: 2, .. }), "{failed}");
    failed.tensor.fill(ndbridge_tensor::Scalar::Bool(true)).unwrap();
    assert!(failed.tensor.into_array::<bool>().unwrap().1.is_shared());
}

#[test]
fn own_4_an_arc_array_comes_in_shared_and_read_only() {
    let array: ArcArray2<f64> = array![[1.0, 2.0], [3.0, 4.0]].into_shared();
    let other = array.clone();
    let before = copies();
    let tensor = Tensor::from_arc_array(array).unwrap();
    assert_eq!(copies(), before);
    assert_eq!(tensor.as_ptr().addr(), other.as_ptr().addr());
    assert!(tensor.is_read_only() && tensor.receipt().is_shared());
    for view in
        [tensor.clone(), tensor.flip(&[0]).unwrap(), tensor.reinterpret(DType::U64).unwrap()]
    {
        assert!(view.is_read_only());
        assert!(view.fill(ndbridge_tensor::Scalar::Int(0)).is_err());
    }
    assert!(matches!(tensor.write::<f64>().unwrap_err(), TensorError::ReadOnly { copy_bytes: 32 }));
    let shared = tensor.shared::<f64>().unwrap();
    assert_eq!(shared.load(&[1, 0]).unwrap(), 3.0);
    assert!(matches!(shared.store(&[1, 0], 0.0).unwrap_err(), TensorError::ReadOnly { .. }));
    drop(shared);
    drop(other);
    assert_eq!(tensor.to_vec::<f64>().unwrap(), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn own_4_writing_to_another_holder_leaves_the_tensor_alone() {
    let mut array =
        Array::<i32, Ix3>::from_shape_fn((2, 2, 2), |(i, j, k)| (4 * i + 2 * j + k) as i32)
            .into_shared();
    let tensor = Tensor::from_arc_array(array.clone()).unwrap();
    let guard = tensor.read::<i32>().unwrap();
    array[[0, 0, 0]] = 100; // copies on write
    assert_eq!((guard[[0, 0, 0]], array[[0, 0, 0]]), (0, 100));
}

#[test]
fn own_4_arc_arrays_of_every_layout() {
    for (name, array) in arrays() {
        let expected = array.clone();
        let tensor = Tensor::from_arc_array(array.into_shared()).unwrap();
        assert_eq!(*tensor.read::<i16>().unwrap(), *expected, "{name}");
        let (back, receipt) = tensor.into_array::<i16>().unwrap();
        assert_eq!((back, receipt.is_shared()), (expected, false), "{name}");
    }
}
