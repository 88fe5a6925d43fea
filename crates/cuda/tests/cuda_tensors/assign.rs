//! Writing into memory that exists: on a device, to it, from it.

use ndbridge_cuda_emulator::Session;
use ndbridge_tensor::dtype::Casting;
use ndbridge_tensor::{DType, Device, Order, Scalar, Tensor, TensorError};

use crate::twin;
use crate::zoo::{element_bytes, reaches_once, same_shape, snapshot, zoo};

/// All bytes of the storage, which for a device are copied to the host.
fn all_bytes(tensor: &Tensor) -> Vec<u8> {
    if tensor.device().is_host() {
        return snapshot(tensor);
    }
    let bytes = tensor.storage().len_bytes();
    let layout = ndbridge_tensor::Layout::contiguous(&[bytes], 1, Order::C).unwrap();
    let whole = Tensor::from_parts(tensor.storage().clone(), DType::U8, layout).unwrap();
    whole.cpu().unwrap().to_vec::<u8>().unwrap()
}

#[test]
fn shr_4_assignment_writes_what_the_host_would_and_nothing_else() {
    let _session = Session::start();
    for (from, to) in [
        (DType::I32, DType::I32),
        (DType::U8, DType::U8),
        (DType::C128, DType::C128),
        (DType::F16, DType::F16),
        (DType::F64, DType::F32),
        (DType::I16, DType::F64),
        (DType::Bool, DType::I8),
    ] {
        for source in same_shape(from) {
            for target in same_shape(to).iter().filter(|case| reaches_once(&case.tensor)) {
                let what = format!("{} {from} into {} {to}", source.name, target.name);
                let (there_from, there_to) = (twin(&source.tensor, 0), twin(&target.tensor, 0));
                let (back_to, up_to) = (fresh(&target.tensor), twin(&target.tensor, 0));
                target.tensor.assign(&source.tensor).unwrap();
                there_to.assign(&there_from).unwrap();
                assert_eq!(all_bytes(&there_to), all_bytes(&target.tensor), "{what}, on a device");
                up_to.assign(&source.tensor).unwrap();
                assert_eq!(all_bytes(&up_to), all_bytes(&target.tensor), "{what}, to a device");
                back_to.assign(&there_from).unwrap();
                assert_eq!(all_bytes(&back_to), all_bytes(&target.tensor), "{what}, from a device");
            }
        }
    }
}

/// A view like this one of a copy of the storage.
fn fresh(tensor: &Tensor) -> Tensor {
    let bytes = ndbridge_tensor::storage::Storage::copied_from(&snapshot(tensor)).unwrap();
    Tensor::from_parts(bytes, tensor.dtype(), tensor.layout().clone()).unwrap()
}

#[test]
fn shr_4_fill_writes_every_element_and_nothing_else() {
    let _session = Session::start();
    for dtype in DType::ALL {
        for case in zoo(dtype).into_iter().filter(|case| reaches_once(&case.tensor)) {
            let there = twin(&case.tensor, 0);
            case.tensor.fill(Scalar::Bool(true)).unwrap();
            there.fill(Scalar::Bool(true)).unwrap();
            assert_eq!(all_bytes(&there), all_bytes(&case.tensor), "{dtype} {}", case.name);
        }
    }
    let there = Tensor::zeros(&[1000], DType::I16).unwrap().cuda(0).unwrap();
    there.fill(Scalar::Int(-7)).unwrap();
    assert_eq!(there.cpu().unwrap().to_vec::<i16>().unwrap(), [-7; 1000]);
}

#[test]
fn shr_4_an_overlapping_source_is_set_aside() {
    let _session = Session::start();
    let there = Tensor::from_vec((0..8_i32).collect()).cuda(0).unwrap();
    let (head, tail) =
        (there.index(&[(..7).into()]).unwrap(), there.index(&[(1..).into()]).unwrap());
    tail.assign(&head).unwrap();
    assert_eq!(there.cpu().unwrap().to_vec::<i32>().unwrap(), [0, 0, 1, 2, 3, 4, 5, 6]);
    there.assign(&there.flip(&[0]).unwrap()).unwrap();
    assert_eq!(there.cpu().unwrap().to_vec::<i32>().unwrap(), [6, 5, 4, 3, 2, 1, 0, 0]);
}

#[test]
fn mut_2_and_mut_3_hold_on_devices() {
    let _session = Session::start();
    let there = Tensor::from_vec(vec![1_i32, 2, 3]).cuda(0).unwrap();
    let frozen = there.clone().into_read_only();
    let wide = there.broadcast_to(&[2, 3]).unwrap();
    for (target, text) in [(&frozen, "read-only"), (&wide, "twice")] {
        for attempt in [
            target.fill(Scalar::Int(0)),
            target.assign(&there),
            target.assign(&Tensor::from_vec(vec![9_i32])),
        ] {
            let error = attempt.unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
    assert_eq!(there.cpu().unwrap().to_vec::<i32>().unwrap(), [1, 2, 3]);
}

#[test]
fn writes_that_lose_the_kind_of_values_are_refused_before_anything_happens() {
    let _session = Session::start();
    let there = Tensor::from_vec(vec![1_i32, 2, 3]).cuda(0).unwrap();
    let floats = Tensor::from_vec(vec![0.5_f64; 3]);
    for source in [&floats, &floats.cuda(0).unwrap()] {
        assert!(matches!(there.assign(source), Err(TensorError::LossyWrite { .. })));
    }
    assert!(there.fill(Scalar::Float(0.5)).is_err());
    assert!(there.assign(&Tensor::from_vec(vec![1_i32; 4])).is_err());
    there.assign_with(&floats, Casting::Unsafe).unwrap();
    assert_eq!(there.cpu().unwrap().to_vec::<i32>().unwrap(), [0; 3]);
}

#[test]
fn mut_5_bool_bytes_are_looked_at_before_they_leave_the_host_as_values() {
    let _session = Session::start();
    let unfit = Tensor::from_vec(vec![1_u8, 2]).reinterpret(DType::Bool).unwrap();
    let there = Tensor::zeros(&[2], DType::F32).unwrap().cuda(0).unwrap();
    // Moved as bytes, they are what they are.
    assert_eq!(element_bytes(&unfit.cuda(0).unwrap().cpu().unwrap()), element_bytes(&unfit));
    let error = there.assign(&unfit).unwrap_err();
    assert!(matches!(error, TensorError::InvalidBool { byte: 2, .. }), "{error}");
    assert_eq!(there.device(), Device::Cuda(0));
}
