//! What a borrow is for.

use std::fmt;

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
    /// for itself whether the memory may be written.
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
        for kind in BorrowKind::ALL {
            assert_eq!(BorrowKind::from_code(kind as u8), Some(kind));
        }
        assert_eq!(BorrowKind::from_code(BorrowKind::ALL.len() as u8), None);
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
