//! Why an array is not carried, and which exception a file's error becomes.

use ndbridge_dtype::{ByteOrder, DType};
use ndbridge_interpreter::{ArrayError, ErrorClass, type_name};
use pyo3::prelude::*;

/// Why a NumPy array could not become a tensor, or a tensor a NumPy array.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NdarrayError {
    /// Some other object.
    #[error("expected a numpy.ndarray, got {found}: call asarray() or tensor()")]
    NotAnArray {
        /// Name of its type.
        found: String,
    },
    /// A masked array, whose mask a tensor does not have.
    #[error(
        "masked array: its mask would be lost: pass x.filled(value) (copies), or x.data and x.mask \
         (share)"
    )]
    Masked,
    /// A data type that NumPy has only with the package ml_dtypes.
    #[error(
        "dtype {dtype} crosses to NumPy with the package ml_dtypes, which is missing: pip install \
         ml_dtypes, or view the bytes as {}, on both sides",
        view_of(*dtype)
    )]
    NeedsMlDtypes {
        /// The data type.
        dtype: DType,
    },
    /// Records, or elements that are arrays.
    #[error(
        "structured dtype {descr} cannot be carried: take one field, as in array['name'], which shares"
    )]
    Structured {
        /// NumPy's name of the data type.
        descr: String,
    },
    /// A data type that nothing is known of.
    #[error("dtype {descr} cannot be carried")]
    UnknownDType {
        /// NumPy's name of the data type.
        descr: String,
    },
    /// A data type in the other byte order, where a data type of this machine is needed.
    #[error("dtype {dtype} in {order} byte order: name it without a byte order")]
    ForeignOrder {
        /// The data type.
        dtype: DType,
        /// The byte order asked for.
        order: ByteOrder,
    },
    /// Views of views without end.
    #[error("array is a view of more than {limit} arrays, one through the other")]
    LongChain {
        /// Most that are followed.
        limit: usize,
    },
}

impl NdarrayError {
    /// Some other object than an array.
    #[must_use]
    pub fn not_an_array(object: &Bound<'_, PyAny>) -> Self {
        Self::NotAnArray { found: type_name(object) }
    }
}

fn view_of(dtype: DType) -> &'static str {
    if dtype.item_bytes() == 2 { "uint16" } else { "uint8" }
}

impl From<NdarrayError> for ArrayError {
    fn from(error: NdarrayError) -> Self {
        let class = match error {
            NdarrayError::LongChain { .. } => ErrorClass::Value,
            _ => ErrorClass::Type,
        };
        Self::new(class, error)
    }
}

impl From<NdarrayError> for PyErr {
    fn from(error: NdarrayError) -> Self {
        ArrayError::from(error).into()
    }
}
