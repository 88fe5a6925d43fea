//! Arrays that share a file's bytes.

use std::fs::{File, OpenOptions};
use std::path::Path;

use ndbridge_dtype::ByteOrder;
use ndbridge_tensor::{Layout, Receipt, Storage, Tensor, TensorError};

use crate::error::{NumpyError, Place};
use crate::npy::header::{HEAD_BYTES, Header};

pub use ndbridge_tensor::storage::MapMode;

/// The array of an `.npy` file, read-only, sharing the file's pages; what other processes, `np.memmap`
/// and other foreign maps do to the file meanwhile, nobody sees.
///
/// Nothing is read until it is looked at. Maps of one file that are made here, in whatever module and
/// mode and by whatever path, are one memory: where one is borrowed for writing, no other one is read.
/// The data may begin at any byte, so the tensor may be unaligned; then its guards are refused and
/// copies of it work.
///
/// ```
/// use ndbridge_numpy::npy;
/// use ndbridge_tensor::Tensor;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("x.npy");
/// npy::save(&path, &Tensor::from_vec(vec![1.0_f32, 2.0]))?;
/// let mapped = npy::map(&path)?;
/// assert_eq!(mapped.read::<f32>()?[[1]], 2.0);
/// assert!(mapped.is_read_only());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`load`](super::load); [`NumpyError::MapByteOrder`] for numbers in the other byte order.
///
/// # Limitations
/// Whoever writes to the file changes the tensor, under live guards too unless it is a map made
/// here; and a file that is cut short while it is mapped ends the program with SIGBUS, as in NumPy.
/// [`save`](super::save) does neither: it puts a new file in place and leaves the mapped one whole.
/// An extension module sees the maps of others once it has joined them: it does so when it maps a
/// file on a thread that is attached to Python, or takes or hands over Python's memory.
pub fn map(path: impl AsRef<Path>) -> Result<Tensor, NumpyError> {
    map_with(path, MapMode::Read)
}

/// As [`map`], with NumPy's modes; what other processes, `np.memmap` and other foreign maps do to the
/// file meanwhile, nobody sees.
///
/// `r` is [`MapMode::Read`], `r+` is [`MapMode::ReadWrite`] (writes reach the file, and its other maps),
/// `c` is [`MapMode::CopyOnWrite`] (writes stay in this map).
///
/// # Errors
/// As [`map`]; `ReadWrite` needs permission to write the file.
pub fn map_with(path: impl AsRef<Path>, mode: MapMode) -> Result<Tensor, NumpyError> {
    let path = path.as_ref();
    map_at(path, mode).map_err(|error| error.at(&Place::file(path)))
}

fn map_at(path: &Path, mode: MapMode) -> Result<Tensor, NumpyError> {
    join_for_maps()?;
    let writes = matches!(mode, MapMode::ReadWrite);
    let mut file = OpenOptions::new().read(true).write(writes).open(path)?;
    let len_bytes = file.metadata()?.len();
    let (header, _) = Header::read_head(&mut file, Some(len_bytes), &mut [0; HEAD_BYTES])?;
    check_byte_order(&header)?;
    let storage = map_data(&file, &header, mode)?;
    let tensor = Tensor::from_parts(storage, header.dtype(), layout_at(&header, 0)?)?;
    Ok(tensor.with_receipt(Receipt::shared("npy::map")))
}

/// Has the maps of this module and those of the process's other modules known to each other, if this
/// thread is attached to Python. Another thread would have to wait for it.
#[cfg(feature = "python")]
pub(crate) fn join_for_maps() -> Result<(), NumpyError> {
    ndbridge_interpreter::join_ledger_if_attached()
        .map_err(|error| NumpyError::from(std::io::Error::other(error)))
}

#[cfg(not(feature = "python"))]
pub(crate) fn join_for_maps() -> Result<(), NumpyError> {
    Ok(())
}

fn map_data(file: &File, header: &Header, mode: MapMode) -> Result<Storage, NumpyError> {
    let storage = Storage::map_file(file, header.data_offset() as u64, header.data_bytes(), mode);
    Ok(storage.map_err(TensorError::from)?)
}

/// Refuses numbers that would have to be turned to be read.
pub(crate) fn check_byte_order(header: &Header) -> Result<(), NumpyError> {
    let is_foreign = header.byte_order() != ByteOrder::NATIVE && header.dtype().item_bytes() > 1;
    if is_foreign { Err(NumpyError::MapByteOrder { place: Place::default() }) } else { Ok(()) }
}

/// The layout of a header's array whose data begins `offset` bytes into a storage.
pub(crate) fn layout_at(header: &Header, offset: usize) -> Result<Layout, NumpyError> {
    let item_bytes = header.dtype().item_bytes();
    let layout = Layout::contiguous(header.shape(), item_bytes, header.order());
    let layout = layout.and_then(|layout| layout.with_offset(offset, item_bytes));
    Ok(layout.map_err(TensorError::from)?)
}
