//! Who can reach bytes, and whether they may be written.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        for access in [Access::Private, Access::Frozen, Access::Mapped, Access::Lent] {
            assert_eq!(Access::from_code(access as u8), access);
        }
        for mutability in [Mutability::Writable, Mutability::ReadOnly, Mutability::Unknown] {
            assert_eq!(Mutability::from_code(mutability as u8), mutability);
        }
    }
}
