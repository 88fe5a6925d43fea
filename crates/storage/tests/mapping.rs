//! Mapped files share with the file, as far as their mode says.
#![expect(unsafe_code, reason = "looks into mapped memory")]
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;

use ndbridge_storage::{Access, BorrowKind, MapMode, Mutability, Region, Storage, StorageError};
use tempfile::NamedTempFile;

/// Ten thousand bytes, 0 to 250 over and over.
fn file() -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    let bytes: Vec<u8> = (0..10_000).map(|byte| (byte % 251) as u8).collect();
    file.write_all(&bytes).unwrap();
    file
}

fn open(file: &NamedTempFile) -> File {
    OpenOptions::new().read(true).write(true).open(file.path()).unwrap()
}

fn byte(storage: &Storage, at: usize) -> *mut u8 {
    assert!(at < storage.len_bytes());
    // SAFETY: inside the storage.
    unsafe { storage.host_ptr().unwrap().add(at) }
}

fn read(storage: &Storage, at: usize) -> u8 {
    // SAFETY: inside, and nobody writes.
    unsafe { *byte(storage, at) }
}

fn write(storage: &Storage, at: usize, value: u8) {
    let start = storage.as_ptr() as usize + at;
    let region = Region { start, item_bytes: 1, shape: &[], strides: &[] };
    let _held = storage.borrow(BorrowKind::Write, &region).unwrap();
    // SAFETY: borrowed for writing.
    unsafe { *byte(storage, at) = value };
}

#[test]
#[cfg_attr(miri, ignore = "Miri maps no files")]
fn fil_3_a_map_shows_the_bytes_of_the_file() {
    let file = file();
    for mode in [MapMode::Read, MapMode::ReadWrite, MapMode::CopyOnWrite] {
        for (offset, len_bytes) in [(0, 10_000), (1, 9_999), (4096, 1), (4095, 4098), (9_999, 1)] {
            let map = Storage::map_file(&open(&file), offset, len_bytes, mode).unwrap();
            assert_eq!((map.len_bytes(), map.owner_name()), (len_bytes, "mapped file"));
            for at in [0, len_bytes / 2, len_bytes - 1] {
                assert_eq!(usize::from(read(&map, at)), (offset as usize + at) % 251, "{mode:?}");
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri maps no files")]
fn fil_3_modes_say_who_sees_writes() {
    for (mode, access, mutability, in_file) in [
        (MapMode::ReadWrite, Access::Mapped, Mutability::Writable, 99),
        (MapMode::CopyOnWrite, Access::Mapped, Mutability::Writable, 5),
    ] {
        let file = file();
        let map = Storage::map_file(&open(&file), 0, 100, mode).unwrap();
        assert_eq!((map.access(), map.mutability()), (access, mutability));
        write(&map, 5, 99);
        assert_eq!(read(&map, 5), 99);
        map.flush().unwrap();
        drop(map);
        assert_eq!(fs::read(file.path()).unwrap()[5], in_file, "{mode:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri maps no files")]
fn fil_3_a_map_for_reading_is_read_only_and_outlives_its_file() {
    let file = file();
    let map = Storage::map_file(&File::open(file.path()).unwrap(), 0, 100, MapMode::Read).unwrap();
    assert_eq!((map.access(), map.mutability()), (Access::Mapped, Mutability::ReadOnly));
    let start = map.as_ptr() as usize;
    let region = Region { start, item_bytes: 1, shape: &[100], strides: &[1] };
    assert!(map.borrow(BorrowKind::Write, &region).is_err());
    assert!(map.borrow(BorrowKind::Read, &region).is_ok());
    assert!(map.flush().is_ok(), "nothing to write back");
    drop(file);
    let view = map.clone();
    drop(map);
    assert_eq!(read(&view, 7), 7);
}

#[test]
#[cfg_attr(miri, ignore = "Miri maps no files")]
fn fil_1_a_map_stays_inside_the_file() {
    let file = file();
    for (offset, len_bytes) in [(0, 10_001), (10_000, 1), (10_001, 0), (u64::MAX, 1), (4096, 5_905)]
    {
        let error = Storage::map_file(&open(&file), offset, len_bytes, MapMode::Read).unwrap_err();
        let StorageError::PastEndOfFile { offset: o, len_bytes: n, file_bytes } = error else {
            panic!("{error}")
        };
        assert_eq!((o, n, file_bytes), (offset, len_bytes, 10_000));
        let expected =
            format!("file has 10000 bytes, cannot map {len_bytes} bytes at offset {offset}");
        assert_eq!(error.to_string(), expected);
    }
    let huge = Storage::map_file(&open(&file), 0, usize::MAX, MapMode::Read);
    assert!(matches!(huge, Err(StorageError::TooLarge { len_bytes: usize::MAX })));
}

#[test]
#[cfg_attr(miri, ignore = "Miri maps no files")]
fn fil_3_no_bytes_can_be_mapped_anywhere_in_a_file() {
    let empty = NamedTempFile::new().unwrap();
    let file = file();
    for mode in [MapMode::Read, MapMode::ReadWrite, MapMode::CopyOnWrite] {
        for (file, offset) in [(&empty, 0), (&file, 0), (&file, 10_000)] {
            let map = Storage::map_file(&open(file), offset, 0, mode).unwrap();
            assert_eq!((map.len_bytes(), map.owner_name()), (0, "mapped file"));
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri maps no files")]
fn fil_3_a_file_opened_for_reading_is_not_mapped_for_writing() {
    let file = file();
    let read_only = File::open(file.path()).unwrap();
    let refused = Storage::map_file(&read_only, 0, 10, MapMode::ReadWrite);
    assert!(matches!(refused, Err(StorageError::Io(_))));
    assert!(Storage::map_file(&read_only, 0, 10, MapMode::CopyOnWrite).is_ok());
}
