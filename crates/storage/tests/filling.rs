//! Memory that readers fill.
#![expect(unsafe_code, reason = "looks at memory that nothing borrows")]

use std::io::{self, Read, Seek, SeekFrom, Write};

use ndbridge_storage::{Filling, Storage, StorageError};

const LEN_BYTES: usize = if cfg!(miri) { 1000 } else { 200_000 };

fn pattern(len_bytes: usize) -> Vec<u8> {
    (0..len_bytes).map(|at| (at % 251) as u8).collect()
}

fn bytes(storage: &Storage) -> &[u8] {
    // SAFETY: these bytes are in the storage, and nothing writes them.
    unsafe { std::slice::from_raw_parts(storage.as_ptr(), storage.len_bytes()) }
}

/// Gives few bytes at a time, is interrupted, then fails.
struct Slow<'a> {
    rest: &'a [u8],
    calls: usize,
}

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.calls += 1;
        match self.calls % 3 {
            0 => Err(io::ErrorKind::Interrupted.into()),
            _ if self.rest.is_empty() => Err(io::ErrorKind::ConnectionReset.into()),
            _ => {
                let few = buffer.len().min(77);
                self.rest.read(&mut buffer[..few])
            }
        }
    }
}

#[test]
fn all_that_is_read_is_there() {
    let pattern = pattern(LEN_BYTES + 10);
    let mut slow = Slow { rest: &pattern, calls: 0 };
    let mut filling = Storage::filling(LEN_BYTES).unwrap();
    assert_eq!(filling.read_from(&mut &b""[..]).unwrap(), 0);
    assert_eq!(filling.read_from(&mut slow).unwrap(), LEN_BYTES);
    assert_eq!(filling.rest_bytes(), 0);
    assert!(bytes(&filling.finish().unwrap()) == &pattern[..LEN_BYTES]);
    assert_eq!(Storage::filling(0).unwrap().finish().unwrap().len_bytes(), 0);
}

#[test]
fn what_is_not_filled_is_refused() {
    let mut filling = Storage::filling(LEN_BYTES).unwrap();
    let mut slow = Slow { rest: &[1; 500], calls: 0 };
    assert_eq!(filling.read_from(&mut slow).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(filling.filled_bytes(), 500);
    let Err(StorageError::NotFilled { len_bytes, filled }) = filling.finish() else {
        panic!("most of it has no value");
    };
    assert_eq!((len_bytes, filled), (LEN_BYTES, 500));
}

/// A reader that lies about how much it read gets no further than what it was given.
struct Liar;

impl Read for Liar {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(usize::MAX)
    }
}

#[test]
fn a_reader_that_lies_reads_zeros() {
    let mut filling = Storage::filling(LEN_BYTES).unwrap();
    filling.read_from(&mut Liar).unwrap();
    assert_eq!(filling.filled_bytes(), LEN_BYTES);
    assert!(bytes(&filling.finish().unwrap()).iter().all(|&byte| byte == 0));
}

#[test]
#[cfg(unix)]
#[cfg_attr(miri, ignore = "opens a folder")]
fn the_error_of_the_system_is_given_and_what_was_read_stays() {
    let mut folder = std::fs::File::open(std::env::temp_dir()).unwrap();
    let mut filling = Storage::filling(8).unwrap();
    filling.read_from(&mut &b"0123"[..]).unwrap();
    let error = filling.read_from_file(&mut folder).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    assert_eq!(filling.filled_bytes(), 4);
}

#[test]
#[cfg_attr(miri, ignore = "reads a file by calls of the system")]
fn files_are_read_from_where_they_are() {
    let pattern = pattern(LEN_BYTES);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&pattern).unwrap();
    let fill = |filling: &mut Filling, file: &mut std::fs::File| {
        file.seek(SeekFrom::Start(100)).unwrap();
        filling.read_from_file(file).unwrap()
    };
    let mut exact = Storage::filling(LEN_BYTES - 100).unwrap();
    assert_eq!(fill(&mut exact, &mut file), LEN_BYTES - 100);
    assert!(bytes(&exact.finish().unwrap()) == &pattern[100..]);
    let mut longer = Storage::filling(LEN_BYTES).unwrap();
    assert_eq!(fill(&mut longer, &mut file), LEN_BYTES - 100);
    assert!(longer.finish().is_err());
}
