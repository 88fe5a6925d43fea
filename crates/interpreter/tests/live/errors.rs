//! Which exception an error becomes, and in whose words.

use std::io;

use ndbridge_dtype::{ByteOrder, Casting, DTypeError, Refused, Scalar};
use ndbridge_interpreter::{ArrayError, ErrorClass, in_python_words, to_py_err};
use ndbridge_storage::ledger::CallSite;
use ndbridge_storage::{BorrowError, BorrowKind, GateError, StorageError};
use ndbridge_tensor::{
    CopyReasons, DType, LayoutError, Refusal, Tensor, TensorError, storage::Device,
};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;

use crate::said;

/// An error, the class of its exception, and what it says; "": what the error says in Rust.
type Case = (TensorError, &'static str, &'static str);

fn check(cases: Vec<Case>) {
    Python::initialize();
    Python::attach(|py| {
        for (error, class, text) in cases {
            let in_rust = error.to_string();
            let expected = if text.is_empty() { in_rust.clone() } else { text.to_owned() };
            let found = said(py, &to_py_err(error));
            assert_eq!(found, (class.to_owned(), expected), "{in_rust}");
            for word in ["DType::", "CopyOrder", "Scalar::", "to_dtype", "reinterpret"] {
                assert!(!found.1.contains(word), "{word} is Rust's word: {}", found.1);
            }
        }
    });
}

#[test]
fn tensor_errors() {
    let (from, to, casting) = (DType::F64, DType::I32, Casting::SameKind);
    let shape = vec![2, 3];
    let error = |refusal| TensorError::Refused { call: "asarray", refusal };
    check(vec![
        (
            TensorError::WrongDType { expected: DType::F32, found: DType::F64, copy_bytes: 800 },
            "TypeError",
            "dtype float64, expected float32: call astype('float32') (copies 800 B)",
        ),
        (
            TensorError::ReadOnly { copy_bytes: 16 },
            "ValueError",
            "tensor is read-only: write to a copy, clone() (copies 16 B)",
        ),
        (
            TensorError::Unaligned { address: 0x1001, align_bytes: 4, copy_bytes: 8 },
            "ValueError",
            "address 0x1001 is not a multiple of 4: call clone() (copies 8 B)",
        ),
        (
            TensorError::OddStride { axis: 1, stride: 6, item_bytes: 4, copy_bytes: 8 },
            "ValueError",
            "stride of axis 1 is 6 B, not a multiple of the item's 4 B: call clone() (copies 8 B)",
        ),
        (
            TensorError::Interleaved { shape: vec![2, 2], strides: vec![8, 12], copy_bytes: 16 },
            "ValueError",
            "axes of shape [2, 2], strides [8, 12] B interleave, which ndarray refuses to write: use \
             assign() or fill(), or write to clone() (copies 16 B)",
        ),
        (TensorError::TooLarge { shape: shape.clone() }, "ValueError", ""),
        (
            TensorError::InvalidBool { index: vec![3], byte: 7 },
            "ValueError",
            "byte 7 at index [3] is not a bool (0 or 1): read it as uint8 with view('uint8')",
        ),
        (TensorError::OutsideStorage { start: 4, end: 12, storage_bytes: 8 }, "ValueError", ""),
        (TensorError::WrongLen { len: 5, shape: shape.clone() }, "ValueError", ""),
        (TensorError::OutOfBounds { index: vec![2], shape: shape.clone() }, "IndexError", ""),
        (TensorError::NotOneElement { shape: shape.clone(), len: 6 }, "ValueError", ""),
        (
            TensorError::NotContiguous { shape, strides: vec![4, 8] },
            "ValueError",
            "shape [2, 3], strides [4, 8] B is not contiguous in C order: call contiguous()",
        ),
        (
            TensorError::LossyWrite { from, to, casting },
            "TypeError",
            "cannot write float64 into int32 under casting 'same_kind': convert first, \
             astype('int32')",
        ),
        (error(Refusal::Casting { from, to, casting }), "TypeError", ""),
        (error(Refusal::NoDevice { device: Device::Cuda(0) }), "ValueError", ""),
        (
            TensorError::CopyForbidden {
                call: "tensor",
                reasons: CopyReasons::default(),
                bytes: 8,
            },
            "ValueError",
            "",
        ),
        (
            TensorError::OnDevice { device: Device::Cuda(1), copy_bytes: 4096 },
            "TypeError",
            "tensor is on cuda:1, host memory needed: call cpu() first (copies 4.0 KiB)",
        ),
    ]);
}

#[test]
fn dtype_errors() {
    let text = "<U3".to_owned();
    let (left, right, order) = (DType::BF16, DType::F16, ByteOrder::Big);
    let (value, dtype) = (Scalar::Int(300), DType::U8);
    let cases = vec![
        (DTypeError::Unknown { text: text.clone() }, "TypeError", ""),
        (DTypeError::Refused { text: text.clone(), kind: Refused::Text }, "TypeError", ""),
        (DTypeError::ForeignByteOrder { text, dtype: DType::F32, order }, "TypeError", ""),
        (DTypeError::NoPromotion { left, right }, "TypeError", ""),
        (DTypeError::NoTorchPromotion { left, right }, "TypeError", ""),
        (DTypeError::NothingToPromote, "ValueError", ""),
        (DTypeError::IntegerTooLarge { value: 1 << 64 }, "OverflowError", ""),
        (
            DTypeError::OutOfBounds { value, dtype },
            "OverflowError",
            "300 is out of bounds for uint8: convert it with tensor(value).astype(dtype, 'unsafe') \
             (wraps or saturates)",
        ),
        (DTypeError::ComplexToReal { value, dtype }, "TypeError", ""),
        (DTypeError::UnknownCasting { text: "?".to_owned() }, "ValueError", ""),
    ];
    Python::initialize();
    Python::attach(|py| {
        for (error, class, _) in &cases {
            let alone = PyErr::from(ArrayError::from(error.clone()));
            let within = to_py_err(error.clone().into());
            assert_eq!(said(py, &alone), said(py, &within), "{class}");
        }
    });
    check(cases.into_iter().map(|(error, class, text)| (error.into(), class, text)).collect());
}

#[test]
fn layout_errors() {
    let cases = [
        (LayoutError::IndexOutOfBounds { axis: 0, index: 5, len: 3 }, "IndexError"),
        (LayoutError::TooManyIndices { ndim: 1, found: 2 }, "IndexError"),
        (LayoutError::ManyEllipses { found: 2 }, "IndexError"),
        (LayoutError::SliceOutOfBounds { axis: 0, bound: 9, len: 3 }, "IndexError"),
        (LayoutError::LengthMismatch { shape: 1, strides: 2 }, "ValueError"),
        (LayoutError::TooManyAxes { found: 99 }, "ValueError"),
        (LayoutError::AxisOutOfBounds { axis: 4, ndim: 2 }, "ValueError"),
        (LayoutError::RepeatedAxis { axis: 1 }, "ValueError"),
        (LayoutError::ZeroStep { axis: 0 }, "ValueError"),
        (LayoutError::SqueezeLen { axis: 0, len: 2 }, "ValueError"),
        (LayoutError::NegativeLen { axis: 0, len: -2 }, "ValueError"),
    ];
    check(cases.into_iter().map(|(error, class)| (error.into(), class, "")).collect());
}

#[test]
fn storage_errors() {
    let device = Device::Cuda(0);
    let missing = io::Error::from(io::ErrorKind::NotFound);
    let no_file = "entity not found";
    let cases = vec![
        (StorageError::TooLarge { len_bytes: 8 }, "MemoryError", ""),
        (StorageError::OutOfMemory { len_bytes: 8 }, "MemoryError", ""),
        (
            StorageError::DeviceMemory { device, asked: 8, free: 1, held: 0, total: 4 },
            "MemoryError",
            "",
        ),
        (StorageError::Io(missing), "FileNotFoundError", no_file),
        (
            StorageError::Driver {
                call: "cuInit",
                code: 3,
                name: "NOT_INITIALIZED",
                text: "not initialised",
                remedy: "",
            },
            "RuntimeError",
            "",
        ),
        (StorageError::Capturing { call: "wait" }, "RuntimeError", ""),
        (StorageError::NoKernel { name: "fill" }, "RuntimeError", ""),
        (
            StorageError::WrongPointer {
                device,
                address: 1,
                len_bytes: 4,
                facts: "nothing".into(),
            },
            "BufferError",
            "",
        ),
        (StorageError::NotFilled { len_bytes: 8, filled: 4 }, "ValueError", ""),
        (StorageError::NullPointer { len_bytes: 8 }, "ValueError", ""),
        (StorageError::PastAddressSpace { address: 1, len_bytes: 8 }, "ValueError", ""),
        (StorageError::PastEndOfFile { offset: 1, len_bytes: 8, file_bytes: 4 }, "ValueError", ""),
        (StorageError::NoDevice { device, reason: "none".to_owned() }, "ValueError", ""),
        (StorageError::AmbiguousStream, "ValueError", ""),
        (StorageError::NotHost { device, len_bytes: 8 }, "ValueError", ""),
    ];
    check(cases.into_iter().map(|(error, class, text)| (error.into(), class, text)).collect());
}

#[test]
fn borrow_errors() {
    let (wanted, held, owner) = (BorrowKind::Write, BorrowKind::Read, "numpy.ndarray");
    let (named, here) =
        (CallSite::named(c"an argument"), CallSite::from(std::panic::Location::caller()));
    let in_rust = format!("Rust code (errors.rs, line {})", here.line());
    let conflict = |held_at| BorrowError::Conflict {
        wanted,
        wanted_at: here,
        held,
        held_at,
        held_bytes: 0..8,
        in_file: false,
    };
    let gate = GateError { gate: "the test", reason: "because" };
    let cases = vec![
        (
            conflict(named),
            "BufferError",
            "already borrowed for reading by an argument, wanted for writing".to_owned(),
        ),
        (
            conflict(here),
            "BufferError",
            format!("already borrowed for reading by {in_rust}, wanted for writing"),
        ),
        (
            BorrowError::StillBorrowed { wanted_at: named, held, held_at: here },
            "BufferError",
            format!("cannot lend: still borrowed for reading by {in_rust}"),
        ),
        (BorrowError::ReadOnly { wanted, owner }, "ValueError", String::new()),
        (BorrowError::UnknownMutability { wanted, owner }, "ValueError", String::new()),
        (BorrowError::ReachesTwice { wanted }, "ValueError", String::new()),
        (BorrowError::Device { reason: "lost".to_owned() }, "BufferError", String::new()),
        (BorrowError::Gate(gate), "BufferError", "the test refuses: because".to_owned()),
        (BorrowError::FileLent(gate), "BufferError", String::new()),
        (BorrowError::OutsideStorage { region: 0..8, storage: 0..4 }, "BufferError", String::new()),
    ];
    Python::initialize();
    Python::attach(|py| {
        for (error, class, text) in cases {
            let expected = if text.is_empty() { error.to_string() } else { text };
            let found = said(py, &to_py_err(error.into()));
            assert_eq!(found, (class.to_owned(), expected));
        }
    });
}

#[test]
fn errors_of_crates_above_have_the_class_that_they_ask_for() {
    #[derive(Debug, thiserror::Error)]
    #[error("wrong: call to_dtype(DType::F32), or npz::load()")]
    struct Above;

    Python::initialize();
    Python::attach(|py| {
        for (class, name) in [
            (ErrorClass::Type, "TypeError"),
            (ErrorClass::Value, "ValueError"),
            (ErrorClass::Buffer, "BufferError"),
            (ErrorClass::Memory, "MemoryError"),
        ] {
            let error = ArrayError::new(class, Above);
            assert_eq!(error.to_string(), Above.to_string(), "Rust's words in Rust");
            let (found, text) = said(py, &error.into());
            assert_eq!(found, name);
            assert_eq!(text, "wrong: call astype('float32'), or load_npz()");
        }
        // What Python raised goes on as it came.
        let raised = PyKeyError::new_err("x");
        let value = raised.value(py).clone();
        let again = PyErr::from(ArrayError::from(raised));
        assert!(again.value(py).is(&value));
    });
}

#[test]
fn every_dtype_is_named_as_python_does() {
    for dtype in DType::ALL {
        let text = format!("to_dtype(DType::{dtype:?}) or reinterpret(DType::{dtype:?})");
        assert_eq!(in_python_words(text), format!("astype('{dtype}') or view('{dtype}')"));
    }
    let untouched = "nothing of Rust's".to_owned();
    assert_eq!(in_python_words(untouched.clone()), untouched);
}

#[test]
fn a_guard_of_a_tensor_is_named_by_its_place() {
    Python::initialize();
    Python::attach(|py| {
        let tensor = Tensor::from_vec(vec![1.0_f32]);
        let line = line!() + 1;
        let _guard = tensor.write::<f32>().unwrap();
        let (class, text) = said(py, &to_py_err(tensor.read::<f32>().unwrap_err()));
        assert_eq!(class, "BufferError");
        let expected = format!(
            "already borrowed for writing by Rust code (errors.rs, line {line}), wanted for reading"
        );
        assert_eq!(text, expected);
    });
}
