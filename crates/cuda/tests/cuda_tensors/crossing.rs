//! DEV-2: between host, pinned memory and devices.

use ndbridge_cuda::{self as cuda, Stream, with_stream};
use ndbridge_cuda_emulator::Session;
use ndbridge_tensor::dtype::Casting;
use ndbridge_tensor::{DType, Device, Order, Request, Tensor, copies};

use crate::zoo::{element_bytes, zoo};
use crate::{bytes_of_elements, twin};

#[test]
fn dev_2_every_view_crosses_to_every_place_and_back() {
    let _session = Session::start();
    let devices = cuda::device_count().unwrap().min(2);
    for dtype in [DType::Bool, DType::I16, DType::F32, DType::C64, DType::C128] {
        for case in zoo(dtype) {
            let expected = element_bytes(&case.tensor);
            for ordinal in 0..devices {
                let what = format!("{dtype} {} on cuda:{ordinal}", case.name);
                let there = case.tensor.cuda(ordinal).unwrap();
                assert_eq!(there.device(), Device::Cuda(ordinal), "{what}");
                assert_eq!(bytes_of_elements(&there), expected, "{what}");
                let onward = there.cuda(devices - 1 - ordinal).unwrap();
                assert_eq!(bytes_of_elements(&onward), expected, "{what}, onward");
                let strided = twin(&case.tensor, ordinal);
                let onward = strided.cuda(devices - 1 - ordinal).unwrap();
                assert_eq!(bytes_of_elements(&onward), expected, "{what}, strided, onward");
                assert_eq!(bytes_of_elements(&strided.pin_memory().unwrap()), expected, "{what}");
            }
            let pinned = case.tensor.pin_memory().unwrap();
            assert_eq!((pinned.device(), element_bytes(&pinned)), (Device::CudaHost, expected));
        }
    }
}

#[test]
fn dev_2_what_is_there_already_is_shared() {
    let _session = Session::start();
    let host = Tensor::from_vec(vec![1_i64, 2]);
    let (there, pinned) = (host.cuda(0).unwrap(), host.pin_memory().unwrap());
    let before = copies().bytes;
    assert!(host.cpu().unwrap().receipt().is_shared());
    assert!(there.cuda(0).unwrap().receipt().is_shared());
    assert!(pinned.pin_memory().unwrap().receipt().is_shared());
    assert!(pinned.cpu().unwrap().receipt().is_shared(), "pinned memory is the host's");
    assert_eq!(copies().bytes, before);
    assert_eq!(pinned.read::<i64>().unwrap().as_slice(), Some(&[1, 2][..]));
}

#[test]
fn dev_2_device_and_data_type_change_in_one_request() {
    let _session = Session::start();
    let host =
        Tensor::from_vec((0..12_i32).collect()).reshape(&[3, 4]).unwrap().transpose().unwrap();
    let request = Request::new("asarray").with_dtype(DType::F16);
    let there = host.convert(&request.clone().with_device(Device::Cuda(0))).unwrap();
    assert_eq!((there.device(), there.dtype()), (Device::Cuda(0), DType::F16));
    let expected = host.to_dtype(DType::F16).unwrap();
    assert_eq!(bytes_of_elements(&there), element_bytes(&expected));
    assert_eq!(there.strides(), expected.strides());
    let back = there.flip(&[0]).unwrap().convert(
        &Request::new("asarray")
            .with_dtype(DType::I64)
            .with_device(Device::Cpu)
            .with_order(Order::C),
    );
    let back = back.unwrap();
    assert!(back.is_contiguous(Order::C));
    assert_eq!(
        back.to_vec::<i64>().unwrap(),
        host.flip(&[0]).unwrap().to_dtype(DType::I64).unwrap().to_vec::<i64>().unwrap()
    );
}

#[test]
fn dev_2_a_copy_that_still_runs_is_waited_for_by_whoever_reads() {
    let session = Session::start();
    let host = Tensor::from_vec((0..5000_i32).collect()).pin_memory().unwrap();
    let there = host.to_device_non_blocking(Device::Cuda(0)).unwrap();
    if session.is_emulated() {
        assert!(!there.is_ready().unwrap(), "the emulator runs nothing before it has to");
    }
    let back = there.to_device_non_blocking(Device::Cpu).unwrap();
    assert_eq!(back.device(), Device::CudaHost, "a copy that may still run needs pinned memory");
    if session.is_emulated() {
        assert!(!back.is_ready().unwrap());
    }
    assert_eq!(back.read::<i32>().unwrap()[4999], 4999);
    assert!(back.is_ready().unwrap() && there.is_ready().unwrap());
}

#[test]
fn dev_2_a_writer_of_a_pinned_source_waits_for_the_copy() {
    let _session = Session::start();
    let host = Tensor::from_vec(vec![1_i32; 5000]).pin_memory().unwrap();
    let there = host.to_device_non_blocking(Device::Cuda(0)).unwrap();
    host.write::<i32>().unwrap().fill(2);
    assert_eq!(there.cpu().unwrap().to_vec::<i32>().unwrap(), [1; 5000]);
    there.assign_non_blocking(&host, Casting::SameKind).unwrap();
    host.fill(ndbridge_tensor::Scalar::Int(3)).unwrap();
    assert_eq!(there.cpu().unwrap().to_vec::<i32>().unwrap(), [2; 5000]);
}

#[test]
fn dev_2_a_pinned_source_may_be_dropped_at_once() {
    let _session = Session::start();
    let there = {
        let host = Tensor::from_vec(vec![7_i32; 5000]).pin_memory().unwrap();
        host.to_device_non_blocking(Device::Cuda(0)).unwrap()
    };
    let _other = Tensor::from_vec(vec![8_i32; 5000]).pin_memory().unwrap();
    assert_eq!(there.cpu().unwrap().to_vec::<i32>().unwrap(), [7; 5000]);
}

#[test]
fn dev_2_pinned_memory_of_copies_that_have_run_is_let_go_of() {
    let _session = Session::start();
    let there = Tensor::zeros(&[1024], DType::I32).unwrap().cuda(0).unwrap();
    let mut addresses = std::collections::BTreeSet::new();
    for round in 0..200_i32 {
        let host = Tensor::from_vec(vec![round; 1024]).pin_memory().unwrap();
        addresses.insert(host.as_ptr().addr());
        there.assign_non_blocking(&host, Casting::SameKind).unwrap();
    }
    assert!(addresses.len() < 100, "{} blocks for 200 copies", addresses.len());
    assert_eq!(there.cpu().unwrap().to_vec::<i32>().unwrap(), [199; 1024]);
}

#[test]
fn dev_2_a_held_guard_of_the_destination_refuses_the_copy() {
    let _session = Session::start();
    let there = Tensor::from_vec(vec![1_i32; 100]).cuda(0).unwrap();
    for host in [
        Tensor::zeros(&[100], DType::I32).unwrap(),
        Tensor::zeros(&[100], DType::I32).unwrap().pin_memory().unwrap(),
    ] {
        let guard = host.read::<i32>().unwrap();
        let error = host.assign(&there).unwrap_err().to_string();
        assert!(error.starts_with("already borrowed for reading at "), "{error}");
        drop(guard);
        host.assign(&there).unwrap();
        let guard = host.write::<i32>().unwrap();
        assert!(there.assign(&host).is_err() && host.cuda(0).is_err());
        drop(guard);
        there.assign(&host).unwrap();
    }
}

#[test]
fn dev_2_work_goes_to_the_current_stream() {
    let _session = Session::start();
    let streams = [(); 3].map(|()| Stream::new(0).unwrap());
    let host = Tensor::from_vec((0..100_i32).collect());
    let first = with_stream(&streams[0], || host.cuda(0)).unwrap();
    let second = with_stream(&streams[1], || first.to_dtype(DType::F32)).unwrap();
    let third =
        with_stream(&streams[2], || second.flip(&[0]).unwrap().copy(Default::default())).unwrap();
    drop((first, second));
    let back = with_stream(&streams[0], || third.cpu()).unwrap();
    let expected: Vec<f32> = (0..100).rev().map(|number| number as f32).collect();
    assert_eq!(back.to_vec::<f32>().unwrap(), expected);
}

#[test]
fn dev_3_no_memory_is_left_behind() {
    let session = Session::start();
    cuda::empty_cache(0).unwrap();
    let before = ndbridge_cuda_emulator::live();
    {
        let host = Tensor::from_vec((0..1000_i32).collect()).pin_memory().unwrap();
        let there = host.to_device_non_blocking(Device::Cuda(0)).unwrap();
        let cast = there.flip(&[0]).unwrap().to_dtype(DType::F64).unwrap();
        let back = cast.to_device_non_blocking(Device::Cpu).unwrap();
        std::thread::spawn(move || drop((host, there, cast, back))).join().unwrap();
    }
    cuda::empty_cache(0).unwrap();
    session.assert_no_leak(before);
}

#[test]
fn dev_4_a_device_that_is_not_there_loses_nothing() {
    let _session = Session::start();
    let count = cuda::device_count().unwrap();
    let host = Tensor::from_vec(vec![1_u8, 2]);
    let error = host.cuda(count).unwrap_err().to_string();
    assert!(error.starts_with(&format!("no device cuda:{count}: this machine has ")), "{error}");
    let there = host.cuda(0).unwrap();
    assert!(there.cuda(count).is_err());
    assert_eq!(there.cpu().unwrap().to_vec::<u8>().unwrap(), [1, 2]);
}
