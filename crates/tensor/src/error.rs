//! Everything that can go wrong with a tensor.

use std::fmt;

use ndbridge_dtype::{Casting, DType, DTypeError};
use ndbridge_layout::LayoutError;
use ndbridge_storage::{BorrowError, Device, StorageError, to_host};

use crate::bytes::Bytes;
use crate::plan::Refusal;
use crate::receipt::CopyReasons;

/// Why a tensor operation was refused. Nothing was changed when one of these comes back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The shape, strides or index do not fit.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The memory could not be had.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The memory is borrowed, or may not be borrowed so.
    #[error(transparent)]
    Borrow(#[from] BorrowError),
    /// The data types do not go together.
    #[error(transparent)]
    DType(#[from] DTypeError),
    /// The elements are of another type than asked for.
    #[error(
        "dtype {found}, expected {expected}: call to_dtype(DType::{expected:?}) (copies {})",
        Bytes(*copy_bytes)
    )]
    WrongDType {
        /// Type that was asked for.
        expected: DType,
        /// Type of the tensor.
        found: DType,
        /// Bytes a copy of the asked-for type takes.
        copy_bytes: usize,
    },
    /// The tensor may only be read.
    #[error("tensor is read-only: write to a copy, copy(CopyOrder::Keep) (copies {})", Bytes(*copy_bytes))]
    ReadOnly {
        /// Bytes a writable copy takes.
        copy_bytes: usize,
    },
    /// Address not suited to the data type.
    #[error(
        "address {address:#x} is not a multiple of {align_bytes}: \
         call copy(CopyOrder::Keep) (copies {})", Bytes(*copy_bytes)
    )]
    Unaligned {
        /// Address of the first element.
        address: usize,
        /// What it has to be a multiple of.
        align_bytes: usize,
        /// Bytes an aligned copy takes.
        copy_bytes: usize,
    },
    /// A stride that ndarray, which counts in elements, cannot express.
    #[error(
        "stride of axis {axis} is {stride} B, not a multiple of the item's {item_bytes} B: \
         call copy(CopyOrder::Keep) (copies {})", Bytes(*copy_bytes)
    )]
    OddStride {
        /// The axis.
        axis: usize,
        /// Its stride in bytes.
        stride: isize,
        /// Bytes of one element.
        item_bytes: usize,
        /// Bytes a copy takes.
        copy_bytes: usize,
    },
    /// Axes that interleave without meeting, which ndarray does not write through.
    #[error(
        "axes of shape {shape:?}, strides {strides:?} B interleave, which ndarray refuses to write: \
         use assign() or fill(), or write to copy(CopyOrder::Keep) (copies {})", Bytes(*copy_bytes)
    )]
    Interleaved {
        /// Shape of the tensor.
        shape: Vec<usize>,
        /// Strides in bytes.
        strides: Vec<isize>,
        /// Bytes a copy takes.
        copy_bytes: usize,
    },
    /// More elements than ndarray can count (only broadcast layouts reach that).
    #[error("shape {shape:?} has more than isize::MAX elements")]
    TooLarge {
        /// Shape of the tensor.
        shape: Vec<usize>,
    },
    /// A byte that is neither 0 nor 1 where a `bool` should be.
    #[error(
        "byte {byte} at index {index:?} is not a bool (0 or 1): \
         read it as uint8 with reinterpret(DType::U8)"
    )]
    InvalidBool {
        /// Index of the first such element.
        index: Vec<usize>,
        /// The byte found there.
        byte: u8,
    },
    /// The layout reaches bytes outside of its storage.
    #[error("layout reaches bytes {start}..{end} of a storage of {storage_bytes} B")]
    OutsideStorage {
        /// First byte reached.
        start: usize,
        /// One past the last byte reached.
        end: usize,
        /// Size of the storage.
        storage_bytes: usize,
    },
    /// A list of values and a shape that do not match.
    #[error("{len} values for shape {shape:?}")]
    WrongLen {
        /// Number of values.
        len: usize,
        /// Shape asked for.
        shape: Vec<usize>,
    },
    /// An index outside of the tensor.
    #[error("index {index:?} is out of bounds for shape {shape:?}")]
    OutOfBounds {
        /// The index.
        index: Vec<usize>,
        /// Shape of the tensor.
        shape: Vec<usize>,
    },
    /// `item()` on more or less than one element.
    #[error("item() needs exactly 1 element, shape {shape:?} has {len}")]
    NotOneElement {
        /// Shape of the tensor.
        shape: Vec<usize>,
        /// Number of its elements.
        len: usize,
    },
    /// Raw bytes of a tensor whose elements have gaps or another order.
    #[error(
        "shape {shape:?}, strides {strides:?} B is not contiguous in C order: call copy(CopyOrder::C)"
    )]
    NotContiguous {
        /// Shape of the tensor.
        shape: Vec<usize>,
        /// Strides in bytes.
        strides: Vec<isize>,
    },
    /// A write would change the kind of its values.
    #[error(
        "cannot write {from} into {to} under casting '{casting}': convert first, to_dtype(DType::{to:?})"
    )]
    LossyWrite {
        /// Data type of the values.
        from: DType,
        /// Data type of the destination.
        to: DType,
        /// The rule that forbids it.
        casting: Casting,
    },
    /// A conversion that cannot be made.
    #[error("{call}: {refusal}")]
    Refused {
        /// Name of the conversion.
        call: &'static str,
        /// Why.
        refusal: Refusal,
    },
    /// A copy inside a `no_copy` scope.
    #[error(
        "{call} would copy {} ({reasons}), and this scope forbids copies: {}",
        Bytes(*bytes), Remedy(*reasons)
    )]
    CopyForbidden {
        /// Name of the call.
        call: &'static str,
        /// Why it would copy.
        reasons: CopyReasons,
        /// Bytes it would write.
        bytes: usize,
    },
    /// Host code asked for memory of another device.
    #[error("tensor is on {device}, host memory needed: {}", to_host(*device, &Bytes(*copy_bytes)))]
    OnDevice {
        /// Where the tensor is.
        device: Device,
        /// Bytes a copy to the host takes.
        copy_bytes: usize,
    },
}

/// What to do where a copy is forbidden.
struct Remedy(CopyReasons);

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::receipt::CopyReason as R;
        let remedy = match self.0.iter().find(|&reason| reason != R::Requested) {
            Some(R::DType) => "keep the source's dtype, or convert before the scope",
            Some(R::ByteOrder) => "store the source in this machine's byte order",
            Some(R::Order) => "use the source's own memory order",
            Some(R::Alignment) => "use an aligned source",
            Some(R::ReadOnly) => "use a writable source, or ask for a read-only result",
            Some(R::Overlap) => "write from memory that does not overlap",
            Some(R::Owner) => "drop the other handles first",
            Some(R::Device) => "use memory on the device asked for",
            Some(R::NotAnArray) => "pass an array instead",
            Some(R::Requested) | None => "use a call that shares, or leave the scope",
        };
        f.write_str(remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn bytes_print_with_a_unit() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (4096, "4.0 KiB"), (3_670_016, "3.5 MiB")]
        {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
