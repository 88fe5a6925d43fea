//! DLPack structures of device memory, on the emulated driver or, with `NDBRIDGE_GPU=real`, on the
//! machine's.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]
#![expect(unsafe_code, reason = "makes and reads structures as foreign code does")]

use std::sync::Arc;

use ndbridge_cuda::{self as cuda, Stream, with_stream};
use ndbridge_cuda_emulator::Session;
use ndbridge_dlpack::{
    CUDA, CUDA_HOST, CUDA_MANAGED, DlDevice, DlManagedVersioned, DlpackError, Exported,
    from_managed_versioned,
};
use ndbridge_storage::gate::Always;
use ndbridge_storage::{BorrowKind, ForeignAccess, StorageError};
use ndbridge_tensor::{CopyOrder, Device, Scalar, Tensor, TensorError, copies};

fn exported(tensor: &Tensor) -> *mut DlManagedVersioned {
    tensor.storage().lend(Arc::new(Always)).unwrap();
    Exported::new(tensor).unwrap().into_versioned(false)
}

fn imported(managed: *mut DlManagedVersioned) -> Result<Tensor, DlpackError> {
    // SAFETY: a new structure; its memory is used in the order of streams only.
    unsafe { from_managed_versioned(managed, ForeignAccess::Lent(Arc::new(Always))) }
}

fn matrix() -> Tensor {
    Tensor::from_vec((0..12_i32).collect()).reshape(&[3, 4]).unwrap()
}

#[test]
fn dev_2_device_memory_goes_out_and_comes_in_without_a_copy() {
    let _session = Session::start();
    let there = matrix().cuda(0).unwrap();
    let view = there.transpose().unwrap();
    let before = copies().bytes;
    let consumer = Stream::new(0).unwrap();
    cuda::hand_over(view.storage(), Some(&consumer), BorrowKind::Write).unwrap();
    let alias = with_stream(&consumer, || imported(exported(&view))).unwrap();
    assert_eq!(copies().bytes, before);
    assert_eq!((alias.device(), alias.as_ptr()), (Device::Cuda(0), there.as_ptr()));
    assert_eq!((alias.shape(), alias.strides()), (view.shape(), view.strides()));
    with_stream(&consumer, || alias.select(0, 0).unwrap().fill(Scalar::Int(9))).unwrap();
    // Ours again, once our stream waits for the consumer's.
    cuda::current_stream(0).unwrap().wait_for(&consumer).unwrap();
    there.storage().note_ready().unwrap();
    // Row 0 of the transposed matrix is column 0.
    let expected: Vec<i32> = (0..12).map(|at| if at % 4 == 0 { 9 } else { at }).collect();
    assert_eq!(there.cpu().unwrap().to_vec::<i32>().unwrap(), expected);
    drop(there);
    assert_eq!(alias.copy(CopyOrder::C).unwrap().cpu().unwrap().len(), 12);
}

#[test]
fn dev_1_a_structure_that_lies_about_its_memory_is_refused_and_deleted() {
    let session = Session::start();
    cuda::empty_cache(0).unwrap();
    let before = ndbridge_cuda_emulator::live();
    for (kind, id) in [(CUDA_HOST, 0), (CUDA, 1)] {
        let managed = exported(&matrix().cuda(0).unwrap());
        // SAFETY: a new structure, taken over below.
        unsafe { (*managed).tensor.device = DlDevice { kind, id } };
        let error = imported(managed).unwrap_err();
        let DlpackError::Tensor(TensorError::Storage(error)) = error else { panic!("{error}") };
        assert!(matches!(error, StorageError::WrongPointer { .. }), "{error}");
    }
    let managed = exported(&matrix());
    // SAFETY: as above; host memory.
    unsafe { (*managed).tensor.device = DlDevice { kind: CUDA, id: 0 } };
    assert!(imported(managed).unwrap_err().to_string().contains("no memory that CUDA knows"));
    cuda::empty_cache(0).unwrap();
    session.assert_no_leak(before);
}

#[test]
fn managed_and_pinned_memory_have_their_places() {
    let _session = Session::start();
    let there = matrix().cuda(0).unwrap();
    let managed = exported(&there);
    // SAFETY: a new structure, taken over below; device memory passes for managed memory.
    unsafe { (*managed).tensor.device.kind = CUDA_MANAGED };
    assert_eq!(imported(managed).unwrap().device(), Device::Cuda(0));
    let pinned = matrix().pin_memory().unwrap();
    let managed = exported(&pinned);
    // SAFETY: a new structure, taken over below.
    assert_eq!(unsafe { (*managed).tensor.device.kind }, CUDA_HOST);
    let alias = imported(managed).unwrap();
    assert_eq!(alias.device(), Device::CudaHost);
    assert_eq!(alias.read::<i32>().unwrap()[[2, 3]], 11);
}

#[test]
fn dev_3_a_deleter_on_another_thread_frees_after_the_consumers_work() {
    let session = Session::start();
    cuda::empty_cache(0).unwrap();
    let before = ndbridge_cuda_emulator::live();
    let there = matrix().cuda(0).unwrap();
    let consumer = Stream::new(0).unwrap();
    cuda::hand_over(there.storage(), Some(&consumer), BorrowKind::Read).unwrap();
    let alias = with_stream(&consumer, || imported(exported(&there))).unwrap();
    drop(there);
    let copy = with_stream(&consumer, || alias.flip(&[0]).unwrap().copy(CopyOrder::C)).unwrap();
    std::thread::spawn(move || drop(alias)).join().unwrap();
    let values = copy.cpu().unwrap().to_vec::<i32>().unwrap();
    assert_eq!(values, [8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3]);
    drop((copy, consumer));
    cuda::empty_cache(0).unwrap();
    session.assert_no_leak(before);
}
