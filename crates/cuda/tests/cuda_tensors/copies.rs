//! Copies on one device: every view, every data type.

use ndbridge_cuda_emulator::Session;
use ndbridge_tensor::dtype::{Kind, convert, match_dtype};
use ndbridge_tensor::{
    CopyOrder, CopyReason, CopyRule, DType, Device, Element, Order, Request, Tensor, copies,
    no_copy, shares_memory,
};

use crate::zoo::{self, bytes_of_each, element_bytes, model, zoo};
use crate::{bytes_of_elements, twin};

const ORDERS: [CopyOrder; 3] = [CopyOrder::C, CopyOrder::F, CopyOrder::Keep];

#[test]
fn shr_7_copies_of_every_view_keep_every_byte_on_the_device() {
    let _session = Session::start();
    for dtype in DType::ALL {
        for case in zoo(dtype) {
            let there = twin(&case.tensor, 0);
            for order in ORDERS {
                let what = format!("{dtype} {} {order:?}", case.name);
                let copy = there.copy(order).unwrap();
                assert_eq!(copy.device(), Device::Cuda(0), "{what}");
                assert_eq!(copy.strides(), case.tensor.copy(order).unwrap().strides(), "{what}");
                assert_eq!(bytes_of_elements(&copy), element_bytes(&case.tensor), "{what}");
                assert!(!shares_memory(&copy, &there) || copy.is_empty(), "{what}");
            }
        }
    }
}

#[test]
fn dty_3_casts_on_the_device_equal_convert() {
    let _session = Session::start();
    for from in DType::ALL {
        for to in DType::ALL {
            for case in zoo(from) {
                let cast = twin(&case.tensor, 0).to_dtype(to).unwrap();
                let expected = match_dtype!(from, S => match_dtype!(to, D =>
                    converted::<S, D>(&case.tensor)));
                let what = format!("{from} to {to}, {}", case.name);
                assert_eq!((cast.dtype(), cast.shape()), (to, case.tensor.shape()), "{what}");
                assert_eq!(bytes_of_elements(&cast), expected, "{what}");
            }
        }
    }
}

fn converted<S: Element, D: Element>(tensor: &Tensor) -> Vec<Vec<u8>> {
    bytes_of_each(&model::<S>(tensor).into_iter().map(convert::<S, D>).collect::<Vec<_>>())
}

/// Long runs of values at the limits: the kernels' contiguous paths.
#[test]
fn dty_3_casts_of_extreme_values_equal_the_hosts() {
    let _session = Session::start();
    for from in DType::ALL {
        let values = extremes(from);
        let there = values.cuda(0).unwrap();
        for to in DType::ALL {
            let expected = values.to_dtype(to).unwrap();
            let found = there.to_dtype(to).unwrap().cpu().unwrap();
            if element_bytes(&found) == element_bytes(&expected) {
                continue;
            }
            // The payload of a NaN is no part of the promise.
            let texts =
                [&found, &expected].map(|tensor| format!("{:?}", tensor.scalars().unwrap()));
            assert_eq!(texts[0], texts[1], "{from} to {to}");
        }
    }
}

fn extremes(dtype: DType) -> Tensor {
    let item = dtype.item_bytes();
    let count = 1500;
    let bytes: Vec<u8> = (0..count * item)
        .map(|at| {
            let (number, byte) = (at / item, at % item);
            match (dtype.kind(), number % 5) {
                (Kind::Bool, _) => u8::from(number % 3 == 0),
                (_, 0) => 0xff_u8.wrapping_shl((number / 5 % 8) as u32),
                (_, 1) if byte + 1 == item => (number / 5) as u8,
                (_, 1) => 0,
                (_, 2) => 0x80 >> (byte % 8),
                _ => (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[byte % 8],
            }
        })
        .collect();
    let flat = Tensor::from_vec(bytes);
    flat.reinterpret(dtype).unwrap()
}

#[test]
fn shr_6_views_of_a_device_tensor_share() {
    let session = Session::start();
    let there =
        Tensor::from_vec((0..24_i32).collect()).reshape(&[2, 3, 4]).unwrap().cuda(0).unwrap();
    let before = (copies().bytes, ndbridge_cuda_emulator::call_names());
    let views = [
        there.flip(&[0, 2]).unwrap(),
        there.permute(&[2, 0, 1]).unwrap(),
        there.select(1, 1).unwrap(),
        there.reshape(&[6, -1]).unwrap(),
        there.transpose().unwrap(),
        there.reinterpret(DType::U16).unwrap(),
    ];
    for view in &views {
        assert!(shares_memory(view, &there));
        assert_eq!(view.device(), Device::Cuda(0));
    }
    assert_eq!(copies().bytes, before.0);
    if session.is_emulated() {
        assert_eq!(ndbridge_cuda_emulator::call_names(), before.1, "the driver is not asked");
    }
    assert_eq!(views[2].cpu().unwrap().to_vec::<i32>().unwrap(), [4, 5, 6, 7, 16, 17, 18, 19]);
}

#[test]
fn shr_3_a_request_shares_or_copies_on_the_device() {
    let _session = Session::start();
    let there = Tensor::from_vec(vec![1.0_f32, 2.0]).cuda(0).unwrap();
    for request in [Request::new("asarray"), Request::new("asarray").with_device(Device::Cuda(0))] {
        assert!(there.convert(&request).unwrap().receipt().is_shared());
        let copy = there.convert(&request.with_copy(CopyRule::Always)).unwrap();
        assert_eq!((copy.device(), copy.receipt().copied_bytes()), (Device::Cuda(0), 8));
    }
    let wide = there.convert(&Request::new("asarray").with_dtype(DType::F64)).unwrap();
    assert_eq!(wide.device(), Device::Cuda(0));
    assert!(wide.receipt().reasons().contains(CopyReason::DType));
    assert!(there.contiguous(Order::F).unwrap().receipt().is_shared());
    let refused =
        there.convert(&Request::new("asarray").with_copy(CopyRule::Never).with_device(Device::Cpu));
    assert!(refused.unwrap_err().to_string().contains("device"));
}

#[test]
fn shr_8_copies_are_counted_once_and_can_be_forbidden() {
    let session = Session::start();
    let host = Tensor::from_vec(vec![1_u8; 100]);
    let before = copies();
    let there = host.cuda(0).unwrap();
    assert_eq!(copies().bytes - before.bytes, 100);
    assert_eq!(copies().bytes_for(CopyReason::Device) - before.bytes_for(CopyReason::Device), 100);
    assert_eq!(there.receipt().to_string(), "cuda: copied 100 B (device)");
    let scope = no_copy();
    let counted = ndbridge_cuda_emulator::calls("cuMemAllocFromPoolAsync");
    for refused in [host.cuda(0), there.cpu(), there.copy(CopyOrder::C), there.to_dtype(DType::F32)]
    {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("this scope forbids copies"), "{error}");
    }
    assert!(there.to_string().contains("forbids copies"), "{there}");
    if session.is_emulated() {
        assert_eq!(ndbridge_cuda_emulator::calls("cuMemAllocFromPoolAsync"), counted);
    }
    drop(scope);
}

#[test]
fn a_contiguous_copy_is_one_copy_of_a_block() {
    let session = Session::start();
    if !session.is_emulated() {
        return; // calls are counted
    }
    let there =
        Tensor::from_vec((0..60_u16).collect()).reshape(&[3, 4, 5]).unwrap().cuda(0).unwrap();
    let count = |name| ndbridge_cuda_emulator::calls(name);
    let (blocks, launches) = (count("cuMemcpyDtoDAsync_v2"), count("cuLaunchKernel"));
    there.copy(CopyOrder::C).unwrap();
    there.permute(&[1, 0, 2]).unwrap().copy(CopyOrder::Keep).unwrap();
    there.select(0, 1).unwrap().copy(CopyOrder::C).unwrap();
    assert_eq!(
        (count("cuMemcpyDtoDAsync_v2") - blocks, count("cuLaunchKernel") - launches),
        (3, 0)
    );
    there.permute(&[1, 0, 2]).unwrap().copy(CopyOrder::C).unwrap();
    assert_eq!(
        (count("cuMemcpyDtoDAsync_v2") - blocks, count("cuLaunchKernel") - launches),
        (3, 1)
    );
}

#[test]
fn printing_copies_what_it_shows_and_says_where_the_tensor_is() {
    let _session = Session::start();
    let host = Tensor::from_vec((0..6_i32).collect()).reshape(&[2, 3]).unwrap();
    let there = host.cuda(0).unwrap();
    assert_eq!(
        there.to_string(),
        "tensor([[0, 1, 2],\n        [3, 4, 5]], dtype=int32, device=cuda:0)"
    );
    let large = Tensor::from_vec((0..120_000_i32).collect()).reshape(&[300, 400]).unwrap();
    let there = large.cuda(0).unwrap();
    let before = copies().bytes;
    let expected = large.to_string();
    let found = there.to_string();
    assert_eq!(copies().bytes - before, 4 * 36);
    let cut =
        |text: &str| text.replace(", device=cuda:0", "").split_whitespace().collect::<String>();
    assert_eq!(cut(&found), cut(&expected));
    assert!(found.ends_with("dtype=int32, device=cuda:0)"), "{found}");
    let unfit = Tensor::from_vec(vec![2_u8]).reinterpret(DType::Bool).unwrap().cuda(0).unwrap();
    assert!(unfit.to_string().contains("is not a bool"), "{unfit}");
    let none = Tensor::zeros(&[0, 3], DType::F32).unwrap().cuda(0).unwrap();
    assert_eq!(none.to_string(), "tensor([], shape=(0, 3), dtype=float32, device=cuda:0)");
}

#[test]
fn dev_1_host_code_gets_no_element_of_a_device() {
    let _session = Session::start();
    let there = Tensor::from_vec(vec![1.0_f32; 4]).cuda(0).unwrap();
    for attempt in [
        there.read::<f32>().map(drop),
        there.write::<f32>().map(drop),
        there.shared::<f32>().map(drop),
        there.bytes().map(drop),
        there.to_vec::<f32>().map(drop),
        there.to_array::<f32>().map(drop),
        there.get(&[0]).map(drop),
        there.scalars().map(drop),
        there.select(0, 0).unwrap().item().map(drop),
        ndbridge_tensor::array_equal(&there, &there).map(drop),
    ] {
        let error = attempt.unwrap_err().to_string();
        assert!(
            error.contains("tensor is on cuda:0, host memory needed: call cpu() first"),
            "{error}"
        );
    }
    let _ = zoo::SHAPE;
}
