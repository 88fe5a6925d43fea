//! Writing arrays as NumPy does.

use std::io::Write;
use std::path::Path;

use ndbridge_storage::replace_file;
use ndbridge_tensor::{CopyOrder, Index, Order, Tensor};

use crate::error::{NumpyError, Place};
use crate::npy::header::Header;
use crate::reason::FormatError;

/// Elements that do not lie in order are gathered this many bytes at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Saves a tensor to `path`, atomically: at any moment, and after a crash, the file there is the
/// old one or the new one.
///
/// The path is used as it is; `.npy` is not appended. A symbolic link stays and its target is
/// replaced. The permissions of a replaced file are kept. Who has the old file open or mapped
/// keeps the old file. A process that is killed meanwhile leaves a file `.ndbridge-*` behind. A pipe
/// or device is written directly.
///
/// # Errors
/// The system refuses; the tensor cannot be read; its dtype has no NumPy type code. In all these
/// cases the old file is as it was.
pub fn save(path: impl AsRef<Path>, tensor: &Tensor) -> Result<(), NumpyError> {
    let path = path.as_ref();
    replace_file(path, |file| write(file, tensor)).map_err(|error| error.at(&Place::file(path)))
}

/// Writes a tensor to a stream, byte for byte as `np.save` writes it.
///
/// What is contiguous in C or Fortran order is written from where it lies. Anything else is
/// written in C order and gathered in pieces of 1 MiB, which count as copies.
///
/// # Errors
/// As [`save`]; what was written before stays written.
pub fn write<W: Write>(mut writer: W, tensor: &Tensor) -> Result<(), NumpyError> {
    let is_fortran = !tensor.is_contiguous(Order::C) && tensor.is_contiguous(Order::F);
    let order = if is_fortran { Order::F } else { Order::C };
    let header = header_of(tensor, order)?.to_bytes()?;
    if is_fortran {
        let transposed = tensor.transpose()?;
        let bytes = transposed.bytes()?;
        writer.write_all(&header)?;
        return Ok(writer.write_all(&bytes)?);
    }
    writer.write_all(&header)?;
    write_in_c_order(&mut writer, tensor)
}

fn header_of(tensor: &Tensor, order: Order) -> Result<Header, NumpyError> {
    let (dtype, shape) = (tensor.dtype(), tensor.shape());
    Header::new(dtype, order, shape).ok_or_else(|| {
        let item_bytes = dtype.item_bytes();
        NumpyError::format(0, FormatError::SizeOverflow { shape: shape.into(), item_bytes })
    })
}

fn write_in_c_order<W: Write>(writer: &mut W, tensor: &Tensor) -> Result<(), NumpyError> {
    if tensor.is_contiguous(Order::C) {
        return Ok(writer.write_all(&tensor.bytes()?)?);
    }
    if tensor.size_bytes() <= PIECE_BYTES {
        let piece = tensor.copy(CopyOrder::C)?;
        return Ok(writer.write_all(&piece.bytes()?)?);
    }
    let len = tensor.shape()[0];
    let rows = (PIECE_BYTES / (tensor.size_bytes() / len)).clamp(1, len) as isize;
    for start in (0..len as isize).step_by(rows as usize) {
        let piece = if len == 1 {
            tensor.select(0, 0)?
        } else {
            let stop = (start + rows).min(len as isize);
            tensor.index(&[Index::Slice { start: Some(start), stop: Some(stop), step: 1 }])?
        };
        write_in_c_order(writer, &piece)?;
    }
    Ok(())
}
