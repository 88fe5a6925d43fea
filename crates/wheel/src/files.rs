//! `.npy` and `.npz` files.

use std::io::{self, Cursor, Read, Write};
use std::path::PathBuf;

use ndbridge::python::ArrayError;
use ndbridge::storage::MapMode;
use ndbridge::{Request, Tensor, npy, npz};
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::argument::Source;
use crate::lists::{list_of, text};
use crate::pieces::Pieces;
use crate::tensor::PyTensor;

/// A path, or a binary file object.
pub enum FileArgument<'py> {
    Path(PathBuf),
    Object(Bound<'py, PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for FileArgument<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if object.hasattr("read")? || object.hasattr("write")? {
            return Ok(Self::Object(object.to_owned()));
        }
        // A path may be bytes, as the system has it.
        let path = object.py().import("os")?.call_method1("fsdecode", (object,));
        let path = path.map_err(|_| {
            let found = object.get_type();
            PyTypeError::new_err(format!("expected a path or a binary file object, got {found}"))
        })?;
        path.extract().map(Self::Path)
    }
}

/// A file object is read and written so much at a time.
const PIECE_BYTES: usize = 1 << 20;

/// A Python file object as Rust's reader and writer.
struct PyFile<'a, 'py>(&'a Bound<'py, PyAny>);

impl Read for PyFile<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let wanted = into.len().min(PIECE_BYTES);
        let chunk = self.0.call_method1("read", (wanted,))?;
        let chunk = chunk.cast_into::<PyBytes>().map_err(PyErr::from)?;
        let bytes = chunk.as_bytes();
        let room = into
            .get_mut(..bytes.len())
            .ok_or_else(|| io::Error::other("read(n) of the file object gave more than n bytes"))?;
        room.copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl Write for PyFile<'_, '_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let from = &from[..from.len().min(PIECE_BYTES)];
        let piece = PyBytes::new_with(self.0.py(), from.len(), |piece| {
            piece.copy_from_slice(from);
            Ok(())
        })?;
        let written = self.0.call_method1("write", (piece,))?;
        // Some file objects answer None for "all of it".
        let written = if written.is_none() { from.len() } else { written.extract()? };
        if written > from.len() {
            return Err(io::Error::other(
                "write(b) of the file object wrote more than it was given",
            ));
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A tensor of an .npy file: copied, or mapped with mmap='r', 'r+' or 'c', where what np.memmap and
/// other processes do to the file meanwhile is not seen.
///
/// 'r' is read-only, with 'r+' writes go to the file, with 'c' they stay in this tensor. Tensors that
/// map one file are one memory, by whatever path and in whatever extension module: while one is borrowed
/// for writing in Rust, the others are not read there.
#[pyfunction]
#[pyo3(signature = (file, mmap=None))]
pub fn load(file: FileArgument<'_>, mmap: Option<&str>) -> PyResult<PyTensor> {
    let mode = mmap.map(map_mode).transpose()?;
    let tensor = match (file, mode) {
        (FileArgument::Path(path), None) => npy::load(path),
        (FileArgument::Path(path), Some(mode)) => npy::map_with(path, mode),
        (FileArgument::Object(object), None) => npy::read(PyFile(&object), None),
        (FileArgument::Object(_), Some(_)) => {
            return Err(PyTypeError::new_err("mmap needs a path, got a file object"));
        }
    };
    Ok(tensor.map_err(ArrayError::from)?.into())
}

fn map_mode(name: &str) -> PyResult<MapMode> {
    match name {
        "r" => Ok(MapMode::Read),
        "r+" => Ok(MapMode::ReadWrite),
        "c" => Ok(MapMode::CopyOnWrite),
        _ => Err(PyValueError::new_err(format!("mmap {name:?}, expected 'r', 'r+' or 'c'"))),
    }
}

/// Writes an array to an .npy file; a path is replaced whole or not at all.
#[pyfunction]
pub fn save(file: FileArgument<'_>, x: &Bound<'_, PyAny>) -> PyResult<()> {
    let tensor = to_save("save", x)?;
    let saved = match file {
        FileArgument::Path(path) => npy::save(with_suffix(path, "npy"), &tensor),
        FileArgument::Object(object) => {
            return whole_or_nothing(&object, |file| {
                Ok(npy::write(file, &tensor).map_err(ArrayError::from)?)
            });
        }
    };
    Ok(saved.map_err(ArrayError::from)?)
}

/// Writes to a file object. What was written at its end is cut off again should writing fail.
fn whole_or_nothing(
    object: &Bound<'_, PyAny>,
    write: impl FnOnce(PyFile<'_, '_>) -> PyResult<()>,
) -> PyResult<()> {
    // A pipe has no positions.
    let start = object.call_method0("tell").and_then(|at| at.extract::<u64>()).ok();
    write(PyFile(object)).inspect_err(|_| {
        if let Some(start) = start {
            // The first error is the one to be told.
            let _ = cut_off(object, start);
        }
    })
}

fn cut_off(object: &Bound<'_, PyAny>, start: u64) -> PyResult<()> {
    let at: u64 = object.call_method0("tell")?.extract()?;
    let end: u64 = object.call_method1("seek", (0, 2))?.extract()?;
    // What lies behind was there before.
    let cut = if at == end { start } else { at };
    object.call_method1("seek", (cut,))?;
    if at == end && at > start {
        object.call_method0("truncate")?;
    }
    Ok(())
}

/// Writes several arrays to an .npz file, uncompressed: positional ones as arr_0, arr_1, ...
#[pyfunction]
#[pyo3(signature = (file, /, *args, **kwds))]
pub fn savez(
    file: FileArgument<'_>,
    args: &Bound<'_, PyTuple>,
    kwds: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    save_members(file, &members("savez", args, kwds)?, false)
}

/// Writes several arrays to an .npz file, deflated: positional ones as arr_0, arr_1, ...
#[pyfunction]
#[pyo3(signature = (file, /, *args, **kwds))]
pub fn savez_compressed(
    file: FileArgument<'_>,
    args: &Bound<'_, PyTuple>,
    kwds: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    save_members(file, &members("savez_compressed", args, kwds)?, true)
}

fn members(
    call: &'static str,
    args: &Bound<'_, PyTuple>,
    kwds: Option<&Bound<'_, PyDict>>,
) -> PyResult<Vec<(String, Tensor)>> {
    let mut members = Vec::new();
    for (position, array) in args.iter().enumerate() {
        members.push((format!("arr_{position}"), to_save(call, &array)?));
    }
    for (name, array) in kwds.into_iter().flatten() {
        members.push((name.extract()?, to_save(call, &array)?));
    }
    Ok(members)
}

fn save_members(
    file: FileArgument<'_>,
    members: &[(String, Tensor)],
    deflate: bool,
) -> PyResult<()> {
    let arrays = || members.iter().map(|(name, tensor)| (name.as_str(), tensor));
    let saved = match file {
        FileArgument::Path(path) if deflate => {
            npz::save_compressed(with_suffix(path, "npz"), arrays())
        }
        FileArgument::Path(path) => npz::save(with_suffix(path, "npz"), arrays()),
        FileArgument::Object(object) => {
            // Packed first: an archive is written with steps back, which a pipe does not have.
            let mut pieces = Pieces::default();
            let packed = if deflate {
                npz::write_compressed(&mut pieces, arrays())
            } else {
                npz::write(&mut pieces, arrays())
            };
            packed.map_err(ArrayError::from)?;
            return whole_or_nothing(&object, |mut file| {
                Ok(pieces.iter().try_for_each(|piece| file.write_all(piece))?)
            });
        }
    };
    Ok(saved.map_err(ArrayError::from)?)
}

/// The array to be written: shared where it can be read in place.
fn to_save(call: &'static str, x: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    let request = Request::new(call);
    Source::of(x, &request)?.convert(&request)
}

/// The path with NumPy's suffix, which `numpy.save` adds as well.
fn with_suffix(path: PathBuf, suffix: &str) -> PathBuf {
    if path.extension().is_some_and(|found| found == suffix) {
        return path;
    }
    let mut name = path.into_os_string();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// The arrays of an .npz file, by name: copied, or mapped with mmap=True, where what np.memmap and
/// other processes do to the file meanwhile is not seen.
///
/// Mapped are stored members in this machine's byte order, read-only; others are copied.
#[pyfunction]
#[pyo3(signature = (file, mmap=false))]
pub fn load_npz(file: FileArgument<'_>, mmap: bool) -> PyResult<NpzFile> {
    let arrays = match (file, mmap) {
        (FileArgument::Path(path), false) => npz::load(path),
        (FileArgument::Path(path), true) => npz::map(path).and_then(|archive| archive.all()),
        (FileArgument::Object(_), true) => {
            return Err(PyTypeError::new_err("mmap needs a path, got a file object"));
        }
        (FileArgument::Object(object), false) => {
            let mut bytes = Vec::new();
            PyFile(&object).read_to_end(&mut bytes)?;
            npz::Npz::new(Cursor::new(bytes)).and_then(|mut archive| archive.load_all())
        }
    };
    Ok(NpzFile { arrays: arrays.map_err(ArrayError::from)? })
}

/// The arrays of an .npz file: a mapping from names to tensors.
#[pyclass(module = "ndbridge", frozen, mapping)]
pub struct NpzFile {
    arrays: Vec<(String, Tensor)>,
}

#[pymethods]
impl NpzFile {
    fn __getitem__(&self, name: &str) -> PyResult<PyTensor> {
        let found = self.arrays.iter().find(|(found, _)| found == name);
        let (_, tensor) = found.ok_or_else(|| PyKeyError::new_err(name.to_owned()))?;
        Ok(tensor.clone().into())
    }

    /// The array of that name, or `default`.
    #[pyo3(signature = (name, default=None))]
    fn get(&self, name: &str, default: Option<Py<PyAny>>, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if !self.__contains__(name) {
            return Ok(default.unwrap_or_else(|| py.None()));
        }
        Ok(Py::new(py, self.__getitem__(name)?)?.into_any())
    }

    fn __len__(&self) -> usize {
        self.arrays.len()
    }

    fn __contains__(&self, name: &str) -> bool {
        self.arrays.iter().any(|(found, _)| found == name)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.keys(py)?.try_iter()?.into_any())
    }

    /// The names, in the order of the file.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        list_of(py, self.arrays.len(), |at| text(py, &self.arrays[at].0))
    }

    /// The tensors, in the order of the file.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        list_of(py, self.arrays.len(), |at| self.value(py, at))
    }

    /// Names and tensors, in the order of the file.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        list_of(py, self.arrays.len(), |at| {
            let pair = [text(py, &self.arrays[at].0)?, self.value(py, at)?];
            Ok(PyTuple::new(py, pair)?.into_any())
        })
    }

    fn __repr__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let names = text(py, ", ")?.call_method1("join", (self.keys(py)?,))?;
        text(py, "NpzFile({})")?.call_method1("format", (names,))
    }
}

impl NpzFile {
    fn value<'py>(&self, py: Python<'py>, at: usize) -> PyResult<Bound<'py, PyAny>> {
        Ok(Bound::new(py, PyTensor::from(self.arrays[at].1.clone()))?.into_any())
    }
}
