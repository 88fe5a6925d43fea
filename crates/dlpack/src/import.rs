//! Structures in.

use std::mem::offset_of;
use std::ptr::NonNull;

use ndbridge_dtype::{ByteOrder, DType};
use ndbridge_layout::{Order, fill_contiguous_strides};
use ndbridge_storage::{Device, ForeignAccess, Mutability};
use ndbridge_tensor::{MAX_NDIM, Outside, Receipt, Tensor, TensorError};
use smallvec::SmallVec;

use super::abi::{
    DlDataType, DlDevice, DlManaged, DlManagedVersioned, DlTensor, DlVersion, READ_ONLY, VERSION,
};
use super::error::DlpackError;
use super::export::{Deleter, own_tensor};

/// A structure whose deleter is called when this is dropped, on whatever thread.
#[derive(Debug)]
pub struct ManagedOwner(Form);

#[derive(Debug)]
enum Form {
    Legacy(NonNull<DlManaged>),
    Versioned(NonNull<DlManagedVersioned>),
}

// SAFETY: DLPack lets a structure be deleted on any thread; nothing else is done with it here.
unsafe impl Send for ManagedOwner {}
// SAFETY: as above; a shared reference gives nothing to call.
unsafe impl Sync for ManagedOwner {}

impl ManagedOwner {
    /// Takes over a legacy structure.
    ///
    /// # Errors
    /// [`DlpackError::Null`].
    ///
    /// # Safety
    /// Null, or a live structure that nobody else deletes.
    pub unsafe fn legacy(managed: *mut DlManaged) -> Result<Self, DlpackError> {
        NonNull::new(managed).map(|managed| Self(Form::Legacy(managed))).ok_or(DlpackError::Null)
    }

    /// Takes over a versioned structure, of whatever version.
    ///
    /// # Errors
    /// [`DlpackError::Null`].
    ///
    /// # Safety
    /// Null, or a live structure that nobody else deletes.
    pub unsafe fn versioned(managed: *mut DlManagedVersioned) -> Result<Self, DlpackError> {
        let managed = NonNull::new(managed).ok_or(DlpackError::Null)?;
        Ok(Self(Form::Versioned(managed)))
    }

    /// What the structure says, once it is checked.
    ///
    /// # Errors
    /// As [`from_managed`].
    pub fn describe(&self) -> Result<Outside, DlpackError> {
        let described = match self.0 {
            // SAFETY: live until this owner is dropped.
            Form::Legacy(managed) => unsafe { describe_legacy(managed) },
            // SAFETY: as above.
            Form::Versioned(managed) => unsafe { describe_versioned(managed) },
        }?;
        let own = self.own_tensor().filter(|own| described.lies_in(own.storage()));
        let mutability = own.map_or(described.mutability, |own| own.mutability());
        Ok(Outside { mutability, ..described })
    }

    /// What a structure describes that was made here, as a view of its own storage; `None` for all
    /// others, and for one that was changed to describe other memory.
    pub fn own_view(&self, described: &Outside) -> Result<Option<Tensor>, TensorError> {
        let own = self.own_tensor();
        let storage = own.as_ref().map(Tensor::storage).filter(|own| described.lies_in(own));
        storage.map(|storage| described.view_of(storage)).transpose()
    }

    /// The tensor of a structure that was made here, which knows what the structure cannot say.
    fn own_tensor(&self) -> Option<Tensor> {
        match self.0 {
            Form::Legacy(managed) => {
                // SAFETY: live until this owner is dropped.
                let deleter = unsafe { legacy_deleter(managed) };
                // SAFETY: as above; its own deleter.
                unsafe { own_tensor(managed, deleter) }
            }
            Form::Versioned(managed) => {
                // SAFETY: as above.
                let deleter = unsafe { versioned_deleter(managed) };
                // SAFETY: as above.
                unsafe { own_tensor(managed, deleter) }
            }
        }
    }
}

impl Drop for ManagedOwner {
    fn drop(&mut self) {
        match self.0 {
            Form::Legacy(managed) => {
                // SAFETY: a live structure.
                if let Some(deleter) = unsafe { legacy_deleter(managed) } {
                    // SAFETY: the structure's own deleter, called once.
                    unsafe { deleter(managed.as_ptr()) }
                }
            }
            Form::Versioned(managed) => {
                // SAFETY: a live structure.
                if let Some(deleter) = unsafe { versioned_deleter(managed) } {
                    // SAFETY: the structure's own deleter, called once.
                    unsafe { deleter(managed.as_ptr()) }
                }
            }
        }
    }
}

/// A tensor over the memory of a legacy structure, which may be deleted on any thread.
///
/// Whether the memory may be written is unknown, but for a structure that was made here: that gives
/// a view of the storage it was made of, which may do what its tensor might.
///
/// # Errors
/// Any of [`DlpackError`] for a structure that cannot be carried; it is deleted then.
///
/// # Safety
/// `managed` is null or a live structure that nobody else deletes and that tells the truth about
/// its memory; others use the memory only as `access` says.
pub unsafe fn from_managed(
    managed: *mut DlManaged,
    access: ForeignAccess,
) -> Result<Tensor, DlpackError> {
    // SAFETY: promised by the caller.
    let owner = unsafe { ManagedOwner::legacy(managed)? };
    // SAFETY: as above.
    unsafe { tensor_of(owner, access) }
}

/// As [`from_managed`], for a structure with version and flags: memory marked read-only is.
///
/// # Errors
/// As [`from_managed`].
///
/// # Safety
/// As [`from_managed`].
pub unsafe fn from_managed_versioned(
    managed: *mut DlManagedVersioned,
    access: ForeignAccess,
) -> Result<Tensor, DlpackError> {
    // SAFETY: promised by the caller.
    let owner = unsafe { ManagedOwner::versioned(managed)? };
    // SAFETY: as above.
    unsafe { tensor_of(owner, access) }
}

/// # Safety
/// As [`from_managed`].
unsafe fn tensor_of(owner: ManagedOwner, access: ForeignAccess) -> Result<Tensor, DlpackError> {
    let described = owner.describe()?;
    if let Some(own) = owner.own_view(&described)? {
        return Ok(own.with_receipt(Receipt::shared("from_dlpack")));
    }
    // SAFETY: the structure owns the memory that it describes until it is deleted; the rest is
    // promised by the caller.
    let tensor = unsafe { described.into_tensor("DLPack tensor", owner, access)? };
    Ok(tensor.with_receipt(Receipt::shared("from_dlpack")))
}

/// Data type and shape of a prototype, from which an allocator makes a tensor.
///
/// # Errors
/// [`DlpackError`] for a prototype that no host tensor can be made of.
///
/// # Safety
/// `prototype` is null, or points to a header with as many lengths as axes.
pub unsafe fn read_prototype(
    prototype: *const DlTensor,
) -> Result<(DType, Vec<usize>), DlpackError> {
    // SAFETY: promised by the caller.
    let prototype = unsafe { prototype.as_ref() }.ok_or(DlpackError::Null)?;
    let dtype = prototype.dtype;
    let dtype = dtype_of_code(dtype).ok_or(DlpackError::DType { dtype })?;
    if !device_of_code(prototype.device)?.is_host() {
        return Err(DlpackError::Device { device: prototype.device });
    }
    Ok((dtype, shape_of(prototype)?.into_vec()))
}

/// A field of a structure. Nothing else of it is touched, and nobody has to align it.
///
/// # Safety
/// `managed` is live, and has an `F` so many bytes after its start.
unsafe fn field<M, F>(managed: NonNull<M>, at_bytes: usize) -> F {
    let at = managed.as_ptr().cast::<u8>().wrapping_add(at_bytes).cast::<F>();
    // SAFETY: promised by the caller.
    unsafe { at.read_unaligned() }
}

/// # Safety
/// `managed` is live.
unsafe fn legacy_deleter(managed: NonNull<DlManaged>) -> Deleter<DlManaged> {
    // SAFETY: a field of it.
    unsafe { field(managed, offset_of!(DlManaged, deleter)) }
}

/// # Safety
/// `managed` is live, of whatever version.
unsafe fn versioned_deleter(managed: NonNull<DlManagedVersioned>) -> Deleter<DlManagedVersioned> {
    // SAFETY: a field of it, at the same place in every version.
    unsafe { field(managed, offset_of!(DlManagedVersioned, deleter)) }
}

/// # Safety
/// `managed` is live.
unsafe fn describe_legacy(managed: NonNull<DlManaged>) -> Result<Outside, DlpackError> {
    // SAFETY: a field of it.
    let tensor = unsafe { field(managed, offset_of!(DlManaged, tensor)) };
    // SAFETY: the header of a live structure.
    unsafe { describe(&tensor, None, Mutability::Unknown) }
}

/// # Safety
/// `managed` is live, of whatever version.
unsafe fn describe_versioned(managed: NonNull<DlManagedVersioned>) -> Result<Outside, DlpackError> {
    // SAFETY: a field of it, at the same place in every version.
    let version: DlVersion = unsafe { field(managed, offset_of!(DlManagedVersioned, version)) };
    if version.major != VERSION.major {
        return Err(DlpackError::Version { major: version.major });
    }
    // SAFETY: a field of it.
    let flags: u64 = unsafe { field(managed, offset_of!(DlManagedVersioned, flags)) };
    // SAFETY: as above.
    let tensor = unsafe { field(managed, offset_of!(DlManagedVersioned, tensor)) };
    let is_read_only = flags & READ_ONLY != 0;
    let mutability = if is_read_only { Mutability::ReadOnly } else { Mutability::Writable };
    // SAFETY: as above.
    unsafe { describe(&tensor, Some(version), mutability) }
}

/// Checks a header and translates it; `version` is that of the structure it is part of, `None` for a
/// legacy one.
///
/// # Errors
/// As [`from_managed`].
///
/// # Safety
/// The header's shape and strides are null or addresses of as many numbers as it has axes.
pub unsafe fn describe(
    tensor: &DlTensor,
    version: Option<DlVersion>,
    mutability: Mutability,
) -> Result<Outside, DlpackError> {
    let dtype = dtype_of_code(tensor.dtype).ok_or(DlpackError::DType { dtype: tensor.dtype })?;
    let device = device_of_code(tensor.device)?;
    let shape = shape_of(tensor)?;
    let strides = strides_of(tensor, version, &shape, dtype.item_bytes() as i64)?;
    let (ptr, byte_order) = (tensor.data.cast::<u8>(), ByteOrder::NATIVE);
    let mut described = Outside { ptr, shape, strides, dtype, byte_order, device, mutability };
    // Without elements, address and offset may be anything.
    if !described.is_empty() {
        if tensor.data.is_null() {
            return Err(DlpackError::NullData { len: described.len() });
        }
        let offset = usize::try_from(tensor.byte_offset).map_err(|_| DlpackError::Overflow)?;
        ptr.addr().checked_add(offset).ok_or(DlpackError::Overflow)?;
        described.ptr = ptr.wrapping_add(offset);
        check_handle(&described, tensor)?;
    }
    described.check()?;
    Ok(described)
}

/// On a device that is not driven here the address may be a handle: only elements from there on can be
/// passed on with it.
fn check_handle(described: &Outside, tensor: &DlTensor) -> Result<(), DlpackError> {
    let Device::Other(_) = described.device else { return Ok(()) };
    let starts_at_handle =
        described.addresses().is_none_or(|(start, _)| start == tensor.data.addr());
    let device = described.device;
    if starts_at_handle { Ok(()) } else { Err(DlpackError::BesideHandle { device }) }
}

/// A number for each axis.
fn counts(
    what: &'static str,
    values: *const i64,
    ndim: usize,
) -> Result<SmallVec<[i64; 4]>, DlpackError> {
    let address = values.addr();
    Device::Cpu
        .check_addresses(address, ndim * size_of::<i64>())
        .map_err(|_| DlpackError::AxesAddress { what, address })?;
    // SAFETY: the structure has a number for each axis; nobody has to align them.
    Ok((0..ndim).map(|axis| unsafe { values.wrapping_add(axis).read_unaligned() }).collect())
}

fn shape_of(tensor: &DlTensor) -> Result<SmallVec<[usize; 4]>, DlpackError> {
    let ndim = usize::try_from(tensor.ndim).ok().filter(|&ndim| ndim <= MAX_NDIM);
    let ndim = ndim.ok_or(DlpackError::Ndim { ndim: tensor.ndim, limit: MAX_NDIM })?;
    if ndim == 0 {
        return Ok(SmallVec::new());
    }
    if tensor.shape.is_null() {
        return Err(DlpackError::NullShape { ndim: tensor.ndim });
    }
    let mut shape = SmallVec::new();
    for (axis, len) in counts("shape", tensor.shape, ndim)?.into_iter().enumerate() {
        if len < 0 {
            return Err(DlpackError::NegativeLength { axis, len });
        }
        shape.push(usize::try_from(len).map_err(|_| DlpackError::Overflow)?);
    }
    Ok(shape)
}

/// Strides in bytes; those of contiguous elements where the structure may leave them out.
fn strides_of(
    tensor: &DlTensor,
    version: Option<DlVersion>,
    shape: &[usize],
    item_bytes: i64,
) -> Result<SmallVec<[isize; 4]>, DlpackError> {
    if shape.is_empty() {
        return Ok(SmallVec::new());
    }
    if tensor.strides.is_null() {
        if version.is_some_and(|version| version.minor >= 2) {
            return Err(DlpackError::NullStrides { ndim: tensor.ndim });
        }
        let mut strides = SmallVec::from_elem(0, shape.len());
        let filled = fill_contiguous_strides(&mut strides, shape, item_bytes as usize, Order::C);
        return filled.map(|()| strides).map_err(|_| DlpackError::Overflow);
    }
    let strides = counts("strides", tensor.strides, shape.len())?;
    let bytes = strides.into_iter().zip(shape).map(|(stride, &len)| {
        // Producers leave anything in the stride of an axis that is not walked.
        let stride = if len <= 1 {
            stride.checked_mul(item_bytes).or(Some(0))
        } else {
            stride.checked_mul(item_bytes)
        };
        stride.and_then(|bytes| isize::try_from(bytes).ok()).ok_or(DlpackError::Overflow)
    });
    bytes.collect()
}

/// The device that DLPack means by its numbers.
///
/// # Errors
/// [`DlpackError::Device`] for a kind that it does not define.
pub fn device_of_code(device: DlDevice) -> Result<Device, DlpackError> {
    Device::from_dlpack(device.kind, device.id).ok_or(DlpackError::Device { device })
}

#[inline]
pub(crate) fn dtype_of_code(dtype: DlDataType) -> Option<DType> {
    let found = match (dtype.code, dtype.bits) {
        (0, 8) => DType::I8,
        (0, 16) => DType::I16,
        (0, 32) => DType::I32,
        (0, 64) => DType::I64,
        (1, 8) => DType::U8,
        (1, 16) => DType::U16,
        (1, 32) => DType::U32,
        (1, 64) => DType::U64,
        (2, 16) => DType::F16,
        (2, 32) => DType::F32,
        (2, 64) => DType::F64,
        (4, 16) => DType::BF16,
        (5, 64) => DType::C64,
        (5, 128) => DType::C128,
        (6, 8) => DType::Bool,
        (10, 8) => DType::F8E4M3,
        (12, 8) => DType::F8E5M2,
        _ => return None,
    };
    (dtype.lanes == 1).then_some(found)
}
