//! Files as memory.

use std::fs::File;
use std::ptr::NonNull;
use std::sync::Arc;

use memmap2::{Mmap, MmapMut, MmapOptions};
use ndbridge_layout::Span;

use crate::alloc::block::dangling;
use crate::storage::Parts;
use crate::{
    Access, Device, Footprint, Gate, MapMode, Mutability, Overlap, Region, Storage, StorageError,
    may_overlap,
};
use ndbridge_ledger::{self as ledger, FileId, FilePiece, FilePlace, Held, MapEntry};

const NAME: &str = "mapped file";

impl Storage {
    /// Shares `len_bytes` of a file, from byte `offset` on, without reading them first; what other
    /// processes, `np.memmap` and other foreign maps do to the file meanwhile, nobody sees.
    ///
    /// Neither number has to be a multiple of the page size.
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
    /// The ledger of the process sees the maps made by this function, in any module of the process
    /// that has joined it. Whoever else writes the file changes bytes under a live guard, and
    /// reading past a new, earlier end kills the process (`SIGBUS`). Map files that nobody else
    /// writes meanwhile, and replace files by renaming a new one over them.
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
        let id = id_of(file)?;
        let pages = match mode {
            // SAFETY: the ledger keeps our writers apart; of others, the caller was told.
            MapMode::Read => Pages::ReadOnly(unsafe { options.map(file) }?),
            // SAFETY: as above.
            MapMode::ReadWrite => Pages::Writable(unsafe { options.map_mut(file) }?),
            // SAFETY: as above.
            MapMode::CopyOnWrite => Pages::Writable(unsafe { options.map_copy(file) }?),
        };
        let pointer = pages.pointer();
        let start = pointer.addr().get();
        let bytes = Span { start, end: start + len_bytes };
        let mapped = FilePiece::new(id, offset, bytes, mode);
        let entry = ledger::of_process().map(mapped).ok_or(StorageError::NoRoom { offset })?;
        Ok(Self::mapped(FileMap { entry, pages }, pointer, len_bytes, mode))
    }

    fn mapped<O: Send + Sync + 'static>(
        owner: O,
        pointer: NonNull<u8>,
        len_bytes: usize,
        mode: MapMode,
    ) -> Self {
        let mutability = match mode {
            MapMode::Read => Mutability::ReadOnly,
            MapMode::ReadWrite | MapMode::CopyOnWrite => Mutability::Writable,
        };
        let parts = Parts::new(pointer, len_bytes, Device::Cpu, Access::Mapped, mutability);
        // SAFETY: the map unmaps its bytes when dropped, moving it moves none of them, and only
        // this storage knows their address. Writers of the file that are ours ask the ledger.
        unsafe { Self::from_parts(crate::owner::Owner::new(owner, NAME), parts) }
    }

    /// Lets foreign code use a mapped file, as far as its mode allows.
    pub(crate) fn lend_map(&self, gate: &Arc<dyn Gate>) -> Result<(), Box<Held>> {
        match self.any_owner::<FileMap>() {
            Some(map) => map.entry.lend(Arc::clone(gate)),
            None => Ok(()),
        }
    }

    /// Whether a region of this storage and one of `other` have a byte in common: as
    /// [`may_overlap`], and maps of one file are one memory, except what two copy-on-write maps show.
    ///
    /// ```
    /// use ndbridge_storage::{DEFAULT_BUDGET, MapMode, Overlap, Region, Storage};
    /// # let file = tempfile::tempfile()?;
    /// # file.set_len(100)?;
    /// let [a, b, c, d] = [MapMode::ReadWrite, MapMode::Read, MapMode::CopyOnWrite, MapMode::CopyOnWrite]
    ///     .map(|mode| Storage::map_file(&file, 0, 100, mode).unwrap());
    /// let ten_from = |map: &Storage, first| (map.as_ptr() as usize + first, [10_usize]);
    /// let overlap = |a: &Storage, b: &Storage, first| {
    ///     let ((a_start, a_len), (b_start, b_len)) = (ten_from(a, 0), ten_from(b, first));
    ///     let region = |start, shape| Region { start, item_bytes: 1, shape, strides: &[1] };
    ///     a.may_overlap(&region(a_start, &a_len), b, &region(b_start, &b_len), DEFAULT_BUDGET)
    /// };
    /// assert_eq!(overlap(&a, &b, 9), Overlap::Overlapping);
    /// assert_eq!(overlap(&a, &b, 10), Overlap::Disjoint);
    /// assert_eq!(overlap(&a, &c, 9), Overlap::Overlapping); // c changes with the file
    /// assert_eq!(overlap(&c, &d, 9), Overlap::Disjoint); // what one writes, the other never sees
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn may_overlap(
        &self,
        region: &Region<'_>,
        other: &Storage,
        other_region: &Region<'_>,
        budget: u64,
    ) -> Overlap {
        let by_address = may_overlap(region, other_region, budget);
        let may_be_maps = self.may_be_mapped() && other.may_be_mapped();
        if !by_address.is_disjoint() || !may_be_maps || !ledger::of_process().has_maps() {
            return by_address;
        }
        let (Some(place), Some(other_place)) = (place_of(region), place_of(other_region)) else {
            return by_address;
        };
        match FilePlace::regions([place, other_place], [*region, *other_region]) {
            Some([region, other_region]) => may_overlap(&region, &other_region, budget),
            None => by_address,
        }
    }

    /// Foreign memory may be another module's map.
    fn may_be_mapped(&self) -> bool {
        self.device() == Device::Cpu && matches!(self.access(), Access::Mapped | Access::Lent)
    }

    /// Writes a [`MapMode::ReadWrite`] map back to its file and waits for the disk; other storages
    /// have nothing to write back.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the system could not.
    pub fn flush(&self) -> Result<(), StorageError> {
        match self.any_owner::<FileMap>() {
            Some(FileMap { pages: Pages::Writable(map), .. }) => Ok(map.flush()?),
            _ => Ok(()),
        }
    }
}

/// What a mapped storage owns.
struct FileMap {
    // Dropped in this order: once they are unmapped, other memory may have the addresses.
    entry: MapEntry,
    pages: Pages,
}

enum Pages {
    ReadOnly(Mmap),
    Writable(MmapMut),
}

impl Pages {
    fn pointer(&self) -> NonNull<u8> {
        let pointer = match self {
            Self::ReadOnly(map) => map.as_ptr(),
            Self::Writable(map) => map.as_ptr(),
        };
        NonNull::new(pointer.cast_mut()).unwrap_or_else(dangling)
    }
}

fn place_of(region: &Region<'_>) -> Option<FilePlace> {
    let span = Footprint::span_of(region).ok().filter(|span| !span.is_empty())?;
    ledger::of_process().locate(span)
}

/// What the file system calls the file, by whatever path it was opened.
#[cfg(unix)]
fn id_of(file: &File) -> Result<FileId, StorageError> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata()?;
    Ok(FileId { volume: metadata.dev(), index: metadata.ino() })
}

#[cfg(windows)]
fn id_of(file: &File) -> Result<FileId, StorageError> {
    let found = winapi_util::file::information(file)?;
    Ok(FileId { volume: found.volume_serial_number(), index: found.file_index() })
}

#[cfg(not(any(unix, windows)))]
fn id_of(_: &File) -> Result<FileId, StorageError> {
    Err(std::io::Error::from(std::io::ErrorKind::Unsupported).into())
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
