//! FIL-1 and FIL-2: files made to hurt give errors, within the memory that their size allows.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

#[expect(unsafe_code, reason = "a global allocator that counts")]
mod ledger;

mod archives;
mod arrays;
mod mutation;
mod random;
mod zip_builder;

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use ndbridge_numpy::npz::{self, Npz};
use ndbridge_numpy::{NumpyError, npy};
use ndbridge_tensor::Tensor;

/// What a malformed file may take beside its own size.
const ALLOWANCE_BYTES: usize = 16 << 20;

fn data_files(extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    paths.sort();
    paths
}

/// What became of a file: the arrays it gave, or the error, and the most memory it took.
type Outcome = Result<Vec<(String, Tensor)>, NumpyError>;

/// Runs `load` and demands that it neither panics nor takes more than a malformed file may.
fn contained(what: &str, file_bytes: usize, load: impl FnOnce() -> Outcome) -> Outcome {
    let mut outcome = None;
    let peak_bytes = ledger::peak_during(|| {
        let load = std::panic::AssertUnwindSafe(load);
        outcome = Some(catch_unwind(load).unwrap_or_else(|_| panic!("{what}: panicked")));
    });
    let outcome = outcome.unwrap();
    if outcome.is_err() {
        let limit = file_bytes + ALLOWANCE_BYTES;
        assert!(peak_bytes <= limit, "{what}: took {peak_bytes} B, limit {limit} B");
    }
    outcome
}

/// Reads `.npy` bytes, knowing their length and not knowing it, and demands one answer.
fn load_array(what: &str, bytes: &[u8]) -> Outcome {
    let one = |tensor| vec![(String::new(), tensor)];
    let known = Some(bytes.len() as u64);
    let capped = contained(what, bytes.len(), || npy::read(bytes, known).map(one));
    let streamed = contained(what, bytes.len(), || npy::read(bytes, None).map(one));
    assert_eq!(capped.is_ok(), streamed.is_ok(), "{what}: {capped:?} but {streamed:?}");
    capped
}

/// Reads an archive at once and member by member.
fn load_archive(what: &str, bytes: &[u8]) -> Outcome {
    let open = || Npz::new(std::io::Cursor::new(bytes));
    let all = contained(what, bytes.len(), || open()?.load_all());
    if let Ok(mut archive) = open() {
        let names: Vec<String> = archive.names().map(str::to_owned).collect();
        for name in names {
            let _ = contained(what, bytes.len(), || Ok(vec![(name.clone(), archive.get(&name)?)]));
        }
    }
    all
}

/// Maps an archive from a file, looks at every byte of its arrays.
fn map_archive(what: &str, path: &Path, bytes: &[u8]) -> Outcome {
    std::fs::write(path, bytes).unwrap();
    let mapped = contained(what, bytes.len(), || npz::map(path)?.all());
    for (_, tensor) in mapped.iter().flatten() {
        let _ = tensor.scalars();
    }
    mapped
}
