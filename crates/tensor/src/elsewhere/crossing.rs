//! Copies into new memory, from one place to the same or another.

use ndbridge_dtype::DType;
use ndbridge_layout::Layout;
use ndbridge_storage::cuda::{Job, Stream, current_stream};
use ndbridge_storage::{Borrow, BorrowKind, Device, OwnedBorrow, Storage, StorageError};

use super::launch;
use crate::copy::{Side, Source, gapless};
use crate::count::PendingCopy;
use crate::error::TensorError;
use crate::receipt::{CopyReason, CopyReasons};
use crate::tensor::{CopyOrder, Tensor};

/// What a copy is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) call: &'static str,
    pub(crate) reasons: CopyReasons,
    pub(crate) device: Device,
    pub(crate) dtype: DType,
    pub(crate) order: CopyOrder,
    /// The copy may still run when the call returns.
    pub(crate) non_blocking: bool,
}

/// A copy of `source` in new memory of any place; one of the two is a CUDA device.
#[track_caller]
pub(crate) fn copy_to(source: &Tensor, target: Target) -> Result<Tensor, TensorError> {
    let layout = gapless(source, target.dtype.item_bytes(), target.order)?;
    let bytes = layout.len() * target.dtype.item_bytes();
    let pending = PendingCopy::begin(target.call, target.reasons, bytes)?;
    let copy = uncounted(source, target, layout)?;
    Ok(copy.with_receipt(pending.finish()))
}

#[track_caller]
fn uncounted(source: &Tensor, target: Target, layout: Layout) -> Result<Tensor, TensorError> {
    let Target { device, dtype, order, .. } = target;
    let same_type = dtype == source.dtype();
    match (source.device(), device) {
        (Device::Cuda(here), Device::Cuda(there)) if here == there => {
            on_device(source, here, dtype, layout)
        }
        (Device::Cuda(here), Device::Cuda(there)) => match block_of(source, order, same_type) {
            Some(block) => between(&block, (here, there), layout, target),
            None => {
                let packed = on_device(source, here, dtype, layout.clone())?;
                between(&packed, (here, there), layout, target)
            }
        },
        (Device::Cuda(here), _) => match block_of(source, order, same_type) {
            Some(block) => download(&block, here, layout, target),
            None => {
                download(&on_device(source, here, dtype, layout.clone())?, here, layout, target)
            }
        },
        (_, Device::Cuda(there)) => {
            let raw = upload_keeping_dtype(source, there, target)?;
            if same_type { Ok(raw) } else { on_device(&raw, there, dtype, layout) }
        }
        // Neither is a CUDA device: the host's own engine does that.
        (_, _) => source.copy_for(target.call, target.reasons, dtype, order),
    }
}

/// The tensor itself, if its elements are one block in the order asked for.
fn block_of(source: &Tensor, order: CopyOrder, same_type: bool) -> Option<Tensor> {
    let item_bytes = source.dtype().item_bytes();
    let packed = gapless(source, item_bytes, order).ok()?;
    let is_block = same_type && !source.is_empty() && lies_as(source, &packed);
    is_block.then(|| source.clone())
}

/// Whether the elements lie as in `packed`, a layout of the same shape; steps of axes of one element
/// do not matter.
pub(super) fn lies_as(tensor: &Tensor, packed: &Layout) -> bool {
    tensor.axes().zip(packed.strides()).all(|((len, step), &packed)| len == 1 || step == packed)
}

/// A copy on the same device: another layout, another data type, or both.
#[track_caller]
fn on_device(
    source: &Tensor,
    ordinal: usize,
    dtype: DType,
    layout: Layout,
) -> Result<Tensor, TensorError> {
    let held = source.borrow_anywhere(BorrowKind::Read)?;
    let stream = current_stream(ordinal)?;
    let storage = Storage::on_cuda(ordinal, layout.len() * dtype.item_bytes())?;
    let copy = Tensor::from_parts(storage, dtype, layout)?;
    enqueue_copy(&stream, source, &copy)?;
    drop(held);
    Ok(copy)
}

/// Enqueues the copy of `source` to `destination`, both on the stream's device and borrowed.
pub(super) fn enqueue_copy(
    stream: &Stream,
    source: &Tensor,
    destination: &Tensor,
) -> Result<(), TensorError> {
    let aligned = if source.dtype() == destination.dtype() || source.is_aligned() {
        source.clone()
    } else {
        let layout = gapless(source, source.dtype().item_bytes(), CopyOrder::Keep)?;
        on_device(source, stream.ordinal(), source.dtype(), layout)?
    };
    if source.dtype() != destination.dtype() && !destination.is_aligned() {
        let layout = gapless(destination, destination.dtype().item_bytes(), CopyOrder::Keep)?;
        let cast = on_device(&aligned, stream.ordinal(), destination.dtype(), layout)?;
        return enqueue_copy(stream, &cast, destination);
    }
    let (from, to) = (Side::of(&aligned), Side::of(destination));
    Job::on(stream).reads(aligned.storage()).writes(destination.storage()).run(|enqueue| {
        // SAFETY: a tensor's layout stays inside of its storage; both are on this device and named
        // by the job, the destination's bytes are new or borrowed for writing.
        unsafe { launch::copy(enqueue, destination.shape(), from, to) }
    })?;
    Ok(())
}

/// Enqueues the writing of `value` to every element of a tensor on the stream's device, borrowed for
/// writing.
pub(super) fn enqueue_fill(
    stream: &Stream,
    tensor: &Tensor,
    value: &[u8],
) -> Result<(), TensorError> {
    Job::on(stream).writes(tensor.storage()).run(|enqueue| {
        // SAFETY: a tensor's layout stays inside of its storage, which is on this device and named
        // by the job; borrowed for writing.
        unsafe { launch::fill(enqueue, tensor.shape(), Side::of(tensor), value) }
    })?;
    Ok(())
}

/// A block of host memory on a device, with the data type and the order that it has.
#[track_caller]
fn upload_keeping_dtype(
    source: &Tensor,
    ordinal: usize,
    target: Target,
) -> Result<Tensor, TensorError> {
    let dtype = source.dtype();
    if target.dtype != dtype {
        // The device takes every byte but 0 for true: it is looked at here.
        drop(Source::borrow_values(source)?);
    }
    let layout = gapless(source, dtype.item_bytes(), target.order)?;
    let storage = Storage::on_cuda(ordinal, layout.len() * dtype.item_bytes())?;
    let copy = Tensor::from_parts(storage, dtype, layout)?;
    match block_of(source, target.order, true) {
        Some(block) => upload(&block, &copy, target.non_blocking)?,
        None if source.is_empty() => {}
        None => {
            let reasons = CopyReasons::from(CopyReason::Order);
            let packed = source.copy_for(target.call, reasons, dtype, target.order)?;
            upload(&packed, &copy, target.non_blocking)?;
        }
    }
    Ok(copy)
}

/// Host memory that a copy uses: for the length of a call, or, page-locked, until it has run.
pub(super) enum HostBytes<'t> {
    Pageable(Borrow<'t>),
    Pinned(OwnedBorrow),
}

impl<'t> HostBytes<'t> {
    #[track_caller]
    pub(super) fn of(tensor: &'t Tensor, kind: BorrowKind) -> Result<Self, TensorError> {
        let borrow = tensor.borrow(kind)?;
        if tensor.device() != Device::CudaHost {
            return Ok(Self::Pageable(borrow));
        }
        drop(borrow);
        Ok(Self::Pinned(tensor.storage().borrow_owned(kind, &tensor.region())?))
    }

    fn is_pinned(&self) -> bool {
        matches!(self, Self::Pinned(_))
    }
}

/// Copies a block of host memory to a block on a device, of the same size and order.
#[track_caller]
pub(super) fn upload(block: &Tensor, to: &Tensor, non_blocking: bool) -> Result<(), TensorError> {
    let Device::Cuda(ordinal) = to.device() else { unreachable!("uploads go to a device") };
    let host = HostBytes::of(block, BorrowKind::Read)?;
    let stream = current_stream(ordinal)?;
    refuse_capture(&stream, "copy from the host")?;
    let mut job = Job::on(&stream).writes(to.storage());
    let is_pinned = host.is_pinned();
    let _held = match host {
        HostBytes::Pageable(borrow) => Some(borrow),
        HostBytes::Pinned(borrow) => {
            job = job.holding(BorrowKind::Read, borrow);
            None
        }
    };
    let (from, bytes) = (block.as_ptr(), block.size_bytes());
    let waits = !is_pinned || !non_blocking;
    job.exact_if(true).run(|enqueue| {
        // SAFETY: `bytes` of both blocks, borrowed for the copy; if page-locked, until it has run.
        unsafe { enqueue.copy_to_device(to.as_ptr().addr() as u64, from, bytes, is_pinned) }
    })?;
    if waits {
        // Also for memory that is not known here as page-locked: somebody else may have locked it, and
        // then the driver has not read it yet.
        to.storage().wait_until_ready()?;
        block.storage().wait_until_unused()?;
    }
    Ok(())
}

/// A block on a device, in new host memory: page-locked if that is asked for, or if the copy may
/// still run when this returns.
#[track_caller]
fn download(
    block: &Tensor,
    ordinal: usize,
    layout: Layout,
    target: Target,
) -> Result<Tensor, TensorError> {
    let bytes = layout.len() * target.dtype.item_bytes();
    if target.non_blocking || target.device == Device::CudaHost {
        let memory = Storage::uninit_pinned(bytes)?;
        // SAFETY: this memory came from the driver, with values of its own; that they are the
        // block's, everybody who borrows the storage waits for.
        let storage = unsafe { memory.assume_init() };
        let copy = Tensor::from_parts(storage, target.dtype, layout)?;
        download_into(block, ordinal, &copy, target.non_blocking)?;
        return Ok(copy);
    }
    let mut memory = Storage::uninit(bytes)?;
    // SAFETY: `bytes` of new memory that nobody else knows.
    unsafe { fetch(block, ordinal, memory.as_mut_ptr(), None) }?;
    // SAFETY: all of it was written: the block has as many bytes, and the copy has run.
    let storage = unsafe { memory.assume_init() };
    Tensor::from_parts(storage, target.dtype, layout)
}

/// Copies a block on a device to a block of host memory, of the same size and order.
#[track_caller]
pub(super) fn download_into(
    block: &Tensor,
    ordinal: usize,
    to: &Tensor,
    non_blocking: bool,
) -> Result<(), TensorError> {
    let (_held, pinned) = match HostBytes::of(to, BorrowKind::Write)? {
        HostBytes::Pageable(borrow) => (Some(borrow), None),
        HostBytes::Pinned(borrow) => (None, Some(borrow)),
    };
    let is_pinned = pinned.is_some();
    // SAFETY: the bytes of `to`, borrowed for writing until the copy has run.
    unsafe { fetch(block, ordinal, to.as_ptr(), pinned) }?;
    if is_pinned && !non_blocking {
        to.storage().wait_until_ready()?;
    }
    Ok(())
}

/// Copies a block on a device to host memory; has run when this returns, unless that is page-locked.
///
/// # Safety
/// `to` is good for writing the bytes of the block, and nobody reaches them until the copy has run:
/// that is when this returns, or, for page-locked memory, when the borrow of it ends.
#[track_caller]
unsafe fn fetch(
    block: &Tensor,
    ordinal: usize,
    to: *mut u8,
    pinned: Option<OwnedBorrow>,
) -> Result<(), TensorError> {
    let bytes = block.size_bytes();
    if bytes == 0 {
        return Ok(());
    }
    let held = block.borrow_anywhere(BorrowKind::Read)?;
    let stream = current_stream(ordinal)?;
    refuse_capture(&stream, "copy to the host")?;
    let is_pinned = pinned.is_some();
    let job = Job::on(&stream).reads(block.storage());
    let job = match pinned {
        Some(borrow) => job.holding(BorrowKind::Write, borrow),
        None => job,
    };
    let from = block.as_ptr().addr() as u64;
    let copied = job.run(|enqueue| {
        // SAFETY: `bytes` of a block on this device, which the job reads; `to` as promised by the
        // caller.
        unsafe { enqueue.copy_to_host(to, from, bytes, is_pinned) }
    });
    drop(held);
    if !is_pinned {
        // Also after an error: the memory must not be written any more.
        stream.synchronize()?;
    }
    Ok(copied?)
}

/// Host memory is for now: a graph would read or fill it later, or never.
fn refuse_capture(stream: &Stream, call: &'static str) -> Result<(), TensorError> {
    if stream.is_capturing()? { Err(StorageError::Capturing { call }.into()) } else { Ok(()) }
}

/// A block on one device, copied to another.
#[track_caller]
fn between(
    block: &Tensor,
    (here, there): (usize, usize),
    layout: Layout,
    target: Target,
) -> Result<Tensor, TensorError> {
    let held = block.borrow_anywhere(BorrowKind::Read)?;
    let bytes = layout.len() * target.dtype.item_bytes();
    let copy = Tensor::from_parts(Storage::on_cuda(there, bytes)?, target.dtype, layout)?;
    if bytes > 0 {
        let stream = current_stream(here)?;
        let job = Job::on(&stream).reads(block.storage()).writes(copy.storage());
        let (from, to) = (block.as_ptr().addr() as u64, copy.as_ptr().addr() as u64);
        job.exact_if(target.non_blocking).run(|enqueue| {
            // SAFETY: `bytes` of both blocks, on these devices, named by the job.
            unsafe { enqueue.copy_between((there, to), (here, from), bytes) }
        })?;
        if !target.non_blocking {
            copy.storage().wait_until_ready()?;
        }
    }
    drop(held);
    Ok(copy)
}
