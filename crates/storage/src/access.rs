//! Who can reach bytes, whether they may be written, and what a borrow of them is for.

use std::fmt;

/// Who, other than the Rust handles of a storage, can reach its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Access {
    /// Nobody: every read and write goes through handles of this storage and its own ledger.
    Private,
    /// Others may read, and nobody writes while the storage lives: Python `bytes`, `Arc<[u8]>`.
    Frozen,
    /// Other maps of the same file, in whatever module: borrows are kept in the ledger of the process,
    /// and ask the gate of each lent map of the file that they could be disturbed through.
    Mapped,
    /// Foreign code may read and write whenever it runs: a NumPy array, a torch tensor, or private
    /// memory after it was exported. A gate is asked before every borrow, and borrows are kept in
    /// the ledger of the process.
    Lent,
}

impl Access {
    #[inline]
    pub(crate) const fn from_code(code: u8) -> Self {
        match code {
            0 => Access::Private,
            1 => Access::Frozen,
            2 => Access::Mapped,
            _ => Access::Lent,
        }
    }
}

/// Whether bytes may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Mutability {
    /// They may.
    Writable,
    /// They are never written.
    ReadOnly,
    /// The producer has no way to say (a legacy DLPack capsule): not written unless
    /// [`Storage::assume_writable`](crate::Storage::assume_writable) was called, and re-exportable
    /// as it came.
    Unknown,
}

impl Mutability {
    #[inline]
    pub(crate) const fn from_code(code: u8) -> Self {
        match code {
            0 => Mutability::Writable,
            1 => Mutability::ReadOnly,
            _ => Mutability::Unknown,
        }
    }
}

/// What a borrow is for.
///
/// Two borrows of the same byte can live at once only if both read, or both share by items of one
/// size (atomic accesses of different sizes to one byte would race):
///
/// ```text
///          Read   Write  Shared4 Shared8
/// Read      ok     no      no      no
/// Write     no     no      no      no
/// Shared4   no     no      ok      no
/// Shared8   no     no      no      ok
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum BorrowKind {
    /// Reading through `&`: nobody writes meanwhile.
    Read,
    /// Writing through `&mut`: nobody else reads or writes meanwhile.
    Write,
    /// Atomic loads and stores of 1 byte, beside others who do the same. Each store asks
    /// [`Storage::check_writable`](crate::Storage::check_writable) for itself.
    Shared1,
    /// As `Shared1`, of 2 bytes.
    Shared2,
    /// As `Shared1`, of 4 bytes.
    Shared4,
    /// As `Shared1`, of 8 bytes.
    Shared8,
}

impl BorrowKind {
    pub(crate) const ALL: [BorrowKind; 6] = [
        BorrowKind::Read,
        BorrowKind::Write,
        BorrowKind::Shared1,
        BorrowKind::Shared2,
        BorrowKind::Shared4,
        BorrowKind::Shared8,
    ];

    #[inline]
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Shared access by atomics of so many bytes; `None` unless 1, 2, 4 or 8.
    #[must_use]
    pub const fn shared(atom_bytes: usize) -> Option<Self> {
        match atom_bytes {
            1 => Some(BorrowKind::Shared1),
            2 => Some(BorrowKind::Shared2),
            4 => Some(BorrowKind::Shared4),
            8 => Some(BorrowKind::Shared8),
            _ => None,
        }
    }

    /// Whether borrows of these two kinds may hold the same byte at once.
    #[inline]
    pub const fn is_compatible_with(self, other: BorrowKind) -> bool {
        self as u8 == other as u8 && !matches!(self, BorrowKind::Write)
    }
}

impl fmt::Display for BorrowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BorrowKind::Read => "for reading",
            BorrowKind::Write => "for writing",
            BorrowKind::Shared1 => "for shared access by 1 byte",
            BorrowKind::Shared2 => "for shared access by 2 bytes",
            BorrowKind::Shared4 => "for shared access by 4 bytes",
            BorrowKind::Shared8 => "for shared access by 8 bytes",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        for access in [Access::Private, Access::Frozen, Access::Mapped, Access::Lent] {
            assert_eq!(Access::from_code(access as u8), access);
        }
        for kind in BorrowKind::ALL {
            assert_eq!(BorrowKind::from_code(kind as u8), Some(kind));
        }
        assert_eq!(BorrowKind::from_code(BorrowKind::ALL.len() as u8), None);
        for mutability in [Mutability::Writable, Mutability::ReadOnly, Mutability::Unknown] {
            assert_eq!(Mutability::from_code(mutability as u8), mutability);
        }
    }

    #[test]
    fn mut_1_only_readers_and_only_sharers_go_together() {
        for a in BorrowKind::ALL {
            for b in BorrowKind::ALL {
                let together = a == b && a != BorrowKind::Write;
                assert_eq!(a.is_compatible_with(b), together, "{a:?} beside {b:?}");
            }
        }
    }
}
