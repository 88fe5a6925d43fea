//! CUDA as a back end: what storages and tensors ask of it.

use std::any::Any;
use std::ops::Range;

use ndbridge_storage::{
    Backend, BorrowKind, Consumer, Device, DeviceBytes, Notes, OwnedBorrow, Storage, StorageError,
    Surroundings,
};
use ndbridge_tensor::{DeviceElements, DeviceEngine, Engine, Walk};

use super::captures::{self, not_run};
use super::device::check_exists;
use super::enqueue::Enqueue;
use super::job::{self, Job};
use super::late;
use super::pointer::PointerKind;
use super::stream::{Stream, current_stream};
use super::uses::{Later, Noted, Use};
use super::{block, check_pointer, is_available, launch, pending, pinned, pointer_facts};

/// The devices of CUDA, and the host memory that it page-locks.
pub(super) struct Cuda;

pub(super) static CUDA: Cuda = Cuda;
static ENGINE: Engine = Engine(&CUDA);

ndbridge_storage::register_backend!(&CUDA);

// SAFETY: memory comes from the driver and belongs to its storage; notes and pending copies hold
// back, by the driver's events, whoever would come in between.
unsafe impl Backend for Cuda {
    fn name(&self) -> &'static str {
        "cuda"
    }

    fn drives(&self, device: Device) -> bool {
        matches!(device, Device::Cuda(_) | Device::CudaHost)
    }

    fn is_available(&self) -> bool {
        is_available()
    }

    fn check_exists(&self, device: Device) -> Result<(), StorageError> {
        check_exists(device)
    }

    fn engine(&self) -> Option<&'static (dyn Any + Send + Sync)> {
        Some(&ENGINE)
    }

    fn page_locked(&self) -> Option<Device> {
        Some(Device::CudaHost)
    }

    fn allocate(&self, device: Device, len_bytes: usize) -> Result<Storage, StorageError> {
        match device {
            Device::CudaHost => pinned::allocate(len_bytes),
            _ => block::allocate(ordinal_of(device)?, len_bytes),
        }
    }

    fn adopt(&self, device: Device) -> Result<Notes, StorageError> {
        match device {
            Device::CudaHost => Ok(Box::new(())),
            _ => Ok(Box::new(Noted::foreign(ordinal_of(device)?)?)),
        }
    }

    fn end(&self, notes: Notes, owner: Box<dyn Any + Send + Sync>) {
        match notes.downcast::<Noted>() {
            Ok(noted) => late::end_foreign(&noted, owner),
            // Page-locked: what copies it holds a handle.
            Err(_) => drop(owner),
        }
    }

    fn check_pointer(
        &self,
        device: Device,
        address: usize,
        len_bytes: usize,
    ) -> Result<(), StorageError> {
        check_pointer(device, address, len_bytes)
    }

    fn device_of(&self, address: usize) -> Result<Device, StorageError> {
        let facts = pointer_facts(address)?;
        match facts.kind {
            PointerKind::Device | PointerKind::Managed => Ok(Device::Cuda(facts.ordinal)),
            PointerKind::Pinned => Ok(Device::CudaHost),
            PointerKind::Unregistered => {
                let (device, len_bytes, facts) = (Device::Cuda(0), 0, facts.to_string());
                Err(StorageError::WrongPointer { device, address, len_bytes, facts })
            }
        }
    }

    fn queue(&self, device: Device) -> Result<usize, StorageError> {
        Ok(current_stream(ordinal_of(device)?)?.handle())
    }

    unsafe fn wait_for(&self, device: Device, earlier: Consumer) -> Result<(), StorageError> {
        let ordinal = ordinal_of(device)?;
        // SAFETY: promised by the caller.
        let Some(theirs) = (unsafe { stream_of(ordinal, earlier) })? else { return Ok(()) };
        let ours = current_stream(ordinal)?;
        if ours == theirs {
            return Ok(());
        }
        if theirs.is_capturing()? {
            // It cannot be waited for, and would draw our stream into the capture.
            return Err(not_run(theirs.gpu(), theirs.handle()));
        }
        Use::up_to_now(&theirs)?.hold_back(&Later::of(&ours)?)
    }

    unsafe fn hand_over(
        &self,
        storage: &Storage,
        to: Consumer,
        kind: BorrowKind,
    ) -> Result<(), StorageError> {
        let stream = match storage.device() {
            // SAFETY: promised by the caller.
            Device::Cuda(ordinal) => unsafe { stream_of(ordinal, to) }?,
            _ => None,
        };
        job::hand_over(storage, stream.as_ref(), kind)
    }

    fn note_ready(&self, storage: &Storage) -> Result<(), StorageError> {
        job::note_ready(storage)
    }

    fn is_ready(&self, storage: &Storage) -> Result<bool, StorageError> {
        job::is_ready(storage)
    }

    fn wait_until_ready(&self, storage: &Storage) -> Result<(), StorageError> {
        job::wait_until_ready(storage)
    }

    fn wait_for_uses(&self, storage: &Storage, kind: BorrowKind) -> Result<(), StorageError> {
        storage.notes::<Noted>().map_or(Ok(()), |noted| noted.uses().wait_for(kind))
    }

    fn wait_within(&self, surroundings: Surroundings) {
        captures::within(surroundings);
    }

    fn synchronize(&self, device: Device) -> Result<(), StorageError> {
        current_stream(ordinal_of(device)?)?.synchronize()
    }

    fn settle(&self, kind: BorrowKind, addresses: &Range<usize>) -> Result<(), StorageError> {
        pending::settle(kind, addresses)
    }

    unsafe fn upload(
        &self,
        to: DeviceBytes<'_>,
        from: *const u8,
        held: Option<OwnedBorrow>,
    ) -> Result<(), StorageError> {
        let stream = current_stream(ordinal_of(to.storage.device())?)?;
        refuse_capture(&stream, "copy from the host")?;
        let is_pinned = held.is_some();
        let job = holding(Job::on(&stream).writes(to.storage), BorrowKind::Read, held);
        job.exact_if(true).run(|enqueue| {
            // SAFETY: promised by the caller; the job holds what is page-locked until it has run.
            unsafe { enqueue.copy_to_device(to.address as u64, from, to.len_bytes, is_pinned) }
        })
    }

    unsafe fn download(
        &self,
        to: *mut u8,
        from: DeviceBytes<'_>,
        held: Option<OwnedBorrow>,
    ) -> Result<(), StorageError> {
        let stream = current_stream(ordinal_of(from.storage.device())?)?;
        refuse_capture(&stream, "copy to the host")?;
        let is_pinned = held.is_some();
        let job = holding(Job::on(&stream).reads(from.storage), BorrowKind::Write, held);
        job.run(|enqueue| {
            // SAFETY: promised by the caller; the job holds what is page-locked until it has run.
            unsafe { enqueue.copy_to_host(to, from.address as u64, from.len_bytes, is_pinned) }
        })
    }

    unsafe fn copy_between(
        &self,
        to: DeviceBytes<'_>,
        from: DeviceBytes<'_>,
        is_exact: bool,
    ) -> Result<(), StorageError> {
        let here = ordinal_of(from.storage.device())?;
        let there = ordinal_of(to.storage.device())?;
        let stream = current_stream(here)?;
        let job = Job::on(&stream).reads(from.storage).writes(to.storage);
        job.exact_if(is_exact).run(|enqueue| {
            let (to, from_place) = ((there, to.address as u64), (here, from.address as u64));
            // SAFETY: promised by the caller, on these devices, named by the job.
            unsafe { enqueue.copy_between(to, from_place, from.len_bytes) }
        })
    }
}

// SAFETY: the kernels of `launch` reach the elements of the walk and no other byte.
unsafe impl DeviceEngine for Cuda {
    unsafe fn copy(
        &self,
        walk: &Walk,
        from: DeviceElements<'_>,
        to: DeviceElements<'_>,
    ) -> Result<(), StorageError> {
        let stream = current_stream(ordinal_of(to.storage.device())?)?;
        Job::on(&stream).reads(from.storage).writes(to.storage).run(|enqueue: &Enqueue<'_>| {
            // SAFETY: promised by the caller; both are named by the job.
            unsafe { launch::copy(enqueue, walk, from, to) }
        })
    }

    unsafe fn fill(
        &self,
        walk: &Walk,
        to: DeviceElements<'_>,
        value: &[u8],
    ) -> Result<(), StorageError> {
        let stream = current_stream(ordinal_of(to.storage.device())?)?;
        Job::on(&stream).writes(to.storage).run(|enqueue: &Enqueue<'_>| {
            // SAFETY: promised by the caller; named by the job.
            unsafe { launch::fill(enqueue, walk, to, value) }
        })
    }
}

fn ordinal_of(device: Device) -> Result<usize, StorageError> {
    match device {
        Device::Cuda(ordinal) => Ok(ordinal),
        _ => Err(StorageError::NoDevice { device, reason: "it is no CUDA device".to_owned() }),
    }
}

/// The stream of foreign code; `None` if that sees to the order itself.
///
/// # Safety
/// As [`Stream::named`].
unsafe fn stream_of(ordinal: usize, named: Consumer) -> Result<Option<Stream>, StorageError> {
    match named {
        // SAFETY: promised by the caller.
        Consumer::OnQueue(handle) => unsafe { Stream::named(ordinal, handle) }.map(Some),
        Consumer::OnDefaultQueue => Stream::legacy(ordinal).map(Some),
        Consumer::Waits => Ok(None),
    }
}

fn holding<'j>(job: Job<'j>, kind: BorrowKind, held: Option<OwnedBorrow>) -> Job<'j> {
    match held {
        Some(held) => job.holding(kind, held),
        None => job,
    }
}

/// Host memory is for now: a graph would read or fill it later, or never.
fn refuse_capture(stream: &Stream, call: &'static str) -> Result<(), StorageError> {
    if stream.is_capturing()? { Err(StorageError::Capturing { call }) } else { Ok(()) }
}
