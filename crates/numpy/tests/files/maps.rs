//! Maps of one file are one memory: `.npy` files, members of archives, raw maps.

use std::fs::{self, OpenOptions};
use std::path::Path;

use ndarray::s;
use ndbridge_numpy::npy::{self, MapMode};
use ndbridge_numpy::npz;
use ndbridge_tensor::{DType, Layout, Order, Scalar, Storage, Tensor, shares_memory};

const MODES: [MapMode; 3] = [MapMode::Read, MapMode::ReadWrite, MapMode::CopyOnWrite];

fn counting(len: usize) -> Tensor {
    Tensor::from_vec((0..len).map(|value| value as f64).collect())
}

/// All of a file as bytes.
fn raw(path: &Path, mode: MapMode) -> Tensor {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let len = file.metadata().unwrap().len() as usize;
    let storage = Storage::map_file(&file, 0, len, mode).unwrap();
    Tensor::from_parts(storage, DType::U8, Layout::contiguous(&[len], 1, Order::C).unwrap())
        .unwrap()
}

#[test]
fn mut_8_two_maps_of_an_npy_file_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    npy::save(&path, &counting(10)).unwrap();
    for mode in MODES {
        let [a, b] = [MapMode::ReadWrite, mode].map(|mode| npy::map_with(&path, mode).unwrap());
        let guard = b.read::<f64>().unwrap();
        let first = &guard[[0]];
        let error = a.fill(Scalar::Float(7.0)).unwrap_err().to_string();
        assert!(error.starts_with("already borrowed for reading at "), "{mode:?}: {error}");
        assert_eq!(*first, 0.0);
        a.slice(s![..0]).unwrap().fill(Scalar::Float(7.0)).unwrap();
        drop(guard);

        let guard = a.write::<f64>().unwrap();
        assert!(b.read::<f64>().is_err(), "{mode:?}");
        assert!(raw(&path, mode).bytes().is_err(), "{mode:?}, raw");
        drop(guard);
        let last = a.slice(s![5..]).unwrap();
        let guard = last.write::<f64>().unwrap();
        assert!(b.slice(s![..5]).unwrap().read::<f64>().is_ok(), "{mode:?}, other elements");
        assert!(b.slice(s![..6]).unwrap().read::<f64>().is_err(), "{mode:?}");
        drop(guard);
    }
}

#[test]
fn mut_8_tensors_of_one_file_share_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    npy::save(&path, &counting(10)).unwrap();
    for first in MODES {
        for second in MODES {
            let [a, b] = [first, second].map(|mode| npy::map_with(&path, mode).unwrap());
            let apart = first == MapMode::CopyOnWrite && second == MapMode::CopyOnWrite;
            assert_eq!(shares_memory(&a, &b), !apart, "{first:?} {second:?}");
            let [even, odd] = [a.slice(s![..;2]).unwrap(), b.slice(s![1..;2]).unwrap()];
            assert!(!shares_memory(&even, &odd), "{first:?} {second:?}");
            assert!(shares_memory(&a, &even) && !shares_memory(&a, &counting(10)));
        }
    }
}

#[test]
fn mut_8_a_copy_between_two_maps_reads_before_it_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    for mode in MODES {
        for step in [1, -1] {
            npy::save(&path, &counting(1000)).unwrap();
            let to = npy::map_with(&path, MapMode::ReadWrite).unwrap();
            let from = npy::map_with(&path, mode).unwrap();
            let expected: Vec<f64> = match step {
                1 => (0..1).chain(0..999).map(f64::from).collect(),
                _ => (0..1000).rev().map(f64::from).collect(),
            };
            if step == 1 {
                to.slice(s![1..]).unwrap().assign(&from.slice(s![..999]).unwrap()).unwrap();
            } else {
                to.assign(&from.slice(s![..;-1]).unwrap()).unwrap();
            }
            assert_eq!(to.to_vec::<f64>().unwrap(), expected, "{mode:?} {step}");
            assert_eq!(npy::load(&path).unwrap().to_vec::<f64>().unwrap(), expected);
        }
    }
}

#[test]
fn mut_8_members_of_an_archive_are_bytes_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    npz::save(&path, [("a", &counting(100)), ("b", &counting(50))]).unwrap();
    let [first, second] = [0, 1].map(|_| npz::map(&path).unwrap());
    let [a, again] = [first.get("a").unwrap(), second.get("a").unwrap()];
    let b = second.get("b").unwrap();
    assert!(shares_memory(&a, &again) && !shares_memory(&a, &b));

    // The same bytes, to be written.
    let whole = raw(&path, MapMode::ReadWrite);
    let at = a.as_ptr().addr() - a.storage().as_ptr().addr();
    let same = whole.slice(s![at..at + 800]).unwrap();
    assert!(shares_memory(&same, &a) && !shares_memory(&same, &b));
    let guard = same.write::<u8>().unwrap();
    assert!(a.read::<f64>().is_err() && again.read::<f64>().is_err());
    assert_eq!(b.read::<f64>().unwrap()[[49]], 49.0, "another member");
    // What is not borrowed is found and opened beside it.
    assert!(npz::map(&path).unwrap().get("b").unwrap().read::<f64>().is_ok());
    assert!(second.all().is_ok());
    drop(guard);
    same.reinterpret(DType::F64).unwrap().fill(Scalar::Float(2.0)).unwrap();
    assert_eq!(again.to_vec::<f64>().unwrap(), [2.0; 100]);
    // A new archive in its place is another file.
    fs::copy(&path, folder.path().join("y.npz")).unwrap();
    fs::rename(folder.path().join("y.npz"), &path).unwrap();
    let guard = same.write::<u8>().unwrap();
    assert!(npz::map(&path).unwrap().get("a").unwrap().read::<f64>().is_ok());
    drop(guard);
}
