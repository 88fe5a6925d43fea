//! `.npy` files beside `ndarray-npy`, in the page cache.

use std::cell::LazyCell;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufReader, BufWriter, Read as _};
use std::path::Path;

use criterion::{BatchSize, Criterion};
use ndarray::{Array2, ArrayView2};
use ndarray_npy::{NpzReader, NpzWriter, ViewNpyExt as _};
use ndbridge::storage::{MapMode, Storage};
use ndbridge::{DType, Layout, Order, Tensor, npy, npz};
use ndbridge_benches::{SIZES, group, matrix, tensor};
use tempfile::TempDir;

fn main() {
    ndbridge_benches::run(&[load, map, header, save, archive]);
}

/// A folder on the disk that builds go to: `/tmp` may be memory.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a writable target folder")
}

fn saved(folder: &TempDir, bytes: usize) -> std::path::PathBuf {
    let path = folder.path().join(format!("{bytes}.npy"));
    npy::save(&path, &tensor(matrix(bytes, 1))).expect("room on the disk");
    path
}

fn load(criterion: &mut Criterion) {
    let folder = folder();
    for size in SIZES {
        let path = LazyCell::new(|| saved(&folder, size.bytes));
        let mut group = group(criterion, "npy/load", size, size.bytes);
        group.bench_function("ndbridge_load", |bencher| {
            bencher.iter(|| npy::load(&*path).expect("just saved"));
        });
        group.bench_function("ndarray_npy_read", |bencher| {
            bencher.iter(|| ndarray_npy::read_npy::<_, Array2<f32>>(&*path).expect("just saved"));
        });
        group.bench_function("npyz_into_vec", |bencher| {
            bencher.iter(|| {
                let file = BufReader::new(File::open(&*path).expect("just saved"));
                npyz::NpyFile::new(file).expect("a header").into_vec::<f32>().expect("data")
            });
        });
        group.bench_function("read_into_memory_in_use", |bencher| {
            let mut memory = vec![1_u8; size.bytes + 128];
            bencher.iter(|| {
                let mut file = File::open(&*path).expect("just saved");
                file.read(black_box(&mut memory)).expect("readable")
            });
        });
        group.bench_function("std_fs_read", |bencher| {
            bencher.iter(|| fs::read(&*path).expect("just saved"));
        });
    }
}

/// From the path to the first element.
fn map(criterion: &mut Criterion) {
    let folder = folder();
    for size in SIZES {
        let path = LazyCell::new(|| saved(&folder, size.bytes));
        let mut group = group(criterion, "npy/map", size, size.bytes);
        group.bench_function("ndbridge_map", |bencher| {
            bencher.iter(|| npy::map(&*path).expect("saved").read::<f32>().expect("free")[[0, 0]]);
        });
        group.bench_function("ndarray_npy_view_of_a_map", |bencher| {
            bencher.iter(|| {
                let bytes = mapped_bytes(&path);
                let bytes = bytes.bytes().expect("contiguous");
                ArrayView2::<f32>::view_npy(&bytes).expect("just saved")[[0, 0]]
            });
        });
    }
}

/// ndarray-npy maps no files itself.
fn mapped_bytes(path: &Path) -> Tensor {
    let file = File::open(path).expect("just saved");
    let len = file.metadata().expect("an open file").len() as usize;
    let storage = Storage::map_file(&file, 0, len, MapMode::Read).expect("mappable");
    let layout = Layout::contiguous(&[len], 1, Order::C).expect("one axis");
    Tensor::from_parts(storage, DType::U8, layout).expect("all of the file")
}

fn header(criterion: &mut Criterion) {
    let folder = folder();
    let mut group = criterion.benchmark_group("npy/header");
    let file = LazyCell::new(|| mapped_bytes(&saved(&folder, 4 << 10)));
    group.bench_function("ndbridge_header", |bencher| {
        let bytes = file.bytes().expect("contiguous");
        let len_bytes = bytes.len() as u64;
        bencher.iter(|| npy::Header::read(&mut black_box(&*bytes), Some(len_bytes)));
    });
    group.bench_function("ndarray_npy_view", |bencher| {
        let bytes = file.bytes().expect("contiguous");
        bencher.iter(|| ArrayView2::<f32>::view_npy(black_box(&bytes)).map(|view| view.len()));
    });
}

/// Every file is new. `ndbridge_save` waits for the disk, since it promises the old file or the
/// new one also after a crash; the others hand the bytes to the system and promise nothing.
fn save(criterion: &mut Criterion) {
    let folder = folder();
    let path = &folder.path().join("new.npy");
    let remove = || fs::remove_file(path).unwrap_or_default();
    for size in SIZES {
        let array = LazyCell::new(|| matrix(size.bytes, 1));
        let tensor = LazyCell::new(|| tensor(array.clone()));
        let mut group = group(criterion, "npy/save", size, size.bytes);
        group.sample_size(10);
        group.bench_function("ndbridge_save", |bencher| {
            let save = |()| npy::save(path, &tensor).expect("room on the disk");
            bencher.iter_batched(remove, save, BatchSize::PerIteration);
        });
        group.bench_function("ndbridge_write", |bencher| {
            let write = |()| {
                npy::write(File::create(path).expect("a new file"), &tensor).expect("room");
            };
            bencher.iter_batched(remove, write, BatchSize::PerIteration);
        });
        group.bench_function("ndarray_npy_write", |bencher| {
            let write = |()| ndarray_npy::write_npy(path, &*array).expect("room on the disk");
            bencher.iter_batched(remove, write, BatchSize::PerIteration);
        });
    }
}

/// Archives of 100 members, all of them used.
fn archive(criterion: &mut Criterion) {
    const MEMBERS: usize = 100;
    let folder = folder();
    for size in &SIZES[..2] {
        let path = &folder.path().join(format!("{}.npz", size.bytes));
        let new = &folder.path().join("new.npz");
        let array = LazyCell::new(|| matrix(size.bytes, 1));
        let tensor = LazyCell::new(|| tensor(array.clone()));
        let named = || (0..MEMBERS).map(|member| (format!("arr_{member}"), &*tensor));
        let saved = LazyCell::new(|| npz::save(path, named()).expect("room on the disk"));
        let mut group = group(criterion, "npz/100_members", *size, MEMBERS * size.bytes);
        group.sample_size(10);
        group.bench_function("ndbridge_map", |bencher| {
            LazyCell::force(&saved);
            bencher.iter(|| npz::map(path).expect("saved").all().expect("stored"));
        });
        group.bench_function("ndbridge_load", |bencher| {
            LazyCell::force(&saved);
            bencher.iter(|| npz::load(path).expect("just saved"));
        });
        group.bench_function("ndbridge_load_one_by_one", |bencher| {
            LazyCell::force(&saved);
            bencher.iter(|| {
                let mut archive = npz::Npz::open(path).expect("just saved");
                archive.load_all().expect("just saved")
            });
        });
        group.bench_function("ndarray_npy_read", |bencher| {
            LazyCell::force(&saved);
            bencher.iter(|| {
                let mut archive = NpzReader::new(File::open(path).expect("saved")).expect("a zip");
                let by_index = |index| archive.by_index::<_, ndarray::Ix2>(index);
                let arrays: Result<Vec<Array2<f32>>, _> = (0..MEMBERS).map(by_index).collect();
                arrays.expect("just saved")
            });
        });
        group.bench_function("std_fs_read", |bencher| {
            LazyCell::force(&saved);
            bencher.iter(|| fs::read(path).expect("just saved"));
        });
        let remove = || fs::remove_file(new).unwrap_or_default();
        group.bench_function("ndbridge_write", |bencher| {
            let write = |()| npz::write(BufWriter::new(File::create(new).expect("new")), named());
            bencher.iter_batched(remove, write, BatchSize::PerIteration);
        });
        group.bench_function("ndarray_npy_write", |bencher| {
            let write = |()| {
                let file = BufWriter::new(File::create(new).expect("a new file"));
                let mut archive = NpzWriter::new(file);
                for member in 0..MEMBERS {
                    archive.add_array(format!("arr_{member}"), &*array).expect("room");
                }
                archive.finish().expect("room on the disk")
            };
            bencher.iter_batched(remove, write, BatchSize::PerIteration);
        });
    }
}
