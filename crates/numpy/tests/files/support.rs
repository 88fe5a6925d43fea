//! What several tests need.

use std::path::{Path, PathBuf};

use ndbridge_tensor::dtype::{Complex, Kind};
use ndbridge_tensor::{Scalar, Tensor};

/// A file that `tests/data/generate.py` wrote.
pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// All files in tests/data of that extension whose names `keep` wants.
pub fn data_files(extension: &str, keep: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(data(""))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .filter(|path| keep(name_of(path)))
        .collect();
    paths.sort();
    paths
}

pub fn name_of(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// Checks that element number k has the value that `generate.py` gives it.
pub fn assert_follows_rule(tensor: &Tensor, name: &str) {
    let half = |k: usize| k as f64 / 2.0 - 2.0;
    for (k, found) in tensor.scalars().unwrap().into_iter().enumerate() {
        let expected = match tensor.dtype().kind() {
            Kind::Bool => Scalar::Bool(k % 2 == 1),
            Kind::Int => Scalar::Int(k as i64),
            Kind::UInt => Scalar::UInt(k as u64),
            Kind::Float => Scalar::Float(half(k)),
            Kind::Complex => Scalar::Complex(Complex::new(half(k), k as f64)),
        };
        assert_eq!(found, expected, "{name}, element {k}");
    }
}

/// The `.npy` bytes of a tensor.
pub fn npy_bytes(tensor: &Tensor) -> Vec<u8> {
    let mut bytes = Vec::new();
    ndbridge_numpy::npy::write(&mut bytes, tensor).unwrap();
    bytes
}

/// An `.npy` file with that dictionary and that data.
pub fn npy_with(dict: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(dict.len() as u16).to_le_bytes());
    bytes.extend_from_slice(dict.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}
