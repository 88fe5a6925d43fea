//! `.npy` files: one array each.
//!
//! | call | what happens to the bytes |
//! |---|---|
//! | [`load`], [`read`] | copied into private memory; the other byte order is turned |
//! | [`map`], [`map_with`] | shared with the file; the other byte order is refused |
//! | [`save`], [`write`](write()) | written as `np.save` writes them, byte for byte |
//!
//! C and Fortran order are kept both ways. Versions 1.0 to 3.0 are read; version 1.0 is written, or
//! 2.0 for a header that does not fit it.
//!
//! What NumPy would unpickle (object arrays) is refused, and so is every dtype without a
//! [`DType`](ndbridge_tensor::DType). The header is a Python literal that is read as data, never
//! evaluated. Every length is checked against the size of the file before memory is taken for it.
//!
//! # Limitations
//! A `bool` array is loaded as it is; a byte other than 0 and 1 is found when it is read as `bool`.
//! Bytes after the array are ignored, as NumPy does.

mod data;
mod header;
mod literal;
mod map;
mod write;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ndbridge_tensor::Tensor;

use crate::error::{NumpyError, Place};

use data::InFile;
pub(crate) use data::{Stream, read_tensor};
#[cfg(feature = "npz")]
pub(crate) use data::{begin_copy, finish_copy, read_storage};
use header::HEAD_BYTES;
pub use header::Header;
pub use map::{MapMode, map, map_with};
pub use write::{save, write};

pub(crate) use map::layout_at;
#[cfg(feature = "npz")]
pub(crate) use map::{check_byte_order, join_for_maps};

/// The array of an `.npy` file, copied into private memory.
///
/// ```
/// use ndbridge_numpy::npy;
/// use ndbridge_tensor::Tensor;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("x.npy");
/// npy::save(&path, &Tensor::from_vec(vec![1.0_f32, 2.0]))?;
/// let tensor = npy::load(&path)?;
/// assert_eq!(tensor.to_vec::<f32>()?, [1.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The file cannot be read, is malformed, is cut short, or holds a dtype that cannot be carried.
pub fn load(path: impl AsRef<Path>) -> Result<Tensor, NumpyError> {
    let path = path.as_ref();
    load_at(path).map_err(|error| error.at(&Place::file(path)))
}

fn load_at(path: &Path) -> Result<Tensor, NumpyError> {
    let mut file = File::open(path)?;
    let len_bytes = known_len(&file)?;
    let mut head = [0; HEAD_BYTES];
    let (header, read) = Header::read_head(&mut file, len_bytes, &mut head)?;
    let mut data = InFile { read, rest: &mut file };
    read_tensor(&mut data, &header, len_bytes.is_some(), "npy::load")
}

/// Size of a regular file; a pipe or a device has none.
fn known_len(file: &File) -> Result<Option<u64>, NumpyError> {
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then_some(metadata.len()))
}

/// An array read from a stream, which is left right behind it.
///
/// `len_bytes` is how much the stream still holds, if that is known: then a header that demands
/// more is refused at once. Otherwise memory grows with what really arrives.
///
/// ```
/// use ndbridge_numpy::npy;
/// use ndbridge_tensor::Tensor;
/// let mut bytes = Vec::new();
/// npy::write(&mut bytes, &Tensor::from_vec(vec![1_u8, 2]))?;
/// npy::write(&mut bytes, &Tensor::from_vec(vec![3_u8]))?;
/// let mut stream = bytes.as_slice();
/// assert_eq!(npy::read(&mut stream, None)?.shape(), [2]);
/// assert_eq!(npy::read(&mut stream, None)?.shape(), [1]);
/// # Ok::<(), ndbridge_numpy::NumpyError>(())
/// ```
///
/// # Errors
/// As [`load`].
pub fn read<R: Read>(mut reader: R, len_bytes: Option<u64>) -> Result<Tensor, NumpyError> {
    let header = Header::read(&mut reader, len_bytes)?;
    read_tensor(&mut Stream(reader), &header, len_bytes.is_some(), "npy::read")
}
