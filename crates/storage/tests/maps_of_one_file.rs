//! Maps of one file are one memory, whatever their modes and paths.
#![expect(unsafe_code, reason = "looks into mapped memory")]
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]
#![cfg(not(miri))] // which maps no files

use std::fs::{self, File, OpenOptions};
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndbridge_storage::{
    Access, Borrow, BorrowError, BorrowKind, DEFAULT_BUDGET, Gate, GateError, LentBorrow, MapMode,
    Region, Storage, gate,
};
use tempfile::TempDir;

use BorrowKind::{Read, Shared4, Write};
use MapMode::{CopyOnWrite, Read as ReadOnly, ReadWrite};

const LEN_BYTES: usize = 10_000;

/// A folder with a file of zeros, `a`.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a"), vec![0; LEN_BYTES]).unwrap();
    folder
}

fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

fn map(folder: &TempDir, mode: MapMode) -> Storage {
    map_part(folder, mode, 0, LEN_BYTES)
}

fn map_part(folder: &TempDir, mode: MapMode, offset: u64, len_bytes: usize) -> Storage {
    Storage::map_file(&open(&folder.path().join("a")), offset, len_bytes, mode).unwrap()
}

/// A borrow of `len` bytes from byte `first` of a map on.
#[track_caller]
fn take(
    map: &Storage,
    kind: BorrowKind,
    first: usize,
    len: usize,
) -> Result<Borrow<'_>, BorrowError> {
    let start = map.as_ptr() as usize + first;
    map.borrow(kind, &Region { start, item_bytes: 1, shape: &[len], strides: &[1] })
}

fn byte(map: &Storage, at: usize) -> *mut u8 {
    assert!(at < map.len_bytes());
    // SAFETY: inside the map.
    unsafe { map.as_ptr().add(at) }
}

/// As [`take`], of every second byte.
fn take_every_second(
    map: &Storage,
    kind: BorrowKind,
    first: usize,
    len: usize,
) -> Result<Borrow<'_>, BorrowError> {
    let start = map.as_ptr() as usize + first;
    map.borrow(kind, &Region { start, item_bytes: 1, shape: &[len / 2], strides: &[2] })
}

/// What a mode of a map can be borrowed for.
fn kinds(mode: MapMode) -> &'static [BorrowKind] {
    if mode == ReadOnly { &[Read] } else { &[Read, Write] }
}

/// Whether borrows of common bytes through two maps of one file are refused together.
fn excludes(
    (mode, kind): (MapMode, BorrowKind),
    (other, other_kind): (MapMode, BorrowKind),
) -> bool {
    let changes_the_file = |mode, kind| mode == ReadWrite && kind == Write;
    changes_the_file(mode, kind) || changes_the_file(other, other_kind)
}

#[test]
fn mut_8_two_maps_of_one_file_conflict() {
    let folder = folder();
    for held_by in [ReadOnly, ReadWrite, CopyOnWrite] {
        for wanted_by in [ReadOnly, ReadWrite, CopyOnWrite] {
            let [a, b] = [map(&folder, held_by), map(&folder, wanted_by)];
            assert_ne!(a.as_ptr(), b.as_ptr());
            for &held in kinds(held_by) {
                for &wanted in kinds(wanted_by) {
                    let case = format!("{held_by:?} {held:?}, then {wanted_by:?} {wanted:?}");
                    let borrow = take(&a, held, 100, 50).unwrap();
                    let refused = excludes((held_by, held), (wanted_by, wanted));
                    assert_eq!(take(&b, wanted, 149, 10).is_err(), refused, "{case}");
                    assert_eq!(take_every_second(&b, wanted, 90, 12).is_err(), refused, "{case}");
                    assert!(take(&b, wanted, 150, 10).is_ok(), "{case}, behind");
                    assert!(take(&b, wanted, 90, 10).is_ok(), "{case}, before");
                    assert!(take_every_second(&b, wanted, 80, 20).is_ok(), "{case}, before");
                    drop(borrow);
                    assert!(take(&b, wanted, 0, LEN_BYTES).is_ok(), "{case}, released");
                }
            }
        }
    }
}

#[test]
fn mut_8_one_copy_on_write_map_keeps_its_own_rules() {
    let folder = folder();
    let copy = map(&folder, CopyOnWrite);
    for (held, wanted, together) in
        [(Read, Read, true), (Read, Write, false), (Write, Read, false), (Shared4, Shared4, true)]
    {
        let borrow = take(&copy, held, 0, 8).unwrap();
        assert_eq!(take(&copy, wanted, 4, 8).is_ok(), together, "{held:?}, then {wanted:?}");
        assert!(take(&copy, Write, 8, 8).is_ok());
        drop(borrow);
    }
    // More than the ledger has slots for, released in another order.
    let mut borrows: Vec<_> = (0..20).map(|k| take(&copy, Write, 8 * k, 8).unwrap()).collect();
    assert!(take(&map(&folder, ReadWrite), Write, 80, 1).is_err());
    borrows.reverse();
    drop(borrows);
    assert!(take(&map(&folder, ReadWrite), Write, 0, LEN_BYTES).is_ok());
}

#[test]
fn mut_8_a_file_is_one_whatever_it_is_called() {
    let folder = folder();
    let [path, link, symlink] = ["a", "hard", "soft"].map(|name| folder.path().join(name));
    fs::hard_link(&path, &link).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&path, &symlink).unwrap();
    let dotted = folder.path().join("..").join(folder.path().file_name().unwrap()).join("a");
    let paths = [&path, &link, &symlink, &dotted];
    let maps = paths
        .into_iter()
        .filter(|path| path.exists())
        .map(|path| Storage::map_file(&open(path), 0, LEN_BYTES, ReadWrite).unwrap());
    let maps: Vec<_> = maps.collect();
    for (k, holder) in maps.iter().enumerate() {
        let borrow = take(holder, Write, 7, 1).unwrap();
        for (j, asker) in maps.iter().enumerate() {
            assert!(take(asker, Read, 0, 8).is_err(), "{k}, then {j}");
            assert!(take(asker, Read, 0, 7).is_ok(), "{k}, then {j}");
        }
        drop(borrow);
    }
}

#[test]
fn mut_8_parts_of_a_file_meet_where_they_overlap() {
    let folder = folder();
    // Unaligned, so that the maps begin within pages.
    let first = map_part(&folder, ReadWrite, 100, 5_000);
    let second = map_part(&folder, ReadOnly, 5_000, 5_000);
    let borrow = take(&first, Write, 4_899, 1).unwrap(); // byte 4999
    assert!(take(&second, Read, 0, 5_000).is_ok());
    drop(borrow);
    let borrow = take(&first, Write, 4_900, 1).unwrap(); // byte 5000
    assert!(take(&second, Read, 1, 4_999).is_ok());
    let error = take(&second, Read, 0, 1).unwrap_err();
    let BorrowError::Conflict { ref held_bytes, in_file, .. } = error else { panic!("{error}") };
    assert_eq!((held_bytes.clone(), in_file), (5_000..5_001, true));
    let text = error.to_string();
    assert!(text.contains(" (bytes 5000..5001 of the mapped file), wanted for reading"), "{text}");
    drop(borrow);
}

#[test]
fn mut_8_files_with_one_name_or_one_content_are_two() {
    let folder = folder();
    let old = map(&folder, ReadWrite);
    fs::write(folder.path().join("b"), vec![0; LEN_BYTES]).unwrap();
    fs::rename(folder.path().join("b"), folder.path().join("a")).unwrap();
    let new = map(&folder, ReadWrite);
    let borrow = take(&old, Write, 0, LEN_BYTES).unwrap();
    assert!(take(&new, Write, 0, LEN_BYTES).is_ok());
    drop(borrow);
    // The map keeps its file: nobody gets its inode.
    fs::remove_file(folder.path().join("a")).unwrap();
    let others: Vec<_> = (0..50)
        .map(|k| {
            let path = folder.path().join(k.to_string());
            fs::write(&path, vec![0; LEN_BYTES]).unwrap();
            Storage::map_file(&open(&path), 0, LEN_BYTES, ReadWrite).unwrap()
        })
        .collect();
    let borrows: Vec<_> = [&old, &new]
        .into_iter()
        .chain(&others)
        .map(|map| take(map, Write, 0, LEN_BYTES).unwrap())
        .collect();
    drop(borrows);
}

#[test]
fn mut_8_numbers_of_files_are_used_again() {
    let folder = folder();
    let kept = map(&folder, ReadWrite);
    for k in 0..1_000 {
        let path = folder.path().join("other");
        fs::write(&path, vec![0; 100]).unwrap();
        let modes = [ReadWrite, CopyOnWrite, ReadOnly];
        let maps = modes.map(|mode| Storage::map_file(&open(&path), 0, 100, mode).unwrap());
        let borrows = [take(&kept, Write, 0, 100).unwrap(), take(&maps[0], Write, 0, 100).unwrap()];
        assert!(take(&maps[k % 3], Read, 0, 1).is_err());
        drop(borrows);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn mut_8_borrows_by_address_are_of_the_file() {
    // As an argument of a function, or another module's view of the map.
    let folder = folder();
    for mode in [ReadOnly, ReadWrite, CopyOnWrite] {
        let [a, b] = [map(&folder, mode), map(&folder, ReadWrite)];
        let start = a.as_ptr() as usize;
        let region = Region { start, item_bytes: 4, shape: &[10, 2], strides: &[40, 4] };
        let held = LentBorrow::enter(Read, &region, Location::caller()).unwrap();
        assert!(take(&b, Write, 40, 1).is_err(), "{mode:?}");
        assert!(take(&b, Write, 8, 32).is_ok(), "{mode:?}");
        assert!(take(&b, Read, 40, 1).is_ok(), "{mode:?}");
        drop(held);
        let held = take(&b, Write, 40, 1).unwrap();
        assert!(LentBorrow::enter(Read, &region, Location::caller()).is_err(), "{mode:?}");
        assert!(LentBorrow::try_enter_all(Read, start..start + 41, Location::caller()).is_none());
        assert!(LentBorrow::try_enter_all(Read, start..start + 40, Location::caller()).is_some());
        drop(held);
    }
}

#[test]
fn mut_8_what_is_written_is_seen_as_the_table_says() {
    let folder = folder();
    let [read, write, copy] = [ReadOnly, ReadWrite, CopyOnWrite].map(|mode| map(&folder, mode));
    let set = |map: &Storage, at: usize, value: u8| {
        let _held = take(map, Write, at, 1).unwrap();
        // SAFETY: borrowed for writing.
        unsafe { *byte(map, at) = value };
    };
    let get = |map: &Storage, at: usize| {
        let _held = take(map, Read, at, 1).unwrap();
        // SAFETY: borrowed for reading.
        unsafe { *byte(map, at) }
    };
    set(&write, 5, 1);
    assert_eq!([&read, &write, &copy].map(|map| get(map, 5)), [1, 1, 1]);
    set(&copy, 5, 2);
    assert_eq!([&read, &write, &copy].map(|map| get(map, 5)), [1, 1, 2]);
    set(&write, 6, 3);
    assert_eq!([&read, &write].map(|map| get(map, 6)), [3, 3]);
}

#[test]
fn mut_8_maps_overlap_unless_both_keep_their_writes() {
    let folder = folder();
    let overlap = |a: &Storage, b: &Storage, first: usize| {
        let region = |map: &Storage, first| map.as_ptr() as usize + first;
        let [a_start, b_start] = [region(a, 0), region(b, first)];
        let ten = |start| Region { start, item_bytes: 1, shape: &[10], strides: &[1] };
        !a.may_overlap(&ten(a_start), b, &ten(b_start), DEFAULT_BUDGET).is_disjoint()
    };
    for a in [ReadOnly, ReadWrite, CopyOnWrite] {
        for b in [ReadOnly, ReadWrite, CopyOnWrite] {
            let maps = [map(&folder, a), map(&folder, b)];
            let apart = a == CopyOnWrite && b == CopyOnWrite;
            assert_eq!(overlap(&maps[0], &maps[1], 9), !apart, "{a:?} {b:?}");
            assert!(!overlap(&maps[0], &maps[1], 10), "{a:?} {b:?}");
            assert!(overlap(&maps[0], &maps[0], 9), "{a:?} with itself");
        }
    }
    let memory = Storage::zeroed(100).unwrap();
    memory.lend(Arc::new(gate::Always)).unwrap();
    assert!(!overlap(&map(&folder, ReadWrite), &memory, 0));
}

/// A gate that counts who asks.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Gate for Counting {
    fn check(&self) -> Result<(), GateError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn mut_8_borrows_ask_the_gate_of_another_map_that_is_lent() {
    for lent in [ReadOnly, ReadWrite, CopyOnWrite] {
        for asker in [ReadOnly, ReadWrite, CopyOnWrite] {
            let folder = folder();
            let [a, b] = [map_part(&folder, lent, 0, 100), map(&folder, asker)];
            a.lend(Arc::new(gate::Never)).unwrap();
            let access = if lent == ReadOnly { Access::Mapped } else { Access::Lent };
            assert_eq!((a.access(), b.access()), (access, Access::Mapped));
            for &kind in kinds(asker) {
                let case = format!("{lent:?} is lent, {asker:?} wanted {kind:?}");
                // Foreign code may read, and write where the map can be written.
                let disturbs =
                    excludes((lent, if lent == ReadWrite { Write } else { Read }), (asker, kind));
                match take(&b, kind, 99, 1) {
                    Ok(_) => assert!(!disturbs, "{case}"),
                    Err(BorrowError::FileLent(error)) => {
                        assert!(disturbs, "{case}");
                        assert_eq!(error.gate, "the closed gate");
                    }
                    Err(error) => panic!("{case}: {error}"),
                }
                assert!(take(&b, kind, 100, 100).is_ok(), "{case}, other bytes");
            }
            // Its own borrows: no foreign code writes a read-only map.
            assert_eq!(take(&a, Read, 0, 1).is_ok(), lent == ReadOnly);
            drop(a);
            assert!(kinds(asker).iter().all(|&kind| take(&b, kind, 0, 100).is_ok()), "returned");
        }
    }
    let text =
        BorrowError::FileLent(GateError { gate: "a gate", reason: "come again" }).to_string();
    assert_eq!(text, "another map of this file is lent, and a gate refuses: come again");
}

#[test]
fn mut_8_each_gate_is_asked_once() {
    let folder = folder();
    let gates = [0, 1].map(|_| Arc::new(Counting::default()));
    let lent: Vec<_> = (0..6).map(|_| map(&folder, ReadWrite)).collect();
    for (k, map) in lent.iter().enumerate() {
        map.lend(gates[k % 2].clone()).unwrap();
    }
    let asker = map(&folder, ReadOnly);
    let borrow = take(&asker, Read, 0, 1).unwrap();
    assert_eq!([&gates[0], &gates[1]].map(|gate| gate.0.load(Ordering::Relaxed)), [1, 1]);
    // A borrow that asked bears a loan of bytes that are lent already, and no other.
    let again = map(&folder, ReadWrite);
    again.lend(gates[0].clone()).unwrap();
    drop((borrow, lent));
    let borrow = take(&asker, Read, 0, 1).unwrap();
    drop(again);
    let error = map(&folder, ReadWrite).lend(gates[0].clone()).unwrap_err();
    assert!(matches!(error, BorrowError::StillBorrowed { held: Read, .. }), "{error}");
    drop(borrow);
    assert_eq!(Arc::strong_count(&gates[0]), 1, "handles are let go of");
}

#[test]
fn mut_8_a_map_is_not_lent_under_a_borrow_that_this_could_disturb() {
    for lent in [ReadOnly, ReadWrite, CopyOnWrite] {
        for holder in [ReadOnly, ReadWrite, CopyOnWrite] {
            for &kind in kinds(holder) {
                let folder = folder();
                let [a, b] = [map_part(&folder, lent, 0, 100), map(&folder, holder)];
                let case = format!("{holder:?} {kind:?}, then {lent:?} is lent");
                drop(take(&b, kind, 100, 100).unwrap());
                let beside = take(&b, kind, 100, 100).unwrap();
                let borrow = take(&b, kind, 50, 1).unwrap();
                let disturbs =
                    excludes((lent, if lent == ReadWrite { Write } else { Read }), (holder, kind));
                match a.lend(Arc::new(gate::Never)) {
                    Ok(()) => assert!(!disturbs, "{case}"),
                    Err(BorrowError::StillBorrowed { held, .. }) => {
                        assert!(disturbs, "{case}");
                        // To the file, a write that stays in its map is a read.
                        let held_of_file = if holder == CopyOnWrite { Read } else { kind };
                        assert_eq!((held, a.access()), (held_of_file, Access::Mapped), "{case}");
                    }
                    Err(error) => panic!("{case}: {error}"),
                }
                drop(borrow);
                assert!(a.lend(Arc::new(gate::Never)).is_ok(), "{case}, released");
                drop(beside);
            }
        }
    }
    // Its own borrows count, whatever the file has.
    let copy = map(&folder(), CopyOnWrite);
    let borrow = take(&copy, Read, 0, 1).unwrap();
    assert!(copy.lend(Arc::new(gate::Always)).is_err());
    drop(borrow);
    assert!(copy.lend(Arc::new(gate::Always)).is_ok());
}

#[test]
fn mut_8_many_threads_agree_with_the_file() {
    // Each adds to every byte it gets, through a map of its own.
    const ROUNDS: usize = 200;
    let folder = folder();
    let added: usize = std::thread::scope(|scope| {
        let threads = [0, 1, 2, 3].map(|k| {
            let folder = &folder;
            scope.spawn(move || {
                let mut added = 0;
                for round in 0..ROUNDS {
                    let map = map_part(folder, ReadWrite, 0, 200);
                    let at = (round * 7 + k) % 16;
                    if let Ok(_held) = take(&map, Write, at, 1) {
                        // SAFETY: borrowed for writing.
                        unsafe { *byte(&map, at) += 1 };
                        added += 1;
                    }
                }
                added
            })
        });
        threads.map(|thread| thread.join().unwrap()).iter().sum()
    });
    let bytes = fs::read(folder.path().join("a")).unwrap();
    assert_eq!(bytes.iter().map(|&byte| usize::from(byte)).sum::<usize>(), added);
    assert!(added > ROUNDS, "{added} of {}", 4 * ROUNDS);
}
