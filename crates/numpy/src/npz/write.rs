//! Writing archives.

use std::collections::HashSet;
use std::io::{BufWriter, Seek, Write};
use std::path::Path;

use ndbridge_storage::replace_file;
use ndbridge_tensor::Tensor;

use crate::error::{NumpyError, Place};
use crate::npy;
use crate::npz::archive::Archive;
use crate::npz::record::{DEFLATED, STORED};
use crate::room;

/// Longest name of a member: a header with its name and padding has to stay below 64 KiB.
const MAX_NAME_BYTES: usize = 65_000;

/// Saves named arrays to `path`, uncompressed and aligned, so that [`map`](super::map()) shares them.
///
/// Atomic in the same way as [`npy::save`]. The same arrays give the same bytes: no
/// time of day is stored.
///
/// # Errors
/// Two names are equal or one is too long for a zip archive; else as [`npy::save`].
pub fn save<'a, N: AsRef<str>>(
    path: impl AsRef<Path>,
    arrays: impl IntoIterator<Item = (N, &'a Tensor)>,
) -> Result<(), NumpyError> {
    let path = path.as_ref();
    replace_file(path, |file| write(BufWriter::new(file), arrays))
        .map_err(|error| error.at(&Place::file(path)))
}

/// As [`save`], deflated. Smaller, but each array has to be unpacked to be read.
///
/// # Errors
/// As [`save`].
pub fn save_compressed<'a, N: AsRef<str>>(
    path: impl AsRef<Path>,
    arrays: impl IntoIterator<Item = (N, &'a Tensor)>,
) -> Result<(), NumpyError> {
    let path = path.as_ref();
    replace_file(path, |file| write_compressed(BufWriter::new(file), arrays))
        .map_err(|error| error.at(&Place::file(path)))
}

/// Writes an archive as [`save`] does to a stream, which has to be at its start.
///
/// # Errors
/// As [`save`]; what was written before stays written.
pub fn write<'a, W: Write + Seek, N: AsRef<str>>(
    writer: W,
    arrays: impl IntoIterator<Item = (N, &'a Tensor)>,
) -> Result<(), NumpyError> {
    write_with(writer, arrays, STORED)
}

/// Writes an archive as [`save_compressed`] does to a stream, which has to be at its start.
///
/// # Errors
/// As [`save`]; what was written before stays written.
pub fn write_compressed<'a, W: Write + Seek, N: AsRef<str>>(
    writer: W,
    arrays: impl IntoIterator<Item = (N, &'a Tensor)>,
) -> Result<(), NumpyError> {
    write_with(writer, arrays, DEFLATED)
}

fn write_with<'a, W: Write + Seek, N: AsRef<str>>(
    writer: W,
    arrays: impl IntoIterator<Item = (N, &'a Tensor)>,
    method: u16,
) -> Result<(), NumpyError> {
    let arrays: Vec<(N, &Tensor)> = arrays.into_iter().collect();
    check_names(arrays.iter().map(|(name, _)| name.as_ref()))?;
    if method == DEFLATED {
        room::for_compressor()?;
    }
    let mut archive = Archive::new(writer, method)?;
    for (name, tensor) in &arrays {
        let name = format!("{}.npy", name.as_ref());
        archive.add(&name, tensor.size_bytes(), |data| npy::write(data, tensor))?;
    }
    Ok(archive.finish()?)
}

fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), NumpyError> {
    let mut known = HashSet::new();
    for name in names {
        let (found, limit) = (name.len() + ".npy".len(), MAX_NAME_BYTES);
        if found > limit {
            return Err(NumpyError::LongName { found, limit });
        }
        if !known.insert(name) {
            return Err(NumpyError::SameName { name: name.to_owned() });
        }
    }
    Ok(())
}
