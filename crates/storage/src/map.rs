//! Files as memory.

use std::fs::File;
use std::ptr::NonNull;

use memmap2::{Mmap, MmapMut, MmapOptions};

use crate::alloc::dangling;
use crate::storage::Parts;
use crate::{Access, Device, Mutability, Storage, StorageError};

/// What becomes of writes to a mapped file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MapMode {
    /// There are none: the storage is [`Access::Frozen`] and read-only.
    Read,
    /// They go to the file. The storage is [`Access::Private`] and writable.
    ReadWrite,
    /// They stay in this storage, the file keeps its bytes. [`Access::Private`] and writable.
    CopyOnWrite,
}

const NAME: &str = "mapped file";

impl Storage {
    /// Shares `len_bytes` of a file, from byte `offset` on, without reading them first. Neither has
    /// to be a multiple of the page size.
    ///
    /// ```text
    /// file     |<-   offset   ->|<-  len_bytes  ->|    rest    |
    /// pages    |         |         |         |         |         |
    /// mapped             |<-                 ->|
    /// pointer                    ^
    /// ```
    ///
    /// # Errors
    /// [`StorageError::PastEndOfFile`] if the file is too short, [`StorageError::Io`] if the system
    /// refuses, for example because the file was not opened for writing.
    ///
    /// # Limitations
    /// The borrow ledger sees this storage only. Code that writes or truncates the file through
    /// another handle, another map or another process changes bytes under a live guard, and
    /// reading past a new, earlier end kills the process (`SIGBUS`). Map files that nobody else
    /// writes meanwhile, and replace files by renaming a new one over them. Two maps of one file
    /// are two memories to the ledger.
    pub fn map_file(
        file: &File,
        offset: u64,
        len_bytes: usize,
        mode: MapMode,
    ) -> Result<Self, StorageError> {
        check_extent(file, offset, len_bytes)?;
        if len_bytes == 0 {
            // Not every system maps nothing.
            return Ok(Self::mapped((), dangling(), 0, mode));
        }
        let mut options = MmapOptions::new();
        options.offset(offset).len(len_bytes);
        match mode {
            // SAFETY: the file must not change meanwhile; the caller was told.
            MapMode::Read => Self::from_map(unsafe { options.map(file) }?, mode),
            // SAFETY: as above.
            MapMode::ReadWrite => Self::from_map_mut(unsafe { options.map_mut(file) }?, mode),
            // SAFETY: as above.
            MapMode::CopyOnWrite => Self::from_map_mut(unsafe { options.map_copy(file) }?, mode),
        }
    }

    fn from_map(map: Mmap, mode: MapMode) -> Result<Self, StorageError> {
        let (pointer, len_bytes) = (NonNull::from(&map[..]).cast(), map.len());
        Ok(Self::mapped(map, pointer, len_bytes, mode))
    }

    fn from_map_mut(mut map: MmapMut, mode: MapMode) -> Result<Self, StorageError> {
        let (pointer, len_bytes) = (NonNull::from(&mut map[..]).cast(), map.len());
        Ok(Self::mapped(map, pointer, len_bytes, mode))
    }

    fn mapped<O: Send + Sync + 'static>(
        owner: O,
        pointer: NonNull<u8>,
        len_bytes: usize,
        mode: MapMode,
    ) -> Self {
        let (access, mutability) = match mode {
            MapMode::Read => (Access::Frozen, Mutability::ReadOnly),
            MapMode::ReadWrite | MapMode::CopyOnWrite => (Access::Private, Mutability::Writable),
        };
        let parts = Parts::new(pointer, len_bytes, Device::Cpu, access, mutability);
        // SAFETY: the map unmaps its bytes when dropped, moving it moves none of them, and only
        // this storage knows their address.
        unsafe { Self::from_parts(crate::owner::Owner::new(owner, NAME), parts) }
    }

    /// Writes a [`MapMode::ReadWrite`] map back to its file and waits for the disk; other storages
    /// have nothing to write back.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the system could not.
    pub fn flush(&self) -> Result<(), StorageError> {
        match self.any_owner::<MmapMut>() {
            Some(map) => Ok(map.flush()?),
            None => Ok(()),
        }
    }
}

fn check_extent(file: &File, offset: u64, len_bytes: usize) -> Result<(), StorageError> {
    if isize::try_from(len_bytes).is_err() {
        return Err(StorageError::TooLarge { len_bytes });
    }
    let file_bytes = file.metadata()?.len();
    match offset.checked_add(len_bytes as u64) {
        Some(end) if end <= file_bytes => Ok(()),
        _ => Err(StorageError::PastEndOfFile { offset, len_bytes, file_bytes }),
    }
}
