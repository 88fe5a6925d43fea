//! A file in memory that grows piece by piece, and says so where there is no more.

use std::io::{self, Seek, SeekFrom, Write};

const PIECE_BYTES: usize = 1 << 20;

/// What was written, in pieces of one size.
#[derive(Default)]
pub struct Pieces {
    // INVARIANT: as many pieces as `len` needs, each of PIECE_BYTES.
    pieces: Vec<Vec<u8>>,
    len: u64,
    at: u64,
}

impl Pieces {
    /// All of it, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut left = self.len as usize;
        self.pieces.iter().map(move |piece| {
            let piece = &piece[..left.min(PIECE_BYTES)];
            left -= piece.len();
            piece
        })
    }

    fn grow_to(&mut self, len: u64) -> io::Result<()> {
        let no_memory = |_| io::Error::from(io::ErrorKind::OutOfMemory);
        while ((self.pieces.len() * PIECE_BYTES) as u64) < len {
            let mut piece = Vec::new();
            piece.try_reserve_exact(PIECE_BYTES).map_err(no_memory)?;
            piece.resize(PIECE_BYTES, 0);
            self.pieces.try_reserve(1).map_err(no_memory)?;
            self.pieces.push(piece);
        }
        self.len = self.len.max(len);
        Ok(())
    }
}

impl Write for Pieces {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let (piece, start) = (self.at as usize / PIECE_BYTES, self.at as usize % PIECE_BYTES);
        let len = from.len().min(PIECE_BYTES - start);
        self.grow_to(self.at + len as u64)?;
        if len > 0 {
            self.pieces[piece][start..start + len].copy_from_slice(&from[..len]);
        }
        self.at += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Pieces {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_comes_back() {
        let mut pieces = Pieces::default();
        let all: Vec<u8> = (0..3 * PIECE_BYTES + 7).map(|at| (at % 251) as u8).collect();
        pieces.write_all(&all).expect("memory for a few pieces");
        assert_eq!(pieces.stream_position().ok(), Some(all.len() as u64));
        assert!(pieces.iter().flatten().eq(&all));
        pieces.seek(SeekFrom::Start(PIECE_BYTES as u64 - 1)).expect("a position");
        pieces.write_all(&[1, 2, 3]).expect("memory for a few pieces");
        let written: Vec<u8> = pieces.iter().flatten().copied().collect();
        assert_eq!(written[PIECE_BYTES - 1..PIECE_BYTES + 2], [1, 2, 3]);
        assert_eq!(written.len(), all.len());
        assert!(Pieces::default().iter().next().is_none());
    }
}
