//! Pieces of files, and where their bytes are.

use ndbridge_layout::{Region, Span};

use crate::borrow_kind::BorrowKind;
use crate::map_mode::MapMode;

/// A file by what its file system calls it, the same whatever path or link it was opened by. Part of
/// the ledger's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C)]
pub struct FileId {
    /// The device, or the serial number of the volume.
    pub volume: u64,
    /// The inode, or the index of the file.
    pub index: u64,
}

/// A mapped piece of a file. Part of the ledger's table.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FilePiece {
    pub(crate) file: FileId,
    pub(crate) bytes: Span,
    pub(crate) offset: u64,
    /// As [`MapMode`]'s codes; anything else is taken for [`MapMode::ReadWrite`].
    pub(crate) mode: u8,
}

impl FilePiece {
    /// The bytes of `file` from `offset` on, mapped at the addresses `bytes`: not none, and no other
    /// map's.
    #[must_use]
    pub fn new(file: FileId, offset: u64, bytes: Span, mode: MapMode) -> Self {
        Self { file, bytes, offset, mode: mode as u8 }
    }

    pub(crate) fn is(&self, mode: MapMode) -> bool {
        self.mode == mode as u8
    }
}

/// Where mapped bytes are. Part of the ledger's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct FilePlace {
    /// From an address to its position, modulo the size of the address space.
    pub(crate) shift: usize,
    /// 1 for a copy-on-write map, else 0.
    pub(crate) is_copy: u8,
}

impl FilePlace {
    pub(crate) const NONE: Self = Self { shift: 0, is_copy: 0 };

    pub(crate) fn is_copy(self) -> bool {
        self.is_copy != 0
    }

    pub(crate) fn positions(self, addresses: Span) -> Span {
        let Span { start, end } = addresses;
        Span { start: start.wrapping_add(self.shift), end: end.wrapping_add(self.shift) }
    }

    /// Regions at positions instead of addresses, of two maps; `None` if what is written through one
    /// of them is never seen through the other.
    ///
    /// Positions are numbers for bytes of mapped files: those of one byte are equal, whatever map it
    /// is seen through.
    #[must_use]
    pub fn regions<'a>(
        [this, other]: [Self; 2],
        [region, other_region]: [Region<'a>; 2],
    ) -> Option<[Region<'a>; 2]> {
        let at_position = |place: Self, region: Region<'a>| Region {
            start: region.start.wrapping_add(place.shift),
            ..region
        };
        let are_apart = this.is_copy() && other.is_copy();
        (!are_apart).then(|| [at_position(this, region), at_position(other, other_region)])
    }

    /// What a borrow of this kind is to the file.
    pub(crate) fn kind_for_the_file(self, kind: BorrowKind) -> BorrowKind {
        if self.is_copy() { BorrowKind::Read } else { kind }
    }
}
