//! New memory that is filled from its start.

use std::fs::File;
use std::io::{self, Read};
#[cfg(unix)]
use std::os::fd::AsRawFd;

use super::uninit::UninitStorage;
use crate::{Storage, StorageError};

/// Readers that want bytes with values to read into get this many zeros at a time: few enough to
/// stay in the processor's caches.
const PIECE_BYTES: usize = 32 << 10;

/// Not every system reads more at once.
#[cfg(unix)]
const MOST_BYTES: usize = 1 << 30;

/// Memory without values beyond what was read so far.
///
/// ```
/// use ndbridge_storage::Storage;
///
/// let mut filling = Storage::filling(5)?;
/// filling.read_from(&mut &b"01"[..])?;
/// filling.read_from(&mut &b"234567"[..])?; // takes what it has room for
/// assert_eq!(filling.finish()?.len_bytes(), 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Filling {
    memory: UninitStorage,
    // INVARIANT: the first so many bytes of `memory` have values, and are not more than it has.
    filled: usize,
}

impl Storage {
    /// Memory to be filled by readers: `len_bytes`, 64-byte aligned.
    ///
    /// # Errors
    /// As [`uninit`](Self::uninit).
    pub fn filling(len_bytes: usize) -> Result<Filling, StorageError> {
        Ok(Filling { memory: Self::uninit(len_bytes)?, filled: 0 })
    }
}

impl Filling {
    /// How many bytes were read.
    pub fn filled_bytes(&self) -> usize {
        self.filled
    }

    /// How many bytes are still to be read.
    pub fn rest_bytes(&self) -> usize {
        self.memory.len_bytes() - self.filled
    }

    /// Reads until the memory is full or the reader at its end; gives how many bytes that were.
    ///
    /// # Errors
    /// The reader's. What was read before stays.
    pub fn read_from(&mut self, reader: &mut impl Read) -> io::Result<usize> {
        let before = self.filled;
        while self.rest_bytes() > 0 && self.read_piece(reader)? > 0 {}
        Ok(self.filled - before)
    }

    fn read_piece(&mut self, reader: &mut impl Read) -> io::Result<usize> {
        let piece_bytes = self.rest_bytes().min(PIECE_BYTES);
        let start = self.filled;
        let piece = &mut self.memory.as_uninit_mut()[start..start + piece_bytes];
        let pointer = piece.as_mut_ptr().cast::<u8>();
        // SAFETY: the piece is as long as that, and borrowed.
        unsafe { pointer.write_bytes(0, piece_bytes) };
        // SAFETY: zeros were just written to all of it.
        let piece = unsafe { std::slice::from_raw_parts_mut(pointer, piece_bytes) };
        let found = loop {
            match reader.read(piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                found => break found?,
            }
        };
        // A reader that claims more than it had room for gets no further than the piece.
        self.filled += found.min(piece_bytes);
        Ok(found)
    }

    /// As [`read_from`](Self::read_from), by the system straight into this memory.
    ///
    /// # Errors
    /// The system's. What was read before stays.
    pub fn read_from_file(&mut self, file: &mut File) -> io::Result<usize> {
        #[cfg(unix)]
        return self.read_into_spare(file);
        #[cfg(not(unix))]
        self.read_from(file)
    }

    #[cfg(unix)]
    fn read_into_spare(&mut self, file: &File) -> io::Result<usize> {
        let before = self.filled;
        while self.rest_bytes() > 0 {
            let spare = &mut self.memory.as_uninit_mut()[self.filled..];
            let spare_bytes = spare.len().min(MOST_BYTES);
            // SAFETY: so many bytes are borrowed, and need no value.
            let read =
                unsafe { libc::read(file.as_raw_fd(), spare.as_mut_ptr().cast(), spare_bytes) };
            match usize::try_from(read) {
                Ok(0) => break,
                Ok(read) => self.filled += read,
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
            }
        }
        Ok(self.filled - before)
    }

    /// The storage of all bytes.
    ///
    /// # Errors
    /// [`StorageError::NotFilled`] if some were never read.
    pub fn finish(self) -> Result<Storage, StorageError> {
        let (filled, len_bytes) = (self.filled, self.memory.len_bytes());
        if filled < len_bytes {
            return Err(StorageError::NotFilled { len_bytes, filled });
        }
        // SAFETY: all bytes have values, as `filled` says.
        Ok(unsafe { self.memory.assume_init() })
    }
}
