//! Why an object is not carried.

use ndbridge_dlpack::{CUDA, DlpackError};
use ndbridge_interpreter::{ArrayError, ErrorClass};
use pyo3::PyErr;

/// Why a Python object could not become a tensor, or a tensor an object of a library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// A torch tensor whose values are the conjugates of what its memory holds.
    #[error(
        "torch tensor has its conjugate bit set, its memory holds other values: pass x.resolve_conj() (copies)"
    )]
    Conjugate,
    /// A torch tensor whose values are the negatives of what its memory holds.
    #[error(
        "torch tensor has its negative bit set, its memory holds other values: pass x.resolve_neg() (copies)"
    )]
    Negative,
    /// A torch tensor that autograd watches.
    #[error(
        "torch tensor requires grad, and autograd would not see what is done to its memory: pass x.detach() (shares)"
    )]
    RequiresGrad,
    /// A torch tensor without plain memory, such as a sparse one.
    #[error(
        "torch tensor of layout {layout} on {device} has no plain host memory ({reason}){remedy}"
    )]
    TorchMemory {
        /// torch's name of the layout.
        layout: String,
        /// torch's name of the device.
        device: String,
        /// What torch says.
        reason: String,
        /// The call that works, if there is one, after a colon.
        remedy: &'static str,
    },
    /// A torch tensor whose storage was resized below it.
    #[error("torch tensor reaches past its storage of {len_bytes} B, which was resized")]
    TorchStorage {
        /// Bytes of the storage.
        len_bytes: usize,
    },
    /// Memory that host code must not touch.
    #[error("{} is not host memory: pass a copy of it on the cpu, as by x.cpu()", DeviceName(*kind, *id))]
    OnDevice {
        /// DLPack's number of the kind of device.
        kind: i32,
        /// Ordinal among its kind.
        id: i32,
    },
    /// An object that offers no way to its elements.
    #[error(
        "{found} offers no array: expected a NumPy array, a tensor of torch, TensorFlow, JAX or \
         ndbridge, or an object with __dlpack__, __array_interface__ or a buffer: \
         pass numpy.asarray(x) (copies)"
    )]
    NoProtocol {
        /// Name of its type.
        found: String,
    },
    /// A TensorFlow tensor of a type that has no plain elements.
    #[error("TensorFlow dtype {dtype} cannot be carried: pass numbers or booleans, as by tf.cast")]
    TensorFlowDType {
        /// TensorFlow's name of the data type.
        dtype: String,
    },
    /// The elements that an object gives out are not those it speaks of.
    #[error("{found} gives out a copy of its elements, not its memory: pass numpy.asarray(x)")]
    HiddenCopy {
        /// Name of its type.
        found: String,
    },
    /// An `__array_interface__` with a mask, which a tensor does not have.
    #[error("{found}: __array_interface__ with a mask, which would be lost: fill it first")]
    InterfaceMask {
        /// Name of its type.
        found: String,
    },
    /// An `__array_interface__` of a buffer that is too small for it.
    #[error("{found}: __array_interface__ reaches out of its buffer of {buffer_bytes} B")]
    OutsideBuffer {
        /// Name of its type.
        found: String,
        /// Size of the buffer.
        buffer_bytes: usize,
    },
    /// A consumer that cannot hold this tensor as it is.
    #[error("{consumer} {reason}: {remedy}")]
    Consumer {
        /// The library.
        consumer: &'static str,
        /// What it cannot do.
        reason: String,
        /// The call that works.
        remedy: &'static str,
    },
    /// The DLPack structure was refused.
    #[error(transparent)]
    Dlpack(#[from] DlpackError),
}

/// A device by its numbers in DLPack, in words.
struct DeviceName(i32, i32);

impl std::fmt::Display for DeviceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(kind, id) = *self;
        match kind {
            CUDA => write!(f, "cuda:{id}"),
            _ => write!(f, "DLPack device ({kind}, {id})"),
        }
    }
}

impl From<ObjectError> for ArrayError {
    fn from(error: ObjectError) -> Self {
        let class = match error {
            ObjectError::Dlpack(DlpackError::Tensor(error)) => return error.into(),
            ObjectError::Dlpack(DlpackError::DType { .. } | DlpackError::Device { .. })
            | ObjectError::OnDevice { .. }
            | ObjectError::NoProtocol { .. }
            | ObjectError::TensorFlowDType { .. } => ErrorClass::Type,
            _ => ErrorClass::Buffer,
        };
        Self::new(class, error)
    }
}

impl From<ObjectError> for PyErr {
    fn from(error: ObjectError) -> Self {
        ArrayError::from(error).into()
    }
}
