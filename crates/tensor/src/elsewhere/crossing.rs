//! Copies into new memory, from one place to the same or another.

use ndbridge_dtype::DType;
use ndbridge_layout::{Layout, Walk};
use ndbridge_storage::{Backend, Borrow, BorrowKind, Device, DeviceBytes, OwnedBorrow, Storage};

use super::engine::{DeviceElements, engine_of, engine_on};
use crate::copy::{Source, gapless};
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

/// A copy of `source` in new memory of any place; one of the two is a device.
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
    let (here, same_type) = (source.device(), dtype == source.dtype());
    match (here.is_host(), device.is_host()) {
        (true, true) => source.copy_for(target.call, target.reasons, dtype, order),
        (true, false) => {
            let raw = upload_keeping_dtype(source, target)?;
            if same_type { Ok(raw) } else { on_device(&raw, dtype, layout) }
        }
        (false, _) if here == device => on_device(source, dtype, layout),
        (false, to_host) => {
            let block = match block_of(source, order, same_type) {
                Some(block) => block,
                None => on_device(source, dtype, layout.clone())?,
            };
            let cross = if to_host { download } else { between };
            cross(&block, layout, target)
        }
    }
}

/// The tensor itself, if its elements are one block in the order asked for.
fn block_of(source: &Tensor, order: CopyOrder, same_type: bool) -> Option<Tensor> {
    let item_bytes = source.dtype().item_bytes();
    let packed = gapless(source, item_bytes, order).ok()?;
    let is_block = same_type && !source.is_empty() && source.layout().steps_as(&packed);
    is_block.then(|| source.clone())
}

/// A copy on the same device: another layout, another data type, or both.
#[track_caller]
fn on_device(source: &Tensor, dtype: DType, layout: Layout) -> Result<Tensor, TensorError> {
    let held = source.borrow_anywhere(BorrowKind::Read)?;
    let bytes = layout.len() * dtype.item_bytes();
    let storage = engine_of(source)?.allocate(source.device(), bytes)?;
    let copy = Tensor::from_parts(storage, dtype, layout)?;
    enqueue_copy(source, &copy)?;
    drop(held);
    Ok(copy)
}

/// Enqueues the copy of `source` to `destination`, both on one device and borrowed.
pub(super) fn enqueue_copy(source: &Tensor, destination: &Tensor) -> Result<(), TensorError> {
    let (from, to) = (source.dtype(), destination.dtype());
    if destination.is_empty() {
        return Ok(());
    }
    let aligned = if from == to || source.is_aligned() {
        source.clone()
    } else {
        on_device(source, from, gapless(source, from.item_bytes(), CopyOrder::Keep)?)?
    };
    if from != to && !destination.is_aligned() {
        let layout = gapless(destination, to.item_bytes(), CopyOrder::Keep)?;
        return enqueue_copy(&on_device(&aligned, to, layout)?, destination);
    }
    let walk = Walk::of_pair(destination.shape(), aligned.strides(), destination.strides());
    let Some(walk) = walk else { return Ok(()) };
    let (from, to) = (elements_of(&aligned), elements_of(destination));
    // SAFETY: a tensor's layout stays inside of its storage; both are on this device, the
    // destination's bytes are new or borrowed for writing; for a cast both are aligned.
    unsafe { engine_of(destination)?.copy(&walk, from, to) }?;
    Ok(())
}

/// Enqueues the writing of `value` to every element of a tensor on a device, borrowed for writing.
pub(super) fn enqueue_fill(tensor: &Tensor, value: &[u8]) -> Result<(), TensorError> {
    let Some(walk) = Walk::of_one(tensor.shape(), tensor.strides()) else { return Ok(()) };
    // SAFETY: a tensor's layout stays inside of its storage; borrowed for writing.
    unsafe { engine_of(tensor)?.fill(&walk, elements_of(tensor), value) }?;
    Ok(())
}

fn elements_of(tensor: &Tensor) -> DeviceElements<'_> {
    let (address, dtype) = (tensor.as_ptr().addr(), tensor.dtype());
    DeviceElements { storage: tensor.storage(), address, dtype }
}

/// All bytes of a block.
fn bytes_of(block: &Tensor) -> DeviceBytes<'_> {
    let (address, len_bytes) = (block.as_ptr().addr(), block.size_bytes());
    DeviceBytes { storage: block.storage(), address, len_bytes }
}

/// A block of host memory on a device, with the data type and the order that it has.
#[track_caller]
fn upload_keeping_dtype(source: &Tensor, target: Target) -> Result<Tensor, TensorError> {
    let (engine, dtype) = (engine_on(target.device)?, source.dtype());
    if target.dtype != dtype {
        // The device takes every byte but 0 for true: it is looked at here.
        drop(Source::borrow_values(source)?);
    }
    let layout = gapless(source, dtype.item_bytes(), target.order)?;
    let storage = engine.allocate(target.device, layout.len() * dtype.item_bytes())?;
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
enum HostBytes<'t> {
    Pageable { _held: Borrow<'t> },
    Pinned(OwnedBorrow),
}

impl<'t> HostBytes<'t> {
    /// Pinned are those that the back end page-locks.
    #[track_caller]
    fn of(tensor: &'t Tensor, kind: BorrowKind, engine: &dyn Backend) -> Result<Self, TensorError> {
        let borrow = tensor.borrow(kind)?;
        if tensor.storage().backend().is_none_or(|other| other.name() != engine.name()) {
            return Ok(Self::Pageable { _held: borrow });
        }
        drop(borrow);
        Ok(Self::Pinned(tensor.storage().borrow_owned(kind, &tensor.region())?))
    }
}

/// Copies a block of host memory to a block on a device, of the same size and order.
#[track_caller]
pub(super) fn upload(block: &Tensor, to: &Tensor, non_blocking: bool) -> Result<(), TensorError> {
    let engine = engine_of(to)?;
    let (_held, pinned) = match HostBytes::of(block, BorrowKind::Read, engine)? {
        HostBytes::Pinned(borrow) => (None, Some(borrow)),
        pageable => (Some(pageable), None),
    };
    let waits = pinned.is_none() || !non_blocking;
    // SAFETY: as many bytes of both blocks, borrowed for the copy; if page-locked, until it has run.
    unsafe { engine.upload(bytes_of(to), block.as_ptr(), pinned) }?;
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
fn download(block: &Tensor, layout: Layout, target: Target) -> Result<Tensor, TensorError> {
    let bytes = layout.len() * target.dtype.item_bytes();
    let pinned = match target.device {
        Device::Cpu if target.non_blocking => engine_of(block)?.page_locked(),
        Device::Cpu => None,
        asked => Some(asked),
    };
    if let Some(place) = pinned {
        // Whoever borrows the storage waits for what is copied there.
        let storage = Storage::on_device(place, bytes)?;
        let copy = Tensor::from_parts(storage, target.dtype, layout)?;
        download_into(block, &copy, target.non_blocking)?;
        return Ok(copy);
    }
    let mut memory = Storage::uninit(bytes)?;
    // SAFETY: `bytes` of new memory that nobody else knows.
    unsafe { fetch(block, memory.as_mut_ptr(), None) }?;
    // SAFETY: all of it was written: the block has as many bytes, and the copy has run.
    let storage = unsafe { memory.assume_init() };
    Tensor::from_parts(storage, target.dtype, layout)
}

/// Copies a block on a device to a block of host memory, of the same size and order.
#[track_caller]
pub(super) fn download_into(
    block: &Tensor,
    to: &Tensor,
    non_blocking: bool,
) -> Result<(), TensorError> {
    let (_held, pinned) = match HostBytes::of(to, BorrowKind::Write, engine_of(block)?)? {
        HostBytes::Pinned(borrow) => (None, Some(borrow)),
        pageable => (Some(pageable), None),
    };
    let is_pinned = pinned.is_some();
    // SAFETY: the bytes of `to`, borrowed for writing until the copy has run.
    unsafe { fetch(block, to.as_ptr(), pinned) }?;
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
    to: *mut u8,
    pinned: Option<OwnedBorrow>,
) -> Result<(), TensorError> {
    if block.is_empty() {
        return Ok(());
    }
    let engine = engine_of(block)?;
    let held = block.borrow_anywhere(BorrowKind::Read)?;
    let is_pinned = pinned.is_some();
    // SAFETY: a block on this device, borrowed; `to` as promised by the caller.
    let copied = unsafe { engine.download(to, bytes_of(block), pinned) };
    drop(held);
    if !is_pinned {
        // Also after an error: the memory must not be written any more.
        let waited = engine.synchronize(block.device());
        return Ok(copied.and(waited)?);
    }
    Ok(copied?)
}

/// A block on one device, copied to another.
#[track_caller]
fn between(block: &Tensor, layout: Layout, target: Target) -> Result<Tensor, TensorError> {
    let (from, to) = (engine_of(block)?, engine_on(target.device)?);
    if from.name() != to.name() {
        // By way of the host: neither back end knows the other's memory.
        let aside = Target { device: Device::Cpu, non_blocking: false, ..target };
        let aside = download(block, layout, aside)?;
        return upload_keeping_dtype(&aside, Target { order: CopyOrder::Keep, ..target });
    }
    let held = block.borrow_anywhere(BorrowKind::Read)?;
    let bytes = layout.len() * target.dtype.item_bytes();
    let storage = to.allocate(target.device, bytes)?;
    let copy = Tensor::from_parts(storage, target.dtype, layout)?;
    if bytes > 0 {
        // SAFETY: as many bytes of both blocks; the source is borrowed, the destination is new.
        unsafe { from.copy_between(bytes_of(&copy), bytes_of(block), target.non_blocking) }?;
        if !target.non_blocking {
            copy.storage().wait_until_ready()?;
        }
    }
    drop(held);
    Ok(copy)
}
