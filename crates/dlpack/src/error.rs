//! Why a DLPack structure was refused, or a tensor cannot become one.

use ndbridge_storage::Device;
use ndbridge_tensor::TensorError;

use super::abi::{DlDataType, DlDevice};

/// Why a DLPack structure was refused, or a tensor cannot become one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DlpackError {
    /// A structure of another major version.
    #[error("DLPack version {major}, expected 1")]
    Version {
        /// Major version found.
        major: u32,
    },
    /// A type of elements that is not carried.
    #[error(
        "DLPack data type (code {}, {} bits, {} lanes) cannot be carried",
        dtype.code, dtype.bits, dtype.lanes
    )]
    DType {
        /// The type.
        dtype: DlDataType,
    },
    /// Memory of a kind of device that is not carried.
    #[error("memory of DLPack device ({}, {}) cannot be carried: copy it to the cpu first", device.kind, device.id)]
    Device {
        /// The device.
        device: DlDevice,
    },
    /// A number of axes that no array has.
    #[error("DLPack tensor of {ndim} axes, expected 0 to {limit}")]
    Ndim {
        /// Number found.
        ndim: i32,
        /// Most that are possible.
        limit: usize,
    },
    /// Axes without lengths.
    #[error("DLPack tensor of {ndim} axes without a shape")]
    NullShape {
        /// Number of axes.
        ndim: i32,
    },
    /// Axes without strides, in a version that demands them.
    #[error("DLPack tensor of {ndim} axes without strides, which version 1.2 forbids")]
    NullStrides {
        /// Number of axes.
        ndim: i32,
    },
    /// An axis of negative length.
    #[error("DLPack tensor: axis {axis} has the negative length {len}")]
    NegativeLength {
        /// The axis.
        axis: usize,
        /// Its length.
        len: i64,
    },
    /// Lengths or strides that no program has there.
    #[error("DLPack tensor: its {what} at {address:#x} are outside the address space")]
    AxesAddress {
        /// Which of them.
        what: &'static str,
        /// Where they were said to be.
        address: usize,
    },
    /// Elements at address zero.
    #[error("DLPack tensor of {len} elements without memory: its producer has no data for it")]
    NullData {
        /// Number of elements.
        len: usize,
    },
    /// Elements that do not begin where their memory does, on a device whose addresses may be handles.
    #[error(
        "DLPack tensor on {device} whose elements do not begin at its address: pass one without an \
         offset and without negative strides"
    )]
    BesideHandle {
        /// The device.
        device: Device,
    },
    /// Sizes that do not fit the address space.
    #[error("DLPack tensor: shape, strides or offset do not fit the address space")]
    Overflow,
    /// No structure at all.
    #[error("DLPack tensor: null pointer")]
    Null,
    /// Memory that foreign code must not reach.
    #[error("tensor is private: lend its memory before it goes out")]
    Private,
    /// A stride that DLPack, which counts in elements, cannot express.
    #[error(
        "stride of axis {axis} is {stride} B, not a multiple of the item's {item_bytes} B, which \
         DLPack cannot express: call copy(CopyOrder::Keep)"
    )]
    OddStride {
        /// The axis.
        axis: usize,
        /// Its stride in bytes.
        stride: isize,
        /// Bytes of one element.
        item_bytes: usize,
    },
    /// Elements whose address is no multiple of their size.
    #[error(
        "address {address:#x} is not aligned to the item's {item_bytes} B, which consumers of DLPack \
         rely on: call copy(CopyOrder::Keep)"
    )]
    Unaligned {
        /// Address of the first element.
        address: usize,
        /// Bytes of one element.
        item_bytes: usize,
    },
    /// Read-only memory for a consumer that cannot be told so.
    #[error(
        "tensor is read-only, which a consumer of legacy DLPack capsules cannot be told: \
         pass copy(CopyOrder::Keep)"
    )]
    ReadOnlyLegacy,
    /// A device that has no number in DLPack.
    #[error("memory on {device} has no DLPack device")]
    NoDevice {
        /// The device.
        device: Device,
    },
    /// The tensor refused.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}
