//! FIL-3: what does not become a file leaves the old one.

use std::fs;
use std::path::Path;

use ndbridge_numpy::{npy, npz};
use ndbridge_tensor::{DType, Tensor};

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn values(tensor: &Tensor) -> Vec<i32> {
    tensor.to_vec().unwrap()
}

#[test]
fn fil_3_a_failed_save_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let old = Tensor::from_vec(vec![1, 2, 3]);
    npy::save(&path, &old).unwrap();
    // The second array cannot be written, after the first one was.
    let bad = Tensor::zeros(&[4], DType::BF16).unwrap();
    let large = Tensor::from_vec(vec![7_u8; 100_000]);
    assert!(npy::save(&path, &bad).is_err());
    assert!(npz::save(&path, [("large", &large), ("bad", &bad)]).is_err());
    let busy = Tensor::from_vec(vec![4, 5, 6]);
    let guard = busy.write::<i32>().unwrap();
    assert!(npy::save(&path, &busy).is_err());
    drop(guard);
    assert_eq!(values(&npy::load(&path).unwrap()), [1, 2, 3]);
    assert_eq!(names(folder.path()), ["x.npy"], "nothing is left behind");
    npy::save(&path, &busy).unwrap();
    assert_eq!(values(&npy::load(&path).unwrap()), [4, 5, 6]);
    assert_eq!(names(folder.path()), ["x.npy"]);
}

#[test]
fn fil_3_a_map_keeps_the_file_it_mapped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    npy::save(&path, &Tensor::from_vec(vec![1, 2, 3])).unwrap();
    let mapped = npy::map(&path).unwrap();
    npy::save(&path, &mapped.flip(&[0]).unwrap()).unwrap();
    assert_eq!(values(&mapped), [1, 2, 3]);
    assert_eq!(values(&npy::load(&path).unwrap()), [3, 2, 1]);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let reading = path.clone();
    let reader = std::thread::spawn(move || npy::load(reading).unwrap());
    npy::save(&path, &Tensor::from_vec(vec![1, 2])).unwrap();
    assert_eq!(values(&reader.join().unwrap()), [1, 2]);
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no/such/x.npy");
    let array = Tensor::from_vec(vec![1]);
    let shown = missing.display().to_string();
    let errors = [
        npy::save(&missing, &array).unwrap_err(),
        npy::load(&missing).unwrap_err(),
        npy::map(&missing).unwrap_err(),
        npz::load(&missing).unwrap_err(),
        npz::map(&missing).unwrap_err(),
        npz::save(&missing, [("a", &array)]).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().starts_with(&shown), "{error}");
    }
    assert!(npy::save(folder.path(), &array).is_err(), "a folder");
    assert!(npy::load(folder.path()).is_err(), "a folder");
}
