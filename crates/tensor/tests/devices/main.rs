//! The rules of devices, on a fake back end and on devices that nobody drives.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its parts too")]

#[expect(unsafe_code, reason = "is a back end, over memory of its own")]
mod fake;
#[expect(unsafe_code, reason = "stands for memory that other libraries gave")]
mod undriven;
#[path = "../zoo/mod.rs"]
mod zoo;

use ndbridge_tensor::dtype::Casting;
use ndbridge_tensor::storage::{BorrowKind, StorageError};
use ndbridge_tensor::{
    CopyOrder, DType, Device, Layout, Order, Request, Scalar, Tensor, TensorError, array_equal,
    copies, no_copy,
};

use fake::{Done, done};
use zoo::{element_bytes, zoo};

fn first(ordinal: i32) -> Device {
    Device::from_dlpack(14, ordinal).unwrap()
}

fn second() -> Device {
    Device::from_dlpack(7, 0).unwrap()
}

/// The same view of a copy of the storage on a device.
fn twin(tensor: &Tensor, device: Device) -> Tensor {
    let there = zoo::bytes_tensor(tensor.storage()).to_device(device).unwrap();
    let layout = tensor.layout().clone();
    Tensor::from_parts(there.storage().clone(), tensor.dtype(), layout).unwrap()
}

/// The bytes of every element in C order, of a tensor wherever it is.
fn bytes_of_elements(tensor: &Tensor) -> Vec<Vec<u8>> {
    element_bytes(&tensor.cpu().unwrap().copy(CopyOrder::C).unwrap())
}

#[test]
fn dev_2_every_view_crosses_by_one_copy() {
    for dtype in zoo::dtypes() {
        for case in zoo(dtype).into_iter().step_by(zoo::stride(9)) {
            let (tensor, expected) = (&case.tensor, element_bytes(&case.tensor));
            let (what, bytes) = (format!("{dtype} {}", case.name), tensor.size_bytes());
            let counted = copies().bytes;
            let there = tensor.to_device(first(0)).unwrap();
            assert_eq!(there.device(), first(0), "{what}");
            assert_eq!(there.receipt().copied_bytes(), bytes, "{what}");
            let crossed: &[Done] = if bytes > 0 { &[Done::Upload(bytes)] } else { &[] };
            assert_eq!(done(), crossed, "{what}");
            let back = there.cpu().unwrap();
            let crossed: &[Done] = if bytes > 0 { &[Done::Download(bytes)] } else { &[] };
            assert_eq!(done(), crossed, "{what}, back");
            assert_eq!(element_bytes(&back), expected, "{what}");
            // There and back; what has gaps on the host is packed there first.
            let counted = (copies().bytes - counted) as usize;
            assert!(counted == 2 * bytes || counted == 3 * bytes, "{what}: {counted} B");
            // What has gaps is packed where it lies: one block travels.
            let strided = twin(tensor, first(1));
            done();
            let onward = strided.to_device(first(0)).unwrap();
            let between = done().iter().filter(|&done| *done == Done::Between(bytes)).count();
            assert_eq!(between, usize::from(bytes > 0), "{what}, onward");
            assert_eq!(bytes_of_elements(&onward), expected, "{what}, onward");
            assert_eq!(bytes_of_elements(&strided), expected, "{what}, strided");
            done();
        }
    }
}

#[test]
fn dev_2_between_back_ends_the_way_is_by_the_host() {
    let host = Tensor::from_vec((0..12_i32).collect()).reshape(&[3, 4]).unwrap();
    let there = host.to_device(first(0)).unwrap().transpose().unwrap();
    done();
    let request = Request::new("asarray").with_dtype(DType::F32).with_device(second());
    let onward = there.convert(&request).unwrap();
    assert_eq!(done(), [Done::Cast(12), Done::Download(48), Done::Upload(48)]);
    assert_eq!((onward.device(), onward.dtype()), (second(), DType::F32));
    let expected = host.transpose().unwrap().to_dtype(DType::F32).unwrap();
    assert_eq!(bytes_of_elements(&onward), element_bytes(&expected));
    onward.assign(&there).unwrap();
    there.assign_with(&onward, Casting::Unsafe).unwrap();
    assert!(array_equal(&there.cpu().unwrap(), &host.transpose().unwrap()).unwrap());
}

#[test]
fn dev_2_what_is_there_already_is_shared() {
    let host = Tensor::from_vec(vec![1_i64, 2]);
    let (there, pinned) = (host.to_device(first(0)).unwrap(), host.pin_memory().unwrap());
    done();
    for (tensor, device) in [
        (&host, Device::Cpu),
        (&there, first(0)),
        (&pinned, Device::CudaHost),
        (&pinned, Device::Cpu),
    ] {
        assert!(tensor.to_device(device).unwrap().receipt().is_shared(), "{device}");
    }
    assert_eq!(done(), []);
}

#[test]
fn dev_1_memory_of_a_device_is_never_touched_by_host_code() {
    let there = Tensor::zeros(&[2, 3], DType::F32).unwrap().to_device(first(1)).unwrap();
    done();
    for attempt in [
        there.read::<f32>().map(drop),
        there.write::<f32>().map(drop),
        there.shared::<f32>().map(drop),
        there.bytes().map(drop),
        there.to_vec::<f32>().map(drop),
        there.get(&[0, 0]).map(drop),
        there.scalars().map(drop),
        there.clone().into_array::<f32>().map(drop).map_err(|failed| failed.error),
    ] {
        let error = attempt.unwrap_err();
        assert!(matches!(error, TensorError::OnDevice { .. }), "{error}");
        assert!(error.to_string().starts_with("tensor is on oneapi:1, "), "{error}");
    }
    assert_eq!(done(), []);
    assert_eq!(there.cpu().unwrap().to_vec::<f32>().unwrap(), [0.0; 6]);
}

#[test]
fn dev_2_casts_orders_and_assignments_are_those_of_the_host() {
    for (from, to) in [(DType::I32, DType::F16), (DType::F32, DType::U8), (DType::Bool, DType::C64)]
    {
        for case in zoo(from).into_iter().step_by(zoo::stride(9)) {
            let (host, what) = (&case.tensor, format!("{from} to {to}, {}", case.name));
            let there = twin(host, first(0));
            let cast = there.to_dtype(to).unwrap();
            assert_eq!(
                bytes_of_elements(&cast),
                element_bytes(&host.to_dtype(to).unwrap()),
                "{what}"
            );
            let fortran = there.copy(CopyOrder::F).unwrap();
            assert!(fortran.is_contiguous(Order::F), "{what}");
            assert_eq!(bytes_of_elements(&fortran), element_bytes(host), "{what}");
            if zoo::reaches_once(host) {
                let target = Tensor::zeros(host.shape(), to).unwrap().to_device(first(1)).unwrap();
                target.assign_with(host, Casting::Unsafe).unwrap();
                assert_eq!(bytes_of_elements(&target), bytes_of_elements(&cast), "{what}");
                there.fill(Scalar::Int(1)).unwrap();
                let (seen, mine) = (there.cpu().unwrap(), zoo::snapshot(&twin_on_host(&there)));
                host.fill(Scalar::Int(1)).unwrap();
                assert_eq!(mine, zoo::snapshot(host), "{what}: nothing beside the elements");
                assert_eq!(element_bytes(&seen), element_bytes(host), "{what}");
            }
        }
    }
}

fn twin_on_host(there: &Tensor) -> Tensor {
    let storage = there.storage();
    let layout = Layout::contiguous(&[storage.len_bytes()], 1, Order::C).unwrap();
    Tensor::from_parts(storage.clone(), DType::U8, layout).unwrap().cpu().unwrap()
}

#[test]
fn dev_2_page_locked_memory_is_settled_before_the_host_borrows_it() {
    let pinned = Tensor::from_vec(vec![1_u8, 2, 3]).pin_memory().unwrap();
    assert_eq!(pinned.device(), Device::CudaHost);
    done();
    drop(pinned.read::<u8>().unwrap());
    drop(pinned.write::<u8>().unwrap());
    assert_eq!(done(), [Done::Settle(BorrowKind::Read), Done::Settle(BorrowKind::Write)]);
    // Of devices and of plain memory, nobody asks.
    let plain = Tensor::from_vec(vec![1_u8]);
    drop(plain.write::<u8>().unwrap());
    plain.to_device(first(0)).unwrap().fill(Scalar::Int(2)).unwrap();
    assert_eq!(done(), [Done::Upload(1), Done::Fill(1)]);
    // What may still run needs page-locked memory, of the back end that has some.
    let there = plain.to_device(first(0)).unwrap();
    let late = there.to_device_non_blocking(Device::Cpu).unwrap();
    assert_eq!((late.device(), late.to_vec::<u8>().unwrap()), (Device::CudaHost, vec![1]));
    let there = plain.to_device(second()).unwrap();
    let now = there.to_device_non_blocking(Device::Cpu).unwrap();
    assert_eq!((now.device(), now.to_vec::<u8>().unwrap()), (Device::Cpu, vec![1]));
}

#[test]
fn dev_4_a_device_that_is_not_there_is_named() {
    let host = Tensor::from_vec(vec![1_u8, 2]);
    let error = host.to_device(first(2)).unwrap_err();
    assert!(matches!(error, TensorError::Storage(StorageError::NoDevice { .. })));
    assert_eq!(error.to_string(), "no device oneapi:2: there are two");
    assert!(first(1).check_exists().is_ok() && first(2).check_exists().is_err());
    assert!(first(0).check_pointer(host.as_ptr().addr(), 2).is_err());
    assert_eq!(done(), []);
}

#[test]
fn shr_8_a_scope_without_copies_forbids_crossing() {
    let host = Tensor::from_vec(vec![1_u8, 2]);
    let there = host.to_device(first(0)).unwrap();
    done();
    let _scope = no_copy();
    for refused in [host.to_device(first(0)), there.cpu(), there.to_device(second())] {
        assert!(matches!(refused, Err(TensorError::CopyForbidden { .. })));
    }
    assert!(there.to_device(first(0)).is_ok());
    assert_eq!(done(), []);
}

#[test]
fn mut_1_borrows_hold_on_devices() {
    let there = Tensor::from_vec(vec![1_u8, 2]).to_device(first(0)).unwrap();
    let region = there.layout().byte_range(1);
    let start = there.storage().as_ptr().addr() + region.start;
    let region =
        ndbridge_tensor::storage::Region { start, item_bytes: 1, shape: &[2], strides: &[1] };
    let held = there.storage().borrow(BorrowKind::Write, &region).unwrap();
    done();
    assert!(matches!(there.cpu(), Err(TensorError::Borrow(_))));
    assert!(matches!(there.fill(Scalar::Int(1)), Err(TensorError::Borrow(_))));
    assert_eq!(done(), []);
    drop(held);
    assert!(there.clone().into_read_only().fill(Scalar::Int(1)).is_err());
    there.fill(Scalar::Int(1)).unwrap();
}

#[test]
fn what_is_printed_is_all_that_is_copied() {
    let long = Tensor::zeros(&[10_000], DType::U8).unwrap().to_device(first(0)).unwrap();
    done();
    let text = long.to_string();
    assert!(text.contains("...") && text.contains("oneapi:0"), "{text}");
    assert_eq!(done(), [Done::Download(3), Done::Download(3)]);
}
