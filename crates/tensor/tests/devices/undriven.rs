//! Foreign memory: of a device that is driven, and of those that nobody drives here.

use std::cell::RefCell;

use ndbridge_tensor::storage::{BorrowKind, Consumer, Foreign, ForeignAccess, Mutability};
use ndbridge_tensor::{
    CopyOrder, DType, Device, Layout, Order, Request, Scalar, Storage, Tensor, array_equal,
    shares_memory,
};

use crate::fake::{Done, done};
use crate::first;

/// Four floats that nothing stands behind, whose owner tells of its end.
fn foreign(device: Device, at_end: impl FnOnce() + Send + Sync + 'static) -> Tensor {
    struct Owner<F: FnOnce()>(Option<F>);
    impl<F: FnOnce()> Drop for Owner<F> {
        fn drop(&mut self) {
            self.0.take().unwrap()();
        }
    }
    let foreign = Foreign {
        owner: Owner(Some(at_end)),
        name: "other library",
        ptr: std::ptr::without_provenance_mut(0x40),
        len_bytes: 16,
        device,
        mutability: Mutability::Writable,
        access: ForeignAccess::Private,
    };
    // SAFETY: device memory, which nobody touches.
    let storage = unsafe { Storage::from_foreign(foreign) }.unwrap();
    let layout = Layout::contiguous(&[2, 2], 4, Order::C).unwrap();
    Tensor::from_parts(storage, DType::F32, layout).unwrap()
}

#[test]
fn dev_1_memory_that_nobody_drives_is_passed_on_and_refused_by_name() {
    let host = Tensor::zeros(&[2, 2], DType::F32).unwrap();
    // Metal, ROCm, a kind that is too new to have a name.
    for (kind, name) in [(8, "metal:1"), (10, "rocm:1"), (99, "dlpack_99:1")] {
        let device = Device::from_dlpack(kind, 1).unwrap();
        let tensor = foreign(device, || ());
        // Whatever shares needs nobody.
        let view = tensor.flip(&[0]).unwrap().transpose().unwrap();
        assert_eq!((view.device(), view.shape()), (device, &[2, 2][..]));
        assert!(shares_memory(&view, &tensor));
        assert!(tensor.contiguous(Order::C).unwrap().receipt().is_shared());
        assert!(tensor.to_device(device).unwrap().receipt().is_shared());
        assert!(tensor.is_ready().unwrap() && tensor.wait_until_ready().is_ok());
        // SAFETY: no queue is named.
        let handed = unsafe { view.storage().hand_over(Consumer::Waits, BorrowKind::Write) };
        assert!(handed.is_ok() && view.storage().note_ready().is_ok());
        for attempt in [
            tensor.read::<f32>().map(drop),
            tensor.write::<f32>().map(drop),
            tensor.shared::<f32>().map(drop),
            tensor.bytes().map(drop),
            view.get(&[0, 0]).map(drop),
            view.to_vec::<f32>().map(drop),
            view.fill(Scalar::Int(0)),
            view.assign(&host),
            host.assign(&view),
            array_equal(&host, &tensor).map(drop),
            view.copy(CopyOrder::C).map(drop),
            view.to_dtype(DType::F64).map(drop),
            view.cpu().map(drop),
            view.pin_memory().map(drop),
            view.to_device(first(0)).map(drop),
            host.to_device(device).map(drop),
            view.convert(&Request::new("asarray").with_dtype(DType::F16)).map(drop),
        ] {
            let error = attempt.unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            assert!(
                error.contains("copy it") && error.contains("the library that made it"),
                "{error}"
            );
            assert!(!error.contains("cpu()"), "{error}");
        }
        let text = tensor.to_string();
        assert!(text.contains(name) && text.contains("shape=[2, 2]"), "{text}");
    }
    assert_eq!(done(), []);
}

#[test]
fn dev_3_the_notes_of_foreign_memory_end_before_its_owner() {
    thread_local! {
        static AT_END: RefCell<Vec<Done>> = const { RefCell::new(Vec::new()) };
    }
    let tensor = foreign(first(0), || AT_END.set(done()));
    done();
    drop(tensor);
    assert_eq!(AT_END.take(), [Done::EndOfNotes]);
}
