//! The data behind a header, read into new memory.

use std::io::{self, Read};

use ndbridge_dtype::{ByteOrder, DType};
use ndbridge_tensor::{CopyReason, CopyReasons, Layout, Order, PendingCopy, Storage, Tensor};

use crate::error::NumpyError;
use crate::npy::header::{Header, read_up_to};
use crate::reason::FormatError;

/// First piece that is read of a stream of unknown length; each piece after it is twice as long.
const FIRST_PIECE_BYTES: usize = 1 << 20;

/// Reads the array that `header` describes. `is_capped` says that the header was checked against
/// the length of the source, so that memory for all of it may be taken at once.
pub(crate) fn read_tensor<R: Read>(
    reader: &mut R,
    header: &Header,
    is_capped: bool,
    call: &'static str,
) -> Result<Tensor, NumpyError> {
    let is_foreign = header.byte_order() != ByteOrder::NATIVE && header.dtype().item_bytes() > 1;
    let mut reasons = CopyReasons::from(CopyReason::Requested);
    if is_foreign {
        reasons = reasons.with(CopyReason::ByteOrder);
    }
    let pending = PendingCopy::begin(call, reasons, header.data_bytes())?;
    let bytes = if is_capped || header.data_bytes() <= FIRST_PIECE_BYTES {
        let bytes = new_bytes(header.data_bytes())?;
        fill(&bytes, |memory| read_up_to(reader, memory), header)?;
        bytes
    } else {
        read_growing(reader, header)?
    };
    if is_foreign {
        swap(&bytes, header.dtype())?;
    }
    let layout = super::layout_at(header, 0)?;
    let tensor = Tensor::from_parts(bytes.storage().clone(), header.dtype(), layout)?;
    Ok(tensor.with_receipt(pending.finish()))
}

/// New memory, seen as bytes.
fn new_bytes(len: usize) -> Result<Tensor, NumpyError> {
    let layout =
        Layout::contiguous(&[len], 1, Order::C).map_err(ndbridge_tensor::TensorError::from)?;
    let storage = Storage::zeroed(len).map_err(ndbridge_tensor::TensorError::from)?;
    Ok(Tensor::from_parts(storage, DType::U8, layout)?)
}

/// Runs `read` over the memory and checks that it filled all of it.
fn fill(
    bytes: &Tensor,
    read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    header: &Header,
) -> Result<(), NumpyError> {
    let mut guard = bytes.write::<u8>()?;
    let memory = guard.as_slice_mut().unwrap_or_default();
    let found = read(memory)?;
    if found == memory.len() { Ok(()) } else { Err(truncated(header, found)) }
}

fn truncated(header: &Header, found: usize) -> NumpyError {
    let (expected, found) = (header.data_bytes() as u64, found as u64);
    let offset = header.data_offset() as u64;
    NumpyError::format(offset, FormatError::DataTruncated { expected, found })
}

/// Reads piece by piece and takes memory for a piece only after the ones before it arrived.
fn read_growing<R: Read>(reader: &mut R, header: &Header) -> Result<Tensor, NumpyError> {
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let mut piece_bytes = FIRST_PIECE_BYTES;
    let mut found = 0;
    while found < header.data_bytes() {
        let wanted = piece_bytes.min(header.data_bytes() - found);
        let mut piece = Vec::with_capacity(wanted);
        reader.by_ref().take(wanted as u64).read_to_end(&mut piece)?;
        found += piece.len();
        if piece.len() < wanted {
            return Err(truncated(header, found));
        }
        pieces.push(piece);
        piece_bytes *= 2;
    }
    let bytes = new_bytes(found)?;
    let join = |memory: &mut [u8]| {
        let mut rest = memory;
        for piece in pieces {
            let (head, tail) = rest.split_at_mut(piece.len());
            head.copy_from_slice(&piece);
            rest = tail;
        }
        Ok(found)
    };
    fill(&bytes, join, header)?;
    Ok(bytes)
}

/// Reverses the bytes of every number.
fn swap(bytes: &Tensor, dtype: DType) -> Result<(), NumpyError> {
    let mut guard = bytes.write::<u8>()?;
    let memory = guard.as_slice_mut().unwrap_or_default();
    match dtype.component_bytes() {
        2 => swap_each::<2>(memory),
        4 => swap_each::<4>(memory),
        8 => swap_each::<8>(memory),
        _ => {}
    }
    Ok(())
}

fn swap_each<const N: usize>(memory: &mut [u8]) {
    for number in memory.as_chunks_mut::<N>().0 {
        number.reverse();
    }
}
