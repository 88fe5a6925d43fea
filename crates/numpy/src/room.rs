//! Room whose size the data decides: an error where there is none.

use ndbridge_tensor::TensorError;
use ndbridge_tensor::storage::StorageError;

use crate::error::NumpyError;

/// More than a compressor and its buffers take.
const COMPRESSOR_BYTES: usize = 1 << 20;

/// So many zeros.
pub(crate) fn zeroed(len: usize) -> Result<Vec<u8>, NumpyError> {
    let mut bytes = with_room(len)?;
    bytes.resize(len, 0);
    Ok(bytes)
}

/// An empty vector with room for `len` items.
pub(crate) fn with_room<T>(len: usize) -> Result<Vec<T>, NumpyError> {
    let mut items = Vec::new();
    let len_bytes = len.saturating_mul(size_of::<T>());
    items.try_reserve_exact(len).map_err(|_| out_of_memory(len_bytes))?;
    Ok(items)
}

/// All items, up to the first error.
pub(crate) fn collected<T>(
    items: impl ExactSizeIterator<Item = Result<T, NumpyError>>,
) -> Result<Vec<T>, NumpyError> {
    let mut all = with_room(items.len())?;
    for item in items {
        all.push(item?);
    }
    Ok(all)
}

/// Whether there is room for a compressor. Crate `flate2` panics where there is none.
pub(crate) fn for_compressor() -> Result<(), NumpyError> {
    with_room::<u8>(COMPRESSOR_BYTES).map(drop)
}

fn out_of_memory(len_bytes: usize) -> NumpyError {
    TensorError::from(StorageError::OutOfMemory { len_bytes }).into()
}
