//! Errors at the boundary, and which Python exception each becomes.

use std::io;

use ndbridge_dtype::{ByteOrder, DType, DTypeError};
use ndbridge_storage::ledger::CallSite;
use ndbridge_storage::{BorrowError, StorageError};
use ndbridge_tensor::{LayoutError, Refusal, TensorError};
use pyo3::PyErr;
use pyo3::exceptions::{
    PyBufferError, PyIndexError, PyMemoryError, PyOSError, PyOverflowError, PyRuntimeError,
    PyTypeError, PyValueError,
};
use pyo3::prelude::*;

use crate::NumpyError;
use crate::dlpack::DlpackError;

/// Why a Python object could not become a tensor, or a tensor a Python object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayError {
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
    /// The data type is not known.
    #[error(transparent)]
    DType(#[from] DTypeError),
    /// The tensor refused.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The file refused.
    #[error(transparent)]
    File(#[from] NumpyError),
}

impl ArrayError {
    pub(super) fn not_an_array(object: &Bound<'_, PyAny>) -> Self {
        Self::NotAnArray { found: type_name(object) }
    }
}

/// Name of the object's type, with its module.
pub(super) fn type_name(object: &Bound<'_, PyAny>) -> String {
    let name = object.get_type().fully_qualified_name();
    name.map_or_else(|_| "object".into(), |name| name.to_string())
}

/// What foreign code raised when its function `call` failed; also if it raised nothing.
#[cold]
pub(super) fn raised(py: Python<'_>, call: &'static str) -> PyErr {
    PyErr::take(py)
        .unwrap_or_else(|| PyBufferError::new_err(format!("{call} failed and raised no exception")))
}

/// A device by its numbers in DLPack, in words.
struct DeviceName(i32, i32);

impl std::fmt::Display for DeviceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(kind, id) = *self;
        match kind {
            crate::dlpack::CUDA => write!(f, "cuda:{id}"),
            _ => write!(f, "DLPack device ({kind}, {id})"),
        }
    }
}

/// `TypeError` for data types, `BufferError` for whatever else the protocol cannot express.
fn dlpack_error(error: DlpackError) -> PyErr {
    match error {
        DlpackError::DType { .. } | DlpackError::Device { .. } => {
            PyTypeError::new_err(error.to_string())
        }
        DlpackError::Tensor(error) => to_py_err(error),
        _ => PyBufferError::new_err(in_python_words(error.to_string())),
    }
}

fn view_of(dtype: DType) -> &'static str {
    if dtype.item_bytes() == 2 { "uint16" } else { "uint8" }
}

impl From<ArrayError> for PyErr {
    fn from(error: ArrayError) -> Self {
        match error {
            ArrayError::Tensor(error) => to_py_err(error),
            ArrayError::DType(error) => dtype_error(&error),
            ArrayError::File(error) => file_error(error),
            ArrayError::LongChain { .. } => PyValueError::new_err(error.to_string()),
            ArrayError::Dlpack(error) => dlpack_error(error),
            ArrayError::Conjugate
            | ArrayError::Negative
            | ArrayError::RequiresGrad
            | ArrayError::TorchMemory { .. }
            | ArrayError::TorchStorage { .. }
            | ArrayError::HiddenCopy { .. }
            | ArrayError::InterfaceMask { .. }
            | ArrayError::OutsideBuffer { .. }
            | ArrayError::Consumer { .. } => PyBufferError::new_err(error.to_string()),
            _ => PyTypeError::new_err(error.to_string()),
        }
    }
}

/// The Python exception for a tensor's error: `TypeError` for data types, `ValueError` for shapes
/// and values, `IndexError` for indices, `BufferError` for borrows, `MemoryError`, `OSError`.
#[must_use]
pub fn to_py_err(error: TensorError) -> PyErr {
    let text = in_python_words(error.to_string());
    match error {
        TensorError::DType(error) => dtype_error(&error),
        TensorError::WrongDType { .. }
        | TensorError::LossyWrite { .. }
        | TensorError::OnDevice { .. } => PyTypeError::new_err(text),
        TensorError::Refused { refusal: Refusal::Casting { .. }, .. } => PyTypeError::new_err(text),
        TensorError::OutOfBounds { .. } => PyIndexError::new_err(text),
        TensorError::Layout(error) => layout_error(&error),
        TensorError::Storage(error) => storage_error(error),
        TensorError::Borrow(error) => borrow_error(&error),
        _ => PyValueError::new_err(text),
    }
}

/// A text with Rust's calls replaced by those of the Python surface.
#[must_use]
pub fn in_python_words(text: String) -> String {
    let mut text = text
        .replace("copy(CopyOrder::Keep)", "clone()")
        .replace("copy(CopyOrder::C)", "contiguous()")
        .replace("npz::load()", "load_npz()")
        .replace("Scalar::to_element", "tensor(value).astype(dtype, 'unsafe')");
    for dtype in DType::ALL {
        text = text
            .replace(&format!("to_dtype(DType::{dtype:?})"), &format!("astype('{dtype}')"))
            .replace(&format!("reinterpret(DType::{dtype:?})"), &format!("view('{dtype}')"));
    }
    text
}

fn dtype_error(error: &DTypeError) -> PyErr {
    let text = in_python_words(error.to_string());
    match error {
        DTypeError::OutOfBounds { .. } | DTypeError::IntegerTooLarge { .. } => {
            PyOverflowError::new_err(text)
        }
        DTypeError::UnknownCasting { .. } | DTypeError::NothingToPromote => {
            PyValueError::new_err(text)
        }
        _ => PyTypeError::new_err(text),
    }
}

fn layout_error(error: &LayoutError) -> PyErr {
    let text = in_python_words(error.to_string());
    match error {
        LayoutError::IndexOutOfBounds { .. }
        | LayoutError::TooManyIndices { .. }
        | LayoutError::ManyEllipses { .. }
        | LayoutError::SliceOutOfBounds { .. } => PyIndexError::new_err(text),
        _ => PyValueError::new_err(text),
    }
}

fn storage_error(error: StorageError) -> PyErr {
    let text = error.to_string();
    match error {
        StorageError::OutOfMemory { .. } | StorageError::TooLarge { .. } => {
            PyMemoryError::new_err(text)
        }
        StorageError::Io(error) => error.into(),
        StorageError::DeviceMemory { .. } => PyMemoryError::new_err(text),
        StorageError::Driver { .. }
        | StorageError::Capturing { .. }
        | StorageError::NoKernel { .. } => PyRuntimeError::new_err(text),
        StorageError::WrongPointer { .. } => PyBufferError::new_err(text),
        _ => PyValueError::new_err(text),
    }
}

/// Who holds a borrow, in Python's words: a name, or a place in Rust's sources without the path that
/// they had when they were compiled.
pub(super) fn holder(at: &CallSite) -> String {
    let file = at.file();
    match at.line() {
        0 => file.to_owned(),
        line => {
            let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
            format!("Rust code ({name}, line {line})")
        }
    }
}

fn borrow_error(error: &BorrowError) -> PyErr {
    let text = match error {
        // Where it was wanted, the traceback shows.
        BorrowError::Conflict { wanted, held, held_at, .. } => {
            format!("already borrowed {held} by {}, wanted {wanted}", holder(held_at))
        }
        BorrowError::StillBorrowed { held, held_at, .. } => {
            format!("cannot lend: still borrowed {held} by {}", holder(held_at))
        }
        _ => error.to_string(),
    };
    match error {
        BorrowError::ReadOnly { .. }
        | BorrowError::UnknownMutability { .. }
        | BorrowError::ReachesTwice { .. } => PyValueError::new_err(text),
        _ => PyBufferError::new_err(text),
    }
}

fn file_error(error: NumpyError) -> PyErr {
    let text = in_python_words(error.to_string());
    match error {
        // What a Python file object raised goes on as it came.
        NumpyError::Io { source, .. }
            if source.get_ref().is_some_and(|inner| inner.is::<PyErr>()) =>
        {
            source.into()
        }
        NumpyError::Io { source, .. } => io_error(&source, text),
        NumpyError::Tensor(error) => to_py_err(error),
        NumpyError::NoTypeCode { .. } => PyTypeError::new_err(text),
        _ => PyValueError::new_err(text),
    }
}

/// `FileNotFoundError` and the like, with the file named.
fn io_error(source: &io::Error, text: String) -> PyErr {
    match source.raw_os_error() {
        _ if source.kind() == io::ErrorKind::OutOfMemory => PyMemoryError::new_err(text),
        Some(code) => PyOSError::new_err((code, text)),
        // A helper's error that kept only the kind.
        None => io::Error::new(source.kind(), text).into(),
    }
}
