//! Writing archives.

use std::collections::HashSet;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use ndbridge_storage::replace_file;
use ndbridge_tensor::Tensor;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::error::{NumpyError, Place};
use crate::npy;
use crate::room;

/// Stored members begin at a multiple of this. The header of their array is a multiple of 64 long,
/// so the data lies aligned as well.
const ALIGN_BYTES: u16 = 64;

/// Longest name of a member: a header with its name and padding has to stay below 64 KiB.
const MAX_NAME_BYTES: usize = 65_000;

/// Room that a member may need beside its data before its lengths take 64 bits.
const MARGIN_BYTES: usize = 1 << 20;

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
    write_with(writer, arrays, CompressionMethod::Stored)
}

/// Writes an archive as [`save_compressed`] does to a stream, which has to be at its start.
///
/// # Errors
/// As [`save`]; what was written before stays written.
pub fn write_compressed<'a, W: Write + Seek, N: AsRef<str>>(
    writer: W,
    arrays: impl IntoIterator<Item = (N, &'a Tensor)>,
) -> Result<(), NumpyError> {
    write_with(writer, arrays, CompressionMethod::Deflated)
}

fn write_with<'a, W: Write + Seek, N: AsRef<str>>(
    writer: W,
    arrays: impl IntoIterator<Item = (N, &'a Tensor)>,
    method: CompressionMethod,
) -> Result<(), NumpyError> {
    let arrays: Vec<(N, &Tensor)> = arrays.into_iter().collect();
    check_names(arrays.iter().map(|(name, _)| name.as_ref()))?;
    if method == CompressionMethod::Deflated {
        room::for_compressor()?;
    }
    let mut archive = ZipWriter::new(UntilFailed::new(writer));
    for (name, tensor) in &arrays {
        let needs_64_bits = tensor.size_bytes() > u32::MAX as usize - MARGIN_BYTES;
        let mut options =
            SimpleFileOptions::default().compression_method(method).large_file(needs_64_bits);
        if method == CompressionMethod::Stored {
            options = options.with_alignment(ALIGN_BYTES);
        }
        archive.start_file(format!("{}.npy", name.as_ref()), options).map_err(zip_error)?;
        npy::write(&mut archive, tensor)?;
    }
    archive.finish().map_err(zip_error)?.flush()?;
    Ok(())
}

/// A stream that takes all and keeps nothing once it has failed: an archive that is dropped before it
/// is finished is finished then, and tells standard error if that fails.
struct UntilFailed<W> {
    inner: W,
    has_failed: bool,
    /// Positions as they would be.
    at: u64,
    len: u64,
}

impl<W> UntilFailed<W> {
    fn new(inner: W) -> Self {
        Self { inner, has_failed: false, at: 0, len: 0 }
    }

    fn noted<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        let is_over = |error: &io::Error| error.kind() != io::ErrorKind::Interrupted;
        self.has_failed = done.as_ref().err().is_some_and(is_over);
        done
    }
}

impl<W: Write> Write for UntilFailed<W> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let written = if self.has_failed { Ok(from.len()) } else { self.inner.write(from) };
        if self.has_failed {
            self.at += from.len() as u64;
            self.len = self.len.max(self.at);
            return written;
        }
        let written = self.noted(written)?;
        self.at += written as u64;
        self.len = self.len.max(self.at);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.has_failed {
            return Ok(());
        }
        let flushed = self.inner.flush();
        self.noted(flushed)
    }
}

impl<W: Seek> Seek for UntilFailed<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if !self.has_failed {
            let at = self.inner.seek(to);
            self.at = self.noted(at)?;
            return Ok(self.at);
        }
        let at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
            SeekFrom::End(by) => self.len.saturating_add_signed(by),
        };
        self.at = at;
        Ok(at)
    }
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

fn zip_error(error: ZipError) -> NumpyError {
    io::Error::from(error).into()
}
