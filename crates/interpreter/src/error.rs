//! Errors at the boundary, and which Python exception each becomes.

use std::error::Error;

use ndbridge_dtype::{DType, DTypeError};
use ndbridge_storage::ledger::CallSite;
use ndbridge_storage::{BorrowError, StorageError};
use ndbridge_tensor::{LayoutError, Refusal, TensorError};
use pyo3::PyErr;
use pyo3::exceptions::{
    PyBufferError, PyIndexError, PyMemoryError, PyOverflowError, PyRuntimeError, PyTypeError,
    PyValueError,
};
use pyo3::prelude::*;

/// The Python exception that an error becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorClass {
    /// `TypeError`: a data type, or an object of a kind that is not carried.
    Type,
    /// `ValueError`: a shape or a value.
    Value,
    /// `BufferError`: what a protocol cannot express, or a borrow.
    Buffer,
    /// `MemoryError`.
    Memory,
}

/// Why a Python object could not become a tensor, or a tensor a Python object; it becomes the
/// exception that says so.
///
/// The crates above this one make it of their own errors, which are its source.
///
/// ```
/// use ndbridge_interpreter::ArrayError;
/// use ndbridge_tensor::{DType, Tensor};
///
/// let error = Tensor::from_vec(vec![1_i32]).read::<f32>().unwrap_err();
/// let error = ArrayError::from(error); // in Python a TypeError
/// assert!(error.to_string().contains("int32"));
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ArrayError(Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    DType(DTypeError),
    #[error(transparent)]
    Tensor(TensorError),
    #[error(transparent)]
    Raised(PyErr),
    #[error("{source}")]
    Other { class: ErrorClass, source: Box<dyn Error + Send + Sync> },
}

impl ArrayError {
    /// An error of a crate above, as an exception of `class`.
    #[cold]
    pub fn new(class: ErrorClass, error: impl Error + Send + Sync + 'static) -> Self {
        Self(Cause::Other { class, source: Box::new(error) })
    }
}

impl From<DTypeError> for ArrayError {
    fn from(error: DTypeError) -> Self {
        Self(Cause::DType(error))
    }
}

impl From<TensorError> for ArrayError {
    fn from(error: TensorError) -> Self {
        Self(Cause::Tensor(error))
    }
}

impl From<PyErr> for ArrayError {
    fn from(error: PyErr) -> Self {
        Self(Cause::Raised(error))
    }
}

impl From<ArrayError> for PyErr {
    fn from(error: ArrayError) -> Self {
        match error.0 {
            Cause::DType(error) => dtype_error(&error),
            Cause::Tensor(error) => to_py_err(error),
            Cause::Raised(error) => error,
            Cause::Other { class, source } => {
                let text = in_python_words(source.to_string());
                match class {
                    ErrorClass::Type => PyTypeError::new_err(text),
                    ErrorClass::Value => PyValueError::new_err(text),
                    ErrorClass::Buffer => PyBufferError::new_err(text),
                    ErrorClass::Memory => PyMemoryError::new_err(text),
                }
            }
        }
    }
}

/// Name of the object's type, with its module.
pub fn type_name(object: &Bound<'_, PyAny>) -> String {
    let name = object.get_type().fully_qualified_name();
    name.map_or_else(|_| "object".into(), |name| name.to_string())
}

/// What foreign code raised when its function `call` failed; also if it raised nothing.
#[cold]
pub fn raised(py: Python<'_>, call: &'static str) -> PyErr {
    PyErr::take(py)
        .unwrap_or_else(|| PyBufferError::new_err(format!("{call} failed and raised no exception")))
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
        StorageError::NotRun { device, stream } => PyBufferError::new_err(format!(
            "memory on {device} is not written yet, stream {stream:#x} is captured and its work runs with \
             the graph: use it in `with ndbridge.cuda.Stream.external({stream:#x}):`, or after the graph has run"
        )),
        _ => PyValueError::new_err(text),
    }
}

/// Who holds a borrow, in Python's words: a name, or a place in Rust's sources without the path that
/// they had when they were compiled.
pub fn holder(at: &CallSite) -> String {
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
