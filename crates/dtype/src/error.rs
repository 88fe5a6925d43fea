//! What can go wrong.

use alloc::string::String;

use crate::{ByteOrder, DType, Refused, Scalar};

/// Why a data type cannot be read, promoted or given a value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DTypeError {
    /// No data type is called that.
    #[error(
        "unknown dtype {text:?}, expected a name such as \"float32\" or a type string such as \"<f4\""
    )]
    Unknown {
        /// What was to be read.
        text: String,
    },
    /// A data type of NumPy or torch that cannot be carried.
    #[error("dtype {text:?} is {kind} and cannot be carried: {}", kind.way_out())]
    Refused {
        /// What was to be read.
        text: String,
        /// What it names.
        kind: Refused,
    },
    /// A data type in the byte order of other machines, where memory is to be used in place.
    #[error(
        "dtype {text:?} is {order} {dtype}, expected {} as on this machine: call astype(\"{dtype}\") (copies)",
        ByteOrder::NATIVE
    )]
    ForeignByteOrder {
        /// What was to be read.
        text: String,
        /// The data type it would be in native byte order.
        dtype: DType,
        /// The byte order it is in.
        order: ByteOrder,
    },
    /// NumPy has no common data type for two others.
    #[error("{left} and {right} have no common dtype in NumPy: convert one of them first")]
    NoPromotion {
        /// One data type.
        left: DType,
        /// The other.
        right: DType,
    },
    /// torch has no common data type for two others.
    #[error("{left} and {right} have no common dtype in torch: convert one of them first")]
    NoTorchPromotion {
        /// One data type.
        left: DType,
        /// The other.
        right: DType,
    },
    /// There was nothing to find a common data type of.
    #[error("expected at least one dtype or value to promote, found none")]
    NothingToPromote,
    /// A Python integer beyond every integer data type.
    #[error("integer {value} fits neither int64 nor uint64: make it a float first")]
    IntegerTooLarge {
        /// The integer, or the nearest that is known.
        value: i128,
    },
    /// A value that the data type cannot hold.
    #[error(
        "{value} is out of bounds for {dtype}: convert it with Scalar::to_element (wraps or saturates)"
    )]
    OutOfBounds {
        /// The value.
        value: Scalar,
        /// The data type it was to have.
        dtype: DType,
    },
    /// A complex value for a data type without imaginary part.
    #[error("complex value {value} would lose its imaginary part as {dtype}: take its real part")]
    ComplexToReal {
        /// The value.
        value: Scalar,
        /// The data type it was to have.
        dtype: DType,
    },
    /// No casting level is called that.
    #[error(
        "unknown casting {text:?}, expected \"no\", \"equiv\", \"safe\", \"same_kind\" or \"unsafe\""
    )]
    UnknownCasting {
        /// What was to be read.
        text: String,
    },
}
