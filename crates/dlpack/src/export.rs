//! Structures out.

use std::ptr::{self, NonNull};

use ndbridge_dtype::{DType, Kind};
use ndbridge_storage::{Access, Device, Mutability};
use ndbridge_tensor::Tensor;
use smallvec::SmallVec;

use super::abi::{
    CPU, CUDA_HOST, DlDataType, DlDevice, DlManaged, DlManagedVersioned, DlTensor, IS_COPIED,
    READ_ONLY, VERSION,
};
use super::error::DlpackError;

/// DLPack's name of a data type.
///
/// ```
/// use ndbridge_dlpack::{DlDataType, dtype_code};
/// use ndbridge_tensor::DType;
/// assert_eq!(dtype_code(DType::F32), DlDataType { code: 2, bits: 32, lanes: 1 });
/// ```
#[must_use]
pub const fn dtype_code(dtype: DType) -> DlDataType {
    let code = match (dtype, dtype.kind()) {
        (DType::BF16, _) => 4,
        (DType::F8E4M3, _) => 10,
        (DType::F8E5M2, _) => 12,
        (_, Kind::Int) => 0,
        (_, Kind::UInt) => 1,
        (_, Kind::Float) => 2,
        (_, Kind::Complex) => 5,
        (_, Kind::Bool) => 6,
    };
    DlDataType { code, bits: (dtype.item_bytes() * 8) as u8, lanes: 1 }
}

/// DLPack's name of a device.
///
/// # Errors
/// [`DlpackError::NoDevice`].
pub fn device_of(device: Device) -> Result<DlDevice, DlpackError> {
    let (kind, id) = device.to_dlpack().ok_or(DlpackError::NoDevice { device })?;
    Ok(DlDevice { kind, id })
}

/// The structure of a tensor, and all that it points to.
///
/// Holds the memory until the structure is deleted, or until this value is dropped if nobody took
/// the structure over.
///
/// ```
/// use ndbridge_dlpack::{Exported, from_managed_versioned};
/// use ndbridge_storage::{ForeignAccess, gate::Always};
/// use ndbridge_tensor::Tensor;
/// use std::sync::Arc;
///
/// let tensor = Tensor::from_vec(vec![1.0_f32, 2.0]);
/// tensor.storage().lend(Arc::new(Always))?;
/// let managed = Exported::new(&tensor)?.into_versioned(false);
/// // SAFETY: a new structure, taken over here; its memory waits for guards.
/// let alias = unsafe { from_managed_versioned(managed, ForeignAccess::Lent(Arc::new(Always)))? };
/// alias.write::<f32>()?[1] = 5.0;
/// assert_eq!(tensor.read::<f32>()?[1], 5.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Exported {
    axes: HeaderAxes,
    tensor: Tensor,
}

impl Exported {
    /// What DLPack says of `tensor`.
    ///
    /// # Errors
    /// [`DlpackError::Private`] for memory that foreign code must not reach,
    /// [`DlpackError::OddStride`] for strides that are no multiple of the item's size, and
    /// [`DlpackError::Unaligned`] for elements whose address is none.
    pub fn new(tensor: &Tensor) -> Result<Self, DlpackError> {
        Self::with(HeaderAxes::of, tensor)
    }

    /// As [`new`](Self::new), for a consumer that is known to take elements wherever they lie, as
    /// ndbridge itself does.
    ///
    /// ```
    /// use ndbridge_dlpack::{DlpackError, Exported};
    /// use ndbridge_storage::gate::Always;
    /// use ndbridge_tensor::{DType, Tensor};
    /// use std::sync::Arc;
    ///
    /// let bytes = Tensor::from_vec(vec![0_u8; 16]);
    /// bytes.storage().lend(Arc::new(Always))?;
    /// let odd = if bytes.as_ptr().addr().is_multiple_of(2) { 1 } else { 0 };
    /// let off = bytes.slice(ndarray::s![odd..odd + 8])?.reinterpret(DType::F64)?;
    /// assert!(matches!(Exported::new(&off), Err(DlpackError::Unaligned { .. })));
    /// Exported::new_unaligned(&off)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DlpackError::Private`] or [`DlpackError::OddStride`].
    pub fn new_unaligned(tensor: &Tensor) -> Result<Self, DlpackError> {
        Self::with(HeaderAxes::of_unaligned, tensor)
    }

    fn with(
        axes_of: impl FnOnce(&Tensor) -> Result<HeaderAxes, DlpackError>,
        tensor: &Tensor,
    ) -> Result<Self, DlpackError> {
        if tensor.storage().access() == Access::Private {
            return Err(DlpackError::Private);
        }
        Ok(Self { axes: axes_of(tensor)?, tensor: tensor.clone() })
    }

    /// The same, with pinned memory named as plain host memory: some consumers know no other word.
    #[must_use]
    pub fn as_host(mut self) -> Self {
        if self.axes.device.kind == CUDA_HOST {
            self.axes.device = DlDevice { kind: CPU, id: 0 };
        }
        self
    }

    /// A structure with version and flags, to be deleted by its deleter.
    ///
    /// `is_copied` says that the tensor is a copy which nobody else holds. Memory that is
    /// read-only, or of which nobody knows whether it may be written, is marked read-only.
    #[must_use]
    pub fn into_versioned(self, is_copied: bool) -> *mut DlManagedVersioned {
        let is_writable = self.tensor.mutability() == Mutability::Writable;
        let flags = if is_writable { 0 } else { READ_ONLY } | if is_copied { IS_COPIED } else { 0 };
        boxed(self, |tensor| DlManagedVersioned {
            version: VERSION,
            context: ptr::null_mut(),
            deleter: DELETE_VERSIONED,
            flags,
            tensor,
        })
    }

    /// A structure without version and flags, to be deleted by its deleter.
    ///
    /// # Errors
    /// [`DlpackError::ReadOnlyLegacy`] for memory that is known to be read-only: the structure
    /// cannot say so.
    pub fn into_legacy(self) -> Result<*mut DlManaged, DlpackError> {
        if self.tensor.is_read_only() {
            return Err(DlpackError::ReadOnlyLegacy);
        }
        Ok(self.into_legacy_for_reader())
    }

    /// As [`into_legacy`](Self::into_legacy), for a consumer that is known never to write.
    #[must_use]
    pub fn into_legacy_for_reader(self) -> *mut DlManaged {
        boxed(self, |tensor| DlManaged { tensor, context: ptr::null_mut(), deleter: DELETE_LEGACY })
    }
}

/// The structure first, so that its address is that of the whole.
#[repr(C)]
struct Whole<M> {
    managed: M,
    exported: Exported,
}

fn boxed<M>(exported: Exported, managed: impl FnOnce(DlTensor) -> M) -> *mut M {
    // Out of its box before anything points into it.
    let whole: *mut Whole<M> = Box::into_raw(Box::<Whole<M>>::new_uninit()).cast();
    // SAFETY: room for it, inside the box.
    let to_exported = unsafe { &raw mut (*whole).exported };
    // SAFETY: as above, not yet filled.
    unsafe { to_exported.write(exported) };
    // SAFETY: filled by the line above, and never written again.
    let exported = unsafe { &*to_exported };
    let header = exported.axes.header(&exported.tensor);
    // SAFETY: room for it, inside the box.
    let to_managed = unsafe { &raw mut (*whole).managed };
    // SAFETY: as above, not yet filled.
    unsafe { to_managed.write(managed(header)) };
    whole.cast()
}

/// What frees a structure.
pub(crate) type Deleter<M> = Option<unsafe extern "C" fn(*mut M)>;

/// A structure that [`Exported`] can become.
pub(crate) trait Managed: Sized + 'static {
    /// What frees it, by which it is known again. One address for the whole program, which the
    /// function by itself need not have.
    const DELETER: &'static Deleter<Self>;
}

impl Managed for DlManaged {
    const DELETER: &'static Deleter<Self> = &DELETE_LEGACY;
}

impl Managed for DlManagedVersioned {
    const DELETER: &'static Deleter<Self> = &DELETE_VERSIONED;
}

static DELETE_LEGACY: Deleter<DlManaged> = Some(delete_legacy);
static DELETE_VERSIONED: Deleter<DlManagedVersioned> = Some(delete_versioned);

/// The tensor of a structure that was made here; `None` for all others.
///
/// # Safety
/// `managed` is live, and `deleter` what frees it.
pub(crate) unsafe fn own_tensor<M: Managed>(
    managed: NonNull<M>,
    deleter: Deleter<M>,
) -> Option<Tensor> {
    let (ours, theirs) = ((*M::DELETER)?, deleter?);
    if !ptr::fn_addr_eq(ours, theirs) {
        return None;
    }
    // SAFETY: what this function frees is a `Whole`, which is as live as its first part.
    let exported = unsafe { &(*managed.as_ptr().cast::<Whole<M>>()).exported };
    Some(exported.tensor.clone())
}

/// # Safety
/// Called once with a structure that [`Exported::into_versioned`] made.
unsafe extern "C" fn delete_versioned(managed: *mut DlManagedVersioned) {
    // SAFETY: promised by the caller.
    unsafe { delete(managed) };
}

/// # Safety
/// Called once with a structure that [`Exported::into_legacy`] made.
unsafe extern "C" fn delete_legacy(managed: *mut DlManaged) {
    // SAFETY: promised by the caller.
    unsafe { delete(managed) };
}

/// # Safety
/// As [`delete_versioned`].
unsafe fn delete<M>(managed: *mut M) {
    let Some(managed) = NonNull::new(managed) else { return };
    // SAFETY: the structure is the first part of a `Whole` that `boxed` made, deleted once.
    let whole = unsafe { Box::from_raw(managed.as_ptr().cast::<Whole<M>>()) };
    // An owner that panics when dropped must not unwind into foreign code.
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(whole)));
    if let Err(payload) = dropped {
        std::mem::forget(payload);
    }
}

/// Shape and strides as DLPack counts them, for headers that are lent and not given away.
///
/// ```
/// use ndbridge_dlpack::HeaderAxes;
/// use ndbridge_tensor::Tensor;
/// let tensor = Tensor::from_vec_with_shape(vec![0_i32; 6], &[2, 3])?;
/// let axes = HeaderAxes::of(&tensor).unwrap();
/// let header = axes.header(&tensor);
/// assert_eq!((header.ndim, header.dtype.bits), (2, 32)); // points into `axes`
/// # Ok::<(), ndbridge_tensor::TensorError>(())
/// ```
#[derive(Debug)]
pub struct HeaderAxes {
    device: DlDevice,
    shape: Counts,
    strides: Counts,
}

impl HeaderAxes {
    /// Those of `tensor`.
    ///
    /// # Errors
    /// [`DlpackError::OddStride`], [`DlpackError::Unaligned`] or [`DlpackError::NoDevice`].
    pub fn of(tensor: &Tensor) -> Result<Self, DlpackError> {
        let axes = Self::of_unaligned(tensor)?;
        check_aligned(tensor)?;
        Ok(axes)
    }

    /// As [`of`](Self::of), wherever the elements lie.
    fn of_unaligned(tensor: &Tensor) -> Result<Self, DlpackError> {
        let (shape, strides) = lens_and_steps(tensor)?;
        Ok(Self { device: device_of(tensor.device())?, shape, strides })
    }

    /// The header of `tensor`, whose axes these are. It points into `self` and to the elements.
    #[must_use]
    pub fn header(&self, tensor: &Tensor) -> DlTensor {
        // On a device that is not driven here the address may be a handle, with which nobody counts.
        let (data, byte_offset) = match tensor.device() {
            _ if tensor.is_empty() => (ptr::null_mut(), 0),
            Device::Other(_) => {
                let handle = tensor.storage().as_ptr();
                (handle, tensor.as_ptr().addr().wrapping_sub(handle.addr()) as u64)
            }
            _ => (tensor.as_ptr(), 0),
        };
        DlTensor {
            data: data.cast(),
            device: self.device,
            ndim: self.shape.len() as i32,
            dtype: dtype_code(tensor.dtype()),
            // Readers of a header do not write its axes.
            shape: self.shape.as_ptr().cast_mut(),
            strides: self.strides.as_ptr().cast_mut(),
            byte_offset,
        }
    }
}

/// Consumers load whole elements, and some of their loads stop the process off their alignment.
fn check_aligned(tensor: &Tensor) -> Result<(), DlpackError> {
    let (address, item_bytes) = (tensor.as_ptr().addr(), tensor.dtype().item_bytes());
    if tensor.is_empty() || address.is_multiple_of(item_bytes) {
        return Ok(());
    }
    Err(DlpackError::Unaligned { address, item_bytes })
}

type Counts = SmallVec<[i64; 4]>;

fn lens_and_steps(tensor: &Tensor) -> Result<(Counts, Counts), DlpackError> {
    let item_bytes = tensor.dtype().item_bytes();
    let shape = tensor.shape().iter().map(|&len| len as i64).collect();
    let mut steps = SmallVec::new();
    for (axis, (&stride, &len)) in tensor.strides().iter().zip(tensor.shape()).enumerate() {
        if len > 1 && !tensor.is_empty() && !stride.unsigned_abs().is_multiple_of(item_bytes) {
            return Err(DlpackError::OddStride { axis, stride, item_bytes });
        }
        steps.push((stride / item_bytes as isize) as i64);
    }
    Ok((shape, steps))
}
