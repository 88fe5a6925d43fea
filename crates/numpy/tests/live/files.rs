//! Which exception a file's error becomes.

use std::io::{self, Cursor};

use ndbridge_interpreter::ArrayError;
use ndbridge_numpy::npy;
use ndbridge_tensor::{DType, Tensor};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;

use crate::{said, with_numpy};

/// A stream that fails.
struct Fails(Option<io::Error>);

impl io::Read for Fails {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.take().unwrap())
    }
}

#[test]
fn fil_2_errors_of_files_are_the_exceptions_that_numpy_users_expect() {
    with_numpy("", |py, _| {
        let folder = tempfile::tempdir().unwrap();
        let missing = npy::load(folder.path().join("missing.npy")).unwrap_err();
        let bfloat = Tensor::zeros(&[2], DType::BF16).unwrap();
        let no_code = npy::save(folder.path().join("a.npy"), &bfloat).unwrap_err();
        let damaged = npy::read(Cursor::new(b"no array".to_vec()), None).unwrap_err();
        let of_memory =
            npy::read(Fails(Some(io::ErrorKind::OutOfMemory.into())), None).unwrap_err();
        let of_kind = npy::read(Fails(Some(io::ErrorKind::BrokenPipe.into())), None).unwrap_err();
        for (error, class, expected) in [
            (missing, "FileNotFoundError", "missing.npy"),
            (no_code, "TypeError", "bfloat16"),
            (damaged, "ValueError", "byte 0"),
            (of_memory, "MemoryError", ""),
            (of_kind, "BrokenPipeError", ""),
        ] {
            let (found, text) = said(py, &ArrayError::from(error).into());
            assert_eq!(found, class, "{text}");
            assert!(text.contains(expected), "{text}");
        }
    });
}

#[test]
fn fil_2_what_a_python_file_raises_goes_on_as_it_came() {
    with_numpy("", |py, _| {
        let raised = PyKeyError::new_err("mine");
        let value = raised.value(py).clone();
        let error = npy::read(Fails(Some(raised.into())), None).unwrap_err();
        let again = PyErr::from(ArrayError::from(error));
        assert!(again.value(py).is(&value), "{again}");
    });
}
