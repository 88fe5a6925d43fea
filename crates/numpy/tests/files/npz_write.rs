//! Archives written by this crate.

use std::io::{Cursor, ErrorKind};

use ndbridge_numpy::NumpyError;
use ndbridge_numpy::npz::{self, Npz};
use ndbridge_tensor::{DType, Tensor, array_equal};

fn arrays() -> Vec<(String, Tensor)> {
    let counting = |len: usize| Tensor::from_vec((0..len as i32).collect());
    let mut arrays: Vec<(String, Tensor)> = DType::ALL
        .into_iter()
        .filter(|dtype| dtype.type_string(ndbridge_tensor::dtype::ByteOrder::NATIVE).is_some())
        .map(|dtype| (dtype.to_string(), Tensor::ones(&[2, 3], dtype).unwrap()))
        .collect();
    arrays.push(("größe/測".into(), counting(1000)));
    arrays.push(("../up".into(), counting(12).reshape(&[3, 4]).unwrap().transpose().unwrap()));
    arrays.push(("reversed".into(), counting(100).flip(&[0]).unwrap()));
    arrays.push(("empty".into(), counting(0)));
    arrays.push(("one".into(), counting(1).reshape(&[]).unwrap()));
    arrays.push((String::new(), counting(3)));
    arrays
}

fn borrowed(arrays: &[(String, Tensor)]) -> impl Iterator<Item = (&String, &Tensor)> {
    arrays.iter().map(|(name, array)| (name, array))
}

#[test]
fn dty_1_archives_come_back_equal() {
    let folder = tempfile::tempdir().unwrap();
    let (stored, packed) = (folder.path().join("s.npz"), folder.path().join("d.npz"));
    let arrays = arrays();
    npz::save(&stored, borrowed(&arrays)).unwrap();
    npz::save_compressed(&packed, borrowed(&arrays)).unwrap();
    for path in [&stored, &packed] {
        let (loaded, mapped) = (npz::load(path).unwrap(), npz::map(path).unwrap());
        assert_eq!((loaded.len(), mapped.len()), (arrays.len(), arrays.len()));
        for ((name, array), (loaded_name, loaded)) in arrays.iter().zip(&loaded) {
            let mapped = mapped.get(name).unwrap();
            assert_eq!(name, loaded_name);
            for found in [loaded, &mapped] {
                assert_eq!(
                    (found.dtype(), found.shape()),
                    (array.dtype(), array.shape()),
                    "{name}"
                );
                assert!(array_equal(found, array).unwrap(), "{name}");
            }
            assert_eq!(mapped.receipt().is_shared(), path == &stored, "{name}");
        }
    }
}

#[test]
fn shr_7_stored_members_are_aligned() {
    for long in 0..130 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npz");
        let first = Tensor::from_vec(vec![1_u8; long]);
        let name = "n".repeat(long + 1);
        npz::save(&path, [("first", &first), (&name, &first), ("last", &first)]).unwrap();
        let archive = npz::map(&path).unwrap();
        for (name, array) in archive.all().unwrap() {
            assert!(array.receipt().is_shared());
            assert_eq!(array.layout().offset() % 64, 0, "{name} with {long}");
        }
    }
}

#[test]
fn the_same_arrays_give_the_same_bytes() {
    let arrays = arrays();
    let [first, second] = [(); 2].map(|()| {
        let mut bytes = Vec::new();
        npz::write_compressed(Cursor::new(&mut bytes), borrowed(&arrays)).unwrap();
        bytes
    });
    assert!(first == second);
    let mut archive = Npz::new(Cursor::new(first)).unwrap();
    assert_eq!(archive.load_all().unwrap().len(), arrays.len());
}

#[test]
fn names_that_cannot_be_stored_are_refused() {
    let array = Tensor::from_vec(vec![1_u8]);
    let twice = [("a", &array), ("b", &array), ("a", &array)];
    let error = npz::write(Cursor::new(Vec::new()), twice).unwrap_err().to_string();
    assert!(error.contains("\"a\" is given twice"), "{error}");
    let long = "x".repeat(64_997);
    let error = npz::write(Cursor::new(Vec::new()), [(&long, &array)]).unwrap_err().to_string();
    assert_eq!(error, "name of 65001 B, expected at most 65000 B");
    npz::write(Cursor::new(Vec::new()), [(&long[1..], &array)]).unwrap();
}

#[test]
fn honest_members_unpack_a_thousandfold() {
    // 12 MB of zeros: more than the archive and the allowance, so it is checked beforehand.
    let zeros = Tensor::zeros(&[1_500_000], DType::F64).unwrap();
    let mut bytes = Vec::new();
    npz::write_compressed(Cursor::new(&mut bytes), [("zeros", &zeros)]).unwrap();
    assert!(bytes.len() < 100_000);
    let mut archive = Npz::new(Cursor::new(bytes)).unwrap();
    for array in [archive.get("zeros").unwrap(), archive.load_all().unwrap().remove(0).1] {
        assert!(*array.bytes().unwrap() == *zeros.bytes().unwrap());
    }
}

/// Takes so many bytes, then fails; what comes after the failure is counted.
struct Full {
    taken: Cursor<Vec<u8>>,
    room: usize,
    late: usize,
    has_failed: bool,
}

impl std::io::Write for Full {
    fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        if self.has_failed {
            self.late += 1;
        }
        let end = self.taken.position() as usize + from.len();
        if end > self.room {
            self.has_failed = true;
            return Err(ErrorKind::StorageFull.into());
        }
        self.taken.write(from)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl std::io::Seek for Full {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.taken.seek(to)
    }
}

#[test]
fn a_stream_that_failed_is_left_alone() {
    let array = Tensor::from_vec((0..100_i32).collect());
    let members = [("a", &array), ("b", &array)];
    let write = |to: &mut Full, deflate: bool| match deflate {
        true => npz::write_compressed(to, members),
        false => npz::write(to, members),
    };
    for deflate in [false, true] {
        let full = |room| Full { taken: Cursor::default(), room, late: 0, has_failed: false };
        let mut whole = full(usize::MAX);
        write(&mut whole, deflate).unwrap();
        for room in 0..whole.taken.get_ref().len() {
            let mut full = full(room);
            let error = write(&mut full, deflate).unwrap_err();
            let is_full = |error: &std::io::Error| error.kind() == ErrorKind::StorageFull;
            assert!(
                matches!(&error, NumpyError::Io { source, .. } if is_full(source)),
                "room for {room}: {error}"
            );
            assert_eq!(full.late, 0, "room for {room}");
        }
    }
}

#[test]
fn an_archive_over_a_longer_one_is_whole() {
    let (long, short) = (Tensor::ones(&[70_000], DType::U8), Tensor::ones(&[2], DType::F32));
    let (long, short) = (long.unwrap(), short.unwrap());
    let mut stream = Cursor::new(Vec::new());
    npz::write(&mut stream, [("long", &long), ("last", &short)]).unwrap();
    stream.set_position(0);
    npz::write(&mut stream, [("short", &short)]).unwrap();
    let mut archive = Npz::new(stream).unwrap();
    assert_eq!(archive.names().collect::<Vec<_>>(), ["short"]);
    assert!(array_equal(&archive.get("short").unwrap(), &short).unwrap());
}
