//! Every operation that moves elements, over every pair of views of the zoo, beside the slow
//! obvious way.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its parts too")]

mod zoo;

use ndbridge_tensor::dtype::{Casting, convert, match_dtype};
use ndbridge_tensor::{CopyOrder, DType, Element, Order, Scalar, Tensor, array_equal, copies};
use zoo::{bytes_of_each, dtypes, element_bytes, model, reaches_once, same_shape, zoo};

const ORDERS: [CopyOrder; 3] = [CopyOrder::C, CopyOrder::F, CopyOrder::Keep];

#[test]
fn dty_1_one_element_reads_as_its_bytes_say() {
    for dtype in dtypes() {
        for case in zoo(dtype) {
            let (tensor, name) = (&case.tensor, case.name);
            let expected: Vec<Scalar> = match_dtype!(dtype, T =>
                model::<T>(tensor).into_iter().map(Scalar::from_element).collect());
            let got: Vec<Scalar> =
                zoo::indices(tensor.shape()).iter().map(|at| tensor.get(at).unwrap()).collect();
            assert_eq!(format!("{got:?}"), format!("{expected:?}"), "{dtype} {name}");
            let all = tensor.scalars().unwrap();
            assert_eq!(format!("{all:?}"), format!("{expected:?}"), "{dtype} {name}");
        }
    }
}

#[test]
fn dty_1_copies_of_every_view_keep_every_byte() {
    for dtype in dtypes() {
        for case in zoo(dtype) {
            for order in ORDERS {
                let copy = case.tensor.copy(order).unwrap();
                let what = format!("{dtype} {} {order:?}", case.name);
                assert_eq!(copy.dtype(), dtype, "{what}");
                assert_eq!(copy.shape(), case.tensor.shape(), "{what}");
                assert_eq!(element_bytes(&copy), element_bytes(&case.tensor), "{what}");
            }
            match_dtype!(dtype, T => to_vec_equals_model::<T>(&case.tensor, case.name));
        }
    }
}

fn to_vec_equals_model<T: Element>(tensor: &Tensor, name: &str) {
    let expected = bytes_of_each(&model::<T>(tensor));
    assert_eq!(bytes_of_each(&tensor.to_vec::<T>().unwrap()), expected, "{} {name}", T::DTYPE);
    let array = tensor.to_array::<T>().unwrap();
    assert_eq!(array.shape(), tensor.shape(), "{} {name}", T::DTYPE);
    assert!(array.is_standard_layout(), "{} {name}", T::DTYPE);
}

#[test]
fn dty_3_casts_of_every_pair_of_data_types_equal_convert() {
    for from in dtypes() {
        for to in dtypes() {
            for case in zoo(from) {
                let cast = case.tensor.to_dtype(to).unwrap();
                let expected = match_dtype!(from, S => match_dtype!(to, D =>
                    bytes_of_each(&model::<S>(&case.tensor).into_iter().map(convert::<S, D>).collect::<Vec<_>>())));
                assert_eq!(element_bytes(&cast), expected, "{from} to {to}, {}", case.name);
            }
        }
    }
}

#[test]
fn dty_3_casts_of_the_hardest_values_equal_convert() {
    let hard =
        [f64::NAN, f64::INFINITY, -f64::INFINITY, -0.0, 0.5, -1.5, 300.7, -1e300, 65520.0, 448.1];
    let source = Tensor::from_vec(hard.to_vec());
    for via in [DType::F64, DType::F32, DType::F16, DType::BF16, DType::C128, DType::F8E5M2] {
        let source = source.to_dtype(via).unwrap();
        for to in dtypes() {
            let expected = match_dtype!(via, S => match_dtype!(to, D =>
                bytes_of_each(&model::<S>(&source).into_iter().map(convert::<S, D>).collect::<Vec<_>>())));
            assert_eq!(element_bytes(&source.to_dtype(to).unwrap()), expected, "{via} to {to}");
        }
    }
}

/// What the storage of `to` holds after the elements of `values` were written into its view.
fn written(to: &Tensor, values: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = zoo::snapshot(to);
    for (at, value) in zoo::element_offsets(to).into_iter().zip(values) {
        bytes[at..at + value.len()].copy_from_slice(value);
    }
    bytes
}

#[test]
fn shr_4_assign_between_every_pair_of_views_writes_those_elements_and_no_other_byte() {
    for dtype in dtypes() {
        for from in same_shape(dtype).into_iter().step_by(zoo::stride(3)) {
            for to in same_shape(dtype).into_iter().step_by(zoo::stride(5)) {
                let what = format!("{dtype}: {} to {}", from.name, to.name);
                let before = zoo::snapshot(&to.tensor);
                let expected = written(&to.tensor, &element_bytes(&from.tensor));
                let assigned = to.tensor.assign(&from.tensor);
                assert_eq!(assigned.is_ok(), reaches_once(&to.tensor), "{what}");
                let now = zoo::snapshot(&to.tensor);
                assert_eq!(now, if assigned.is_ok() { expected } else { before }, "{what}");
            }
        }
    }
}

#[test]
fn dty_3_assign_between_data_types_equals_convert() {
    for from_dtype in dtypes() {
        for to_dtype in dtypes() {
            for from in same_shape(from_dtype).into_iter().step_by(5) {
                for to in same_shape(to_dtype).into_iter().step_by(7) {
                    if !reaches_once(&to.tensor) {
                        continue;
                    }
                    let converted = from.tensor.to_dtype(to_dtype).unwrap();
                    let expected = written(&to.tensor, &element_bytes(&converted));
                    to.tensor.assign_with(&from.tensor, Casting::Unsafe).unwrap();
                    let what = format!("{from_dtype} {} to {to_dtype} {}", from.name, to.name);
                    assert_eq!(zoo::snapshot(&to.tensor), expected, "{what}");
                }
            }
        }
    }
}

#[test]
fn shr_4_fill_writes_every_element_and_no_other_byte() {
    for dtype in dtypes() {
        for case in zoo(dtype) {
            let value = match_dtype!(dtype, T => bytes_of_each(&[zoo::sample::<T>(77)])[0].clone());
            let scalar = match_dtype!(dtype, T => Scalar::from_element(zoo::sample::<T>(77)));
            let expected = written(&case.tensor, &vec![value; case.tensor.len()]);
            let filled = case.tensor.fill(scalar);
            assert_eq!(filled.is_ok(), reaches_once(&case.tensor), "{dtype} {}", case.name);
            if filled.is_ok() {
                assert_eq!(zoo::snapshot(&case.tensor), expected, "{dtype} {}", case.name);
            }
        }
    }
}

#[test]
fn shr_4_set_writes_one_element_where_a_guard_can() {
    for case in zoo(DType::I32) {
        let index = vec![0; case.tensor.ndim()];
        let set = case.tensor.set(&index, 1234_i32);
        if !case.tensor.is_empty() && set.is_ok() {
            assert_eq!(case.tensor.get(&index).unwrap(), Scalar::Int(1234), "{}", case.name);
        }
        assert!(case.tensor.is_empty() <= set.is_err(), "{}", case.name);
    }
}

/// Two views of one storage that overlap: `assign` is as if the source had been copied first.
#[test]
fn shr_4_overlapping_assign_equals_assign_from_a_copy() {
    let layouts: Vec<(isize, isize, usize)> = vec![
        (12, 4, 0),
        (12, 4, 4),
        (12, 4, 20),
        (-12, -4, 40),
        (4, 8, 8),
        (16, 4, 0),
        (8, -4, 16),
        (0, 4, 8),
        (4, 0, 0),
        (4, 4, 0),
        (12, 8, 0),
        (13, 4, 3),
        (0, 0, 12),
    ];
    for &(a, b, at) in layouts.iter().step_by(zoo::stride(4)) {
        for &(c, d, to) in &layouts {
            let view = |tensor: &Tensor, strides: [isize; 2], offset| {
                let layout = ndbridge_tensor::Layout::new(&[2, 3], &strides, offset, 4).unwrap();
                Tensor::from_parts(tensor.storage().clone(), DType::I32, layout).unwrap()
            };
            let (one, two) = (numbers(30), numbers(30));
            let expected =
                view(&two, [c, d], to).assign(&view(&two, [a, b], at).copy(CopyOrder::C).unwrap());
            let got = view(&one, [c, d], to).assign(&view(&one, [a, b], at));
            let what = format!("strides {a}, {b} from {at} to strides {c}, {d} from {to}");
            assert_eq!(got.is_ok(), expected.is_ok(), "{what}: {got:?} {expected:?}");
            assert_eq!(one.to_vec::<i32>().unwrap(), two.to_vec::<i32>().unwrap(), "{what}");
        }
    }
}

fn numbers(len: i32) -> Tensor {
    Tensor::from_vec((0..len).collect())
}

#[test]
fn shr_4_assign_broadcasts_its_source() {
    let tensor = Tensor::zeros(&[2, 3], DType::I64).unwrap();
    tensor.assign(&Tensor::from_vec(vec![1_i64, 2, 3])).unwrap();
    assert_eq!(tensor.to_vec::<i64>().unwrap(), [1, 2, 3, 1, 2, 3]);
    let row = tensor.select(0, 1).unwrap();
    row.assign(&tensor.index(&[0.into(), (1..2).into()]).unwrap()).unwrap();
    assert_eq!(tensor.to_vec::<i64>().unwrap(), [1, 2, 3, 2, 2, 2]);
    assert!(row.assign(&Tensor::from_vec(vec![1_i64, 2])).is_err());
}

/// A source that is broadcast over itself is set aside as it is, not as often as it appears.
#[test]
fn shr_8_an_overlapping_source_is_set_aside_before_it_is_broadcast() {
    let tensor = numbers(64).reshape(&[8, 8]).unwrap();
    let before = copies();
    tensor.assign(&tensor.select(0, 3).unwrap()).unwrap();
    let overlap = ndbridge_tensor::CopyReason::Overlap;
    assert_eq!(copies().bytes_for(overlap) - before.bytes_for(overlap), 8 * 4);
    assert_eq!(tensor.get(&[7, 1]).unwrap(), Scalar::Int(25));
}

#[test]
fn array_equal_answers_as_numpy_does() {
    let one = Tensor::from_vec(vec![1_u8, 2, 3]);
    let floats = Tensor::from_vec(vec![3.0_f32, 2.0, 1.0]);
    assert!(array_equal(&one, &floats.flip(&[0]).unwrap()).unwrap());
    assert!(!array_equal(&one, &floats).unwrap());
    assert!(!array_equal(&one, &one.reshape(&[3, 1]).unwrap()).unwrap(), "shapes differ");
    let nan = Tensor::from_vec(vec![f64::NAN]);
    assert!(!array_equal(&nan, &nan).unwrap());
    let (a, b) = (Tensor::from_vec(vec![u64::MAX]), Tensor::from_vec(vec![-1_i64]));
    assert!(!array_equal(&a, &b).unwrap());
    let rounded = Tensor::from_vec(vec![i64::MAX]);
    let next = Tensor::from_vec(vec![9_223_372_036_854_775_808_u64]);
    assert!(array_equal(&rounded, &next).unwrap(), "both are 2^63 as float64, as in NumPy");
    let none = Tensor::zeros(&[0, 3], DType::F32).unwrap();
    assert!(array_equal(&none, &none.copy(CopyOrder::F).unwrap()).unwrap());
    let (brain, half) = (one.to_dtype(DType::BF16).unwrap(), one.to_dtype(DType::F16).unwrap());
    assert!(array_equal(&brain, &half).is_err(), "NumPy has no common type of these either");
}

#[test]
fn array_equal_of_every_view_with_its_copies() {
    for dtype in dtypes() {
        for case in zoo(dtype) {
            let copy = case.tensor.copy(CopyOrder::F).unwrap();
            let has_nan = match_dtype!(dtype, T => model::<T>(&copy).iter().any(|x| x != x));
            assert_eq!(
                array_equal(&case.tensor, &copy).unwrap(),
                !has_nan,
                "{dtype} {}",
                case.name
            );
            if !copy.is_empty() && !has_nan {
                let changed = Scalar::Bool(
                    copy.get(&vec![0; copy.ndim()]).unwrap().to_element::<f64>() == 0.0,
                );
                let first = copy.index(&vec![0.into(); copy.ndim()]).unwrap();
                first.fill(changed).unwrap();
                assert!(!array_equal(&case.tensor, &copy).unwrap(), "{dtype} {}", case.name);
            }
        }
    }
}

#[test]
fn item_is_the_value_of_exactly_one_element() {
    for case in zoo(DType::F64) {
        let expected = model::<f64>(&case.tensor);
        match case.tensor.item() {
            Ok(value) => assert_eq!((value, 1), (Scalar::Float(expected[0]), expected.len())),
            Err(error) => {
                assert_ne!(expected.len(), 1, "{}", case.name);
                assert!(error.to_string().contains("exactly 1 element"), "{error}");
            }
        }
    }
}

#[test]
fn reshape_copy_and_byte_order_equal_the_model() {
    for dtype in dtypes() {
        for case in same_shape(dtype) {
            let copy = case.tensor.reshape_copy(&[3, -1]).unwrap();
            assert_eq!(copy.shape(), [3, 2]);
            assert_eq!(element_bytes(&copy), element_bytes(&case.tensor), "{dtype} {}", case.name);
            let swapped = case.tensor.to_native_order(other_order()).unwrap();
            let back = swapped.to_native_order(other_order()).unwrap();
            assert_eq!(element_bytes(&back), element_bytes(&case.tensor), "{dtype} {}", case.name);
            let first = element_bytes(&case.tensor)[0].clone();
            let mut reversed = first;
            reversed.chunks_mut(dtype.component_bytes()).for_each(<[u8]>::reverse);
            assert_eq!(element_bytes(&swapped)[0], reversed, "{dtype} {}", case.name);
        }
    }
}

fn other_order() -> ndbridge_tensor::dtype::ByteOrder {
    use ndbridge_tensor::dtype::ByteOrder;
    if ByteOrder::NATIVE == ByteOrder::Little { ByteOrder::Big } else { ByteOrder::Little }
}

#[test]
fn copy_of_an_array_is_the_array() {
    let array =
        ndarray::Array3::from_shape_fn((2, 3, 4), |(i, j, k)| (100 * i + 10 * j + k) as i16);
    let plane = array.slice(ndarray::s![0..1, 0..1, ..]);
    let views = [
        array.view().into_dyn(),
        array.slice(ndarray::s![.., ..;-1, ..;2]).into_dyn(),
        array.t().into_dyn(),
        array.slice(ndarray::s![1, .., ..]).reversed_axes().into_dyn(),
        array.slice(ndarray::s![..0, .., ..]).into_dyn(),
        plane.broadcast(vec![5, 2, 3, 4]).unwrap(),
    ];
    for view in views {
        let tensor = Tensor::copy_of(&*view).unwrap();
        assert_eq!(*tensor.read::<i16>().unwrap(), *view);
        assert!(tensor.as_ptr().addr().is_multiple_of(64));
        if view.is_standard_layout() {
            assert!(tensor.is_contiguous(Order::C));
        }
    }
}
