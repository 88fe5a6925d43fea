//! Hostile shapes, strides and indices: an error or the right answer, never a panic, in debug and
//! in release builds.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its parts too")]

mod zoo;

use ndarray::{Array, ArrayView1, ShapeBuilder};
use ndbridge_tensor::storage::Storage;
use ndbridge_tensor::{
    CopyOrder, DType, Layout, LayoutError, Order, Parts, Request, Scalar, Tensor, TensorError,
    array_equal, shares_memory,
};
use proptest::prelude::*;

const MAX: usize = isize::MAX as usize;

/// A scalar seen as many times as a layout can count.
fn huge(dtype: DType) -> Tensor {
    let one = Tensor::from_scalar(Scalar::Bool(true), dtype).unwrap();
    one.broadcast_to(&[1 << 31, 1 << 31]).unwrap()
}

fn is_out_of_room<T>(result: Result<T, TensorError>) -> bool {
    matches!(
        result.err().expect("there is no such memory"),
        TensorError::Storage(_) | TensorError::Layout(LayoutError::TooLarge { .. })
    )
}

#[test]
#[cfg_attr(miri, ignore = "Miri ends where an allocation fails")]
fn shr_6_a_huge_broadcast_is_read_and_never_copied() {
    for dtype in [DType::Bool, DType::U8, DType::F64, DType::C128] {
        let tensor = huge(dtype);
        assert_eq!(tensor.len(), 1 << 62);
        assert_eq!(tensor.get(&[1 << 30, (1 << 31) - 1]).unwrap().to_element::<f64>(), 1.0);
        assert!(tensor.fill(Scalar::Bool(true)).is_err());
        assert!(tensor.assign(&tensor).is_err());
        assert!(is_out_of_room(tensor.copy(CopyOrder::Keep)));
        assert!(is_out_of_room(tensor.copy(CopyOrder::F)));
        assert!(is_out_of_room(tensor.to_dtype(DType::C64)));
        assert!(is_out_of_room(tensor.reshape_copy(&[-1])));
        assert!(is_out_of_room(tensor.contiguous(Order::C)));
        assert!(is_out_of_room(tensor.scalars()));
        assert!(tensor.item().is_err());
        assert!(shares_memory(&tensor, &tensor.flip(&[0, 1]).unwrap()));
        let request = Request::new("asarray").with_dtype(DType::C128).with_order(Order::F);
        assert!(is_out_of_room(tensor.convert(&request)));
    }
    let tensor = huge(DType::F64);
    assert!(is_out_of_room(tensor.to_vec::<f64>()));
    assert_eq!(tensor.size_bytes(), usize::MAX, "saturates");
    let guard = tensor.read::<f64>().unwrap();
    assert_eq!((guard[[5, 1 << 30]], guard.len()), (1.0, 1 << 62));
    drop(guard);
    let failed = tensor.into_array::<f64>().unwrap_err();
    assert!(is_out_of_room(Err::<(), _>(failed.error)));
}

#[test]
fn own_3_a_huge_broadcast_array_is_not_copied_in() {
    let one = [1.0_f64];
    for len in [1 << 60, MAX] {
        let view = ArrayView1::from(&one);
        let view = view.broadcast(len).unwrap();
        assert!(is_out_of_room(Tensor::copy_of(&*view)), "{len}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri ends where an allocation fails")]
fn shr_1_shapes_that_no_memory_has_are_errors() {
    for shape in [&[usize::MAX][..], &[MAX, 2], &[1 << 32, 1 << 32], &[usize::MAX, usize::MAX, 0]] {
        for dtype in [DType::U8, DType::C128] {
            assert!(is_out_of_room(Tensor::zeros(shape, dtype)), "{shape:?}");
            assert!(is_out_of_room(Tensor::full(shape, Scalar::Int(1), dtype)), "{shape:?}");
        }
        assert!(Tensor::from_vec_with_shape(vec![1_u8], shape).is_err());
        assert!(Tensor::from_vec_with_shape(Vec::<u8>::new(), shape).is_err());
    }
    assert!(is_out_of_room(Tensor::zeros(&[MAX - 100], DType::U8)));
    assert!(Tensor::zeros(&[1; 65], DType::U8).is_err());
    let deep = Tensor::zeros(&[1; 64], DType::U8).unwrap();
    assert!(deep.unsqueeze(0).is_err());
    assert_eq!(deep.read::<u8>().unwrap().ndim(), 64);
    assert_eq!(deep.to_vec::<u8>().unwrap(), [0]);
    assert!(deep.into_array::<u8>().is_ok());
}

/// No elements, and lengths that no memory of this data type could have.
#[test]
fn shr_1_huge_lengths_beside_a_zero() {
    for dtype in [DType::Bool, DType::F64, DType::C128] {
        let wide = Tensor::zeros(&[0, 1], dtype).unwrap().broadcast_to(&[0, MAX]).unwrap();
        let late = Layout::new(&[0, 1 << 62], &[-1, isize::MIN], MAX, 1).unwrap();
        let late = Tensor::from_parts(Storage::zeroed(0).unwrap(), dtype, late).unwrap();
        for tensor in [wide, late] {
            assert!(tensor.is_empty() && tensor.is_aligned() && tensor.facts().writable);
            assert_eq!(tensor.scalars().unwrap(), []);
            assert!(tensor.fill(Scalar::Bool(true)).is_ok());
            assert!(tensor.assign(&tensor).is_ok());
            assert!(array_equal(&tensor, &tensor).unwrap());
            assert!(!shares_memory(&tensor, &tensor));
            assert_eq!(tensor.bytes().unwrap().len(), 0);
            assert!(tensor.get(&[0, 0]).is_err());
            let _ = tensor.copy(CopyOrder::C); // has no layout without gaps: an error is fine
            if dtype == DType::F64 {
                assert_eq!(tensor.read::<f64>().unwrap().shape(), tensor.shape());
                assert_eq!(tensor.write::<f64>().unwrap().len(), 0);
                assert!(tensor.shared::<f64>().unwrap().load(&[0, 0]).is_err());
                assert_eq!(tensor.to_vec::<f64>().unwrap(), []);
                assert_eq!(tensor.to_array::<f64>().unwrap().shape(), tensor.shape());
                assert_eq!(tensor.into_array::<f64>().unwrap().0.len(), 0);
            }
        }
    }
    let empty = Array::<f64, _>::from_shape_vec((0, 1 << 62), vec![]).unwrap();
    assert!(Tensor::copy_of(&*empty).is_err() && Tensor::from_array(empty).is_err());
}

#[test]
fn own_2_layouts_outside_of_their_storage_are_refused() {
    let storage = Storage::from_vec(vec![0_u64; 4]);
    let make = |shape: &[usize], strides: &[isize], offset, item| {
        let layout = Layout::new(shape, strides, offset, item)?;
        Tensor::from_parts(storage.clone(), DType::F64, layout)
    };
    for (shape, strides, offset) in [
        (&[5][..], &[8][..], 0),
        (&[4], &[8], 1),
        (&[4], &[-8], 23),
        (&[4], &[-8], 32),
        (&[2], &[isize::MAX], 0),
        (&[2], &[isize::MIN], 0),
        (&[], &[], 25),
        (&[], &[], MAX),
        (&[], &[], usize::MAX),
        (&[1], &[0], MAX),
        (&[2, 2], &[16, 16], 0),
        (&[usize::MAX], &[0], 0),
        (&[3, 3, 3], &[isize::MAX, isize::MIN, 8], 8),
    ] {
        for item in [1, 8, usize::MAX] {
            assert!(make(shape, strides, offset, item).is_err(), "{shape:?} {strides:?} {offset}");
        }
    }
    assert!(make(&[4], &[-8], 24, 1).is_ok() && make(&[1], &[isize::MIN], 24, 8).is_ok());
    // As items of 8 bytes the last one would reach past the end, whatever the layout was made for.
    assert!(make(&[4], &[8], 7, 1).is_err());
}

#[test]
fn shr_6_hostile_arguments_are_errors() {
    let tensor = Tensor::zeros(&[2, 3], DType::I32).unwrap();
    let far = [isize::MIN, isize::MIN + 1, -4, 3, isize::MAX];
    for at in far {
        assert!(tensor.select(0, at).is_err() && tensor.select(at, 0).is_err());
        assert!(tensor.flip(&[at]).is_err() && tensor.permute(&[0, at]).is_err());
        assert!(tensor.squeeze(Some(&[at])).is_err() && tensor.swap_axes(at, 0).is_err());
        assert!(
            tensor.diagonal(0, at, 0).is_err() && tensor.split(Parts::Sections(1), at).is_err()
        );
        assert!(tensor.reshape(&[at, -1]).is_err() || at == 3);
        assert!(tensor.index(&[at.into()]).is_err());
    }
    for offset in [isize::MIN, isize::MAX, 1 << 40] {
        assert!(tensor.diagonal(offset, 0, 1).is_ok_and(|diagonal| diagonal.is_empty()));
    }
    assert!(
        tensor.expand(&[isize::MIN, 3]).is_err() && tensor.expand(&[isize::MAX, 2, 3]).is_err()
    );
    assert!(tensor.broadcast_to(&[usize::MAX, 2, 3]).is_err());
    assert!(tensor.sliding_windows(&[usize::MAX, 1], None).is_err());
    assert!(tensor.reshape(&[isize::MAX, isize::MAX]).is_err());
    assert!(tensor.reshape_copy(&[isize::MAX, 0, -1]).is_err());
    for index in [&[][..], &[0], &[0, 0, 0], &[2, 0], &[0, usize::MAX]] {
        assert!(tensor.get(index).is_err() && tensor.set(index, 1_i32).is_err(), "{index:?}");
        let shared = tensor.shared::<i32>().unwrap();
        assert!(shared.load(index).is_err() && shared.store(index, 1).is_err(), "{index:?}");
    }
    let slices = [(None, None, isize::MIN), (Some(isize::MIN), Some(isize::MAX), isize::MAX)];
    for (start, stop, step) in slices {
        let view = tensor.index(&[ndbridge_tensor::Index::Slice { start, stop, step }]).unwrap();
        assert_eq!(view.shape(), [1, 3]);
        assert_eq!(view.to_vec::<i32>().unwrap(), [0; 3]);
        assert!(view.write::<i32>().is_ok() && view.flip(&[0]).unwrap().read::<i32>().is_ok());
    }
}

/// Host code leaves device memory alone: the pointer here would fault at once.
#[test]
fn dev_1_memory_is_never_touched_by_host_code() {
    use ndbridge_tensor::Device;

    let storage = device_storage(Device::Cuda(0));
    let layout = Layout::contiguous(&[4], 4, Order::C).unwrap();
    let tensor = Tensor::from_parts(storage, DType::F32, layout).unwrap();
    let view = tensor.flip(&[0]).unwrap();
    let host = Tensor::zeros(&[4], DType::F32).unwrap();
    for attempt in [
        tensor.read::<f32>().map(drop),
        tensor.write::<f32>().map(drop),
        tensor.shared::<f32>().map(drop),
        tensor.bytes().map(drop),
        view.to_vec::<f32>().map(drop),
        view.get(&[0]).map(drop),
        view.scalars().map(drop),
        view.fill(Scalar::Int(0)),
        view.assign(&host),
        host.assign(&view),
        array_equal(&host, &tensor).map(drop),
        tensor.clone().into_array::<f32>().map(drop).map_err(|failed| failed.error),
    ] {
        let error = attempt.unwrap_err();
        assert!(matches!(error, TensorError::OnDevice { device: Device::Cuda(0), .. }), "{error}");
        assert!(error.to_string().contains("call cpu()"), "{error}");
    }
    for attempt in [view.copy(CopyOrder::C), view.to_dtype(DType::F64), view.cpu(), host.cuda(1)] {
        let error = attempt.unwrap_err().to_string();
        assert!(error.contains("no device cuda:") && error.contains("feature `cuda`"), "{error}");
    }
    assert!(matches!(tensor.contiguous(Order::C), Ok(shared) if shared.receipt().is_shared()));
    assert!(tensor.convert(&Request::new("asarray").with_dtype(DType::F16)).is_err());
    assert!(!tensor.to_string().is_empty(), "says why it cannot be printed");
}

#[expect(unsafe_code, reason = "stands for memory that a driver gave")]
fn device_storage(device: ndbridge_tensor::Device) -> Storage {
    use ndbridge_tensor::storage::{Foreign, ForeignAccess, Mutability};
    let foreign = Foreign {
        owner: (),
        name: "no driver",
        ptr: std::ptr::without_provenance_mut(64),
        len_bytes: 16,
        device,
        mutability: Mutability::Writable,
        access: ForeignAccess::Private,
    };
    // SAFETY: device memory, which nobody touches.
    unsafe { Storage::from_foreign(foreign) }.unwrap()
}

fn cases() -> ProptestConfig {
    let cases = if cfg!(miri) { 12 } else { 2000 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn strides() -> impl Strategy<Value = isize> {
    prop_oneof![8 => -20_isize..21, 1 => any::<isize>(), 1 => Just(isize::MIN)]
}

fn lens() -> impl Strategy<Value = usize> {
    prop_oneof![10 => 0_usize..4, 1 => Just(1 << 40), 1 => Just(usize::MAX)]
}

proptest! {
    #![proptest_config(cases())]

    /// Whatever the parts, a tensor that exists reads, copies and writes what its layout says.
    #[test]
    fn mut_1_random_parts_give_an_error_or_a_sound_tensor(
        axes in prop::collection::vec((lens(), strides()), 0..5),
        offset in 0_usize..80,
        dtype in prop::sample::select(vec![DType::U8, DType::I16, DType::I32, DType::C64]),
        made_for in prop::sample::select(vec![1_usize, 4, 16]),
    ) {
        let (shape, strides): (Vec<_>, Vec<_>) = axes.into_iter().unzip();
        let Ok(layout) = Layout::new(&shape, &strides, offset, made_for) else { return Ok(()) };
        let storage = Storage::from_vec((0..12).collect::<Vec<u64>>());
        let Ok(tensor) = Tensor::from_parts(storage, dtype, layout) else { return Ok(()) };
        if tensor.len() > 100_000 {
            prop_assert!(tensor.read::<u8>().is_ok() == (dtype == DType::U8));
            return Ok(());
        }
        let bytes = zoo::element_bytes(&tensor);
        if let Ok(copy) = tensor.copy(CopyOrder::Keep) {
            prop_assert_eq!(&zoo::element_bytes(&copy), &bytes);
        }
        if dtype == DType::I32 {
            let values = zoo::model::<i32>(&tensor);
            prop_assert_eq!(tensor.to_vec::<i32>().unwrap(), &values[..]);
            match tensor.read::<i32>() {
                Ok(guard) => prop_assert!(guard.iter().eq(&values)),
                Err(_) => prop_assert!(!zoo::is_whole(&tensor)),
            }
            if let Ok(mut guard) = tensor.write::<i32>() {
                guard.iter_mut().for_each(|value| *value = !*value);
                drop(guard);
                prop_assert!(zoo::model::<i32>(&tensor).iter().zip(&values).all(|(&new, &old)| new == !old));
            }
        }
        let filled = tensor.fill(Scalar::Int(1));
        prop_assert_eq!(filled.is_ok(), zoo::reaches_once(&tensor));
        let (array, sum) = (tensor.clone().into_array::<i16>(), tensor.len());
        prop_assert_eq!(array.is_ok_and(|(array, _)| array.len() == sum), dtype == DType::I16);
    }

    /// Arrays of ndarray's own making, with any strides that it allows.
    #[test]
    fn own_3_random_arrays_come_out_as_they_went_in(
        shape in prop::collection::vec(0_usize..4, 0..5),
        fortran in any::<bool>(),
        flips in prop::collection::vec(any::<bool>(), 5),
        steps in prop::collection::vec(1_isize..3, 5),
        turn in 0_usize..5,
    ) {
        let len = shape.iter().product::<usize>();
        let shape = ndarray::IxDyn(&shape).set_f(fortran);
        let mut array = Array::from_shape_vec(shape, (0..len as i64).collect()).unwrap();
        for axis in 0..array.ndim() {
            array.slice_axis_inplace(ndarray::Axis(axis), ndarray::Slice::new(0, None, steps[axis]));
            if flips[axis] {
                array.invert_axis(ndarray::Axis(axis));
            }
        }
        let ndim = array.ndim();
        let axes: Vec<usize> = (0..ndim).map(|axis| (axis + turn) % ndim).collect();
        let array = array.permuted_axes(axes);
        let tensor = Tensor::from_array(array.clone()).unwrap();
        prop_assert_eq!(tensor.shape(), array.shape());
        prop_assert!(tensor.read::<i64>().unwrap().iter().eq(array.iter()));
        prop_assert_eq!(&tensor.to_array::<i64>().unwrap(), &array);
        let copy = Tensor::copy_of(&*array).unwrap();
        prop_assert!(array_equal(&copy, &tensor).unwrap());
        let (back, receipt) = tensor.into_array::<i64>().unwrap();
        prop_assert_eq!(&back, &array);
        prop_assert!(receipt.is_shared() || steps.contains(&2));
    }
}
