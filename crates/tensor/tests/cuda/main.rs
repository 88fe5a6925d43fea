//! Tensors on CUDA devices, on the emulated driver or, with `NDBRIDGE_GPU=real`, on the machine's.

use ndbridge_cuda_emulator::Session;
use ndbridge_tensor::{DType, Device, Tensor};

#[test]
fn round_trip() {
    let _session = Session::start();
    let host = Tensor::from_vec((0..24_i32).collect()).reshape(&[4, 6]).unwrap();
    let there = host.cuda(0).unwrap();
    assert_eq!(there.device(), Device::Cuda(0));
    assert_eq!(there.cpu().unwrap().to_vec::<i32>().unwrap(), (0..24).collect::<Vec<_>>());
    let flipped = there.flip(&[1]).unwrap().transpose().unwrap();
    let expected = host.flip(&[1]).unwrap().transpose().unwrap();
    assert_eq!(flipped.cpu().unwrap().to_vec::<i32>().unwrap(), expected.to_vec::<i32>().unwrap());
    let halves = there.to_dtype(DType::F16).unwrap();
    assert_eq!(halves.cpu().unwrap().dtype(), DType::F16);
    println!("{there}");
}
