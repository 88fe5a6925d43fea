//! The data behind a header, read into new memory.

use std::fs::File;
use std::io::{self, Read};

use ndbridge_dtype::{ByteOrder, DType};
use ndbridge_storage::Filling;
use ndbridge_tensor::{
    CopyReason, CopyReasons, Layout, Order, PendingCopy, Storage, Tensor, TensorError,
};

use crate::error::NumpyError;
use crate::npy::header::Header;
use crate::reason::FormatError;

/// First piece that is read of a stream of unknown length; each piece after it is twice as long.
const FIRST_PIECE_BYTES: usize = 1 << 20;

/// What data is read from.
pub(crate) trait Data {
    /// Fills the memory as far as the data goes.
    fn fill(&mut self, memory: &mut Filling) -> io::Result<usize>;
}

/// Data behind any reader.
pub(crate) struct Stream<R>(pub R);

impl<R: Read> Data for Stream<R> {
    fn fill(&mut self, memory: &mut Filling) -> io::Result<usize> {
        memory.read_from(&mut self.0)
    }
}

/// Data in a file, some of which was already read.
pub(crate) struct InFile<'f> {
    pub read: &'f [u8],
    pub rest: &'f mut File,
}

impl Data for InFile<'_> {
    fn fill(&mut self, memory: &mut Filling) -> io::Result<usize> {
        Ok(memory.read_from(&mut self.read)? + memory.read_from_file(self.rest)?)
    }
}

/// Reads the array that `header` describes. `is_capped` says that the header was checked against
/// the length of the source, so that memory for all of it may be taken at once.
pub(crate) fn read_tensor(
    data: &mut impl Data,
    header: &Header,
    is_capped: bool,
    call: &'static str,
) -> Result<Tensor, NumpyError> {
    let pending = begin_copy(header, call)?;
    let storage = if is_capped || header.data_bytes() <= FIRST_PIECE_BYTES {
        read_storage(data, header)?
    } else {
        read_growing(data, header)?
    };
    finish_copy(storage, header, pending)
}

/// Asks whether the array that `header` describes may be copied.
pub(crate) fn begin_copy(header: &Header, call: &'static str) -> Result<PendingCopy, NumpyError> {
    let mut reasons = CopyReasons::from(CopyReason::Requested);
    if is_foreign(header) {
        reasons = reasons.with(CopyReason::ByteOrder);
    }
    Ok(PendingCopy::begin(call, reasons, header.data_bytes())?)
}

/// The array of a header in memory that was read.
pub(crate) fn finish_copy(
    storage: Storage,
    header: &Header,
    pending: PendingCopy,
) -> Result<Tensor, NumpyError> {
    if is_foreign(header) {
        swap(&storage, header.dtype())?;
    }
    let layout = super::layout_at(header, 0)?;
    let tensor = Tensor::from_parts(storage, header.dtype(), layout)?;
    Ok(tensor.with_receipt(pending.finish()))
}

fn is_foreign(header: &Header) -> bool {
    header.byte_order() != ByteOrder::NATIVE && header.dtype().item_bytes() > 1
}

/// Reads the data of a header that was checked against the length of the source.
pub(crate) fn read_storage(data: &mut impl Data, header: &Header) -> Result<Storage, NumpyError> {
    let mut memory = Storage::filling(header.data_bytes()).map_err(TensorError::from)?;
    let found = data.fill(&mut memory)?;
    memory.finish().map_err(|_| truncated(header, found))
}

fn truncated(header: &Header, found: usize) -> NumpyError {
    let (expected, found) = (header.data_bytes() as u64, found as u64);
    let offset = header.data_offset() as u64;
    NumpyError::format(offset, FormatError::DataTruncated { expected, found })
}

/// Reads piece by piece and takes memory for a piece only after the ones before it arrived.
fn read_growing(data: &mut impl Data, header: &Header) -> Result<Storage, NumpyError> {
    let mut pieces: Vec<Tensor> = Vec::new();
    let mut piece_bytes = FIRST_PIECE_BYTES;
    let mut found = 0;
    while found < header.data_bytes() {
        let wanted = piece_bytes.min(header.data_bytes() - found);
        let mut piece = Storage::filling(wanted).map_err(TensorError::from)?;
        found += data.fill(&mut piece)?;
        let piece = piece.finish().map_err(|_| truncated(header, found))?;
        pieces.push(bytes_of(piece)?);
        piece_bytes *= 2;
    }
    let mut memory = Storage::filling(found).map_err(TensorError::from)?;
    for piece in pieces {
        memory.read_from(&mut &*piece.bytes()?)?;
    }
    memory.finish().map_err(|_| truncated(header, found))
}

/// New memory, seen as bytes.
fn bytes_of(storage: Storage) -> Result<Tensor, NumpyError> {
    let layout = Layout::contiguous(&[storage.len_bytes()], 1, Order::C);
    Ok(Tensor::from_parts(storage, DType::U8, layout.map_err(TensorError::from)?)?)
}

/// Reverses the bytes of every number.
fn swap(storage: &Storage, dtype: DType) -> Result<(), NumpyError> {
    let bytes = bytes_of(storage.clone())?;
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
