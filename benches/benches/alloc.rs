//! Results in memory of their own: a copy of a vector of `f32`, beside `memcpy` into memory in use.
//!
//! ```text
//! first      into memory that the process did not have before
//! repeated   each result is dropped before the next one is made
//! ```

use std::cell::LazyCell;
use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use ndarray::Array1;
use ndbridge::storage::{Storage, empty_cache, set_cache_limit};
use ndbridge::{CopyOrder, DType, Tensor};
use ndbridge_benches::{GAP_BYTES, SIZES, Size, group};

fn main() {
    ndbridge_benches::run(&[results, blocks]);
}

const LARGE: Size = Size { name: "256MB", bytes: 256 << 20 };

fn results(criterion: &mut Criterion) {
    for size in SIZES.into_iter().chain([LARGE]) {
        let mut group = group(criterion, "alloc/result", size, size.bytes);
        group.sample_size(10);
        let source = LazyCell::new(|| Array1::from_elem(size.bytes / 4, 1.0_f32));
        let tensor = LazyCell::new(|| Tensor::from_array(source.clone()).expect("one axis"));
        let mut destination = LazyCell::new(|| vec![0_f32; (size.bytes + GAP_BYTES) / 4]);
        group.bench_function("memcpy", |bencher| {
            let source = source.as_slice().expect("contiguous");
            let destination = &mut destination[GAP_BYTES / 4..];
            bencher.iter(|| black_box(&mut *destination).copy_from_slice(black_box(source)));
        });
        group.bench_function("ndbridge_first", |bencher| {
            let copy = |()| tensor.copy(CopyOrder::C).expect("readable");
            bencher.iter_batched(empty_cache, copy, BatchSize::PerIteration);
        });
        group.bench_function("ndbridge_repeated", |bencher| {
            bencher.iter(|| drop(black_box(tensor.copy(CopyOrder::C).expect("readable"))));
        });
        group.bench_function("vec_repeated", |bencher| {
            let source = source.as_slice().expect("contiguous");
            bencher.iter(|| drop(black_box(black_box(source).to_vec())));
        });
        group.bench_function("ndarray_repeated", |bencher| {
            bencher.iter(|| drop(black_box(black_box(&*source).to_owned())));
        });
        group.bench_function("ndbridge_zeros", |bencher| {
            let zeros = || Tensor::zeros(&[size.bytes / 4], DType::F32).expect("memory");
            bencher.iter(|| drop(black_box(zeros())));
        });
        empty_cache();
    }
}

/// Taking a block and giving it back, no byte of it touched: from the cache, and from the allocator.
fn blocks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("alloc/block");
    for (name, bytes) in [("16B", 16), ("4KB", 4 << 10), ("64KB", 64 << 10), ("1MB", 1 << 20)] {
        group.bench_function(format!("{name}/kept"), |bencher| {
            bencher.iter(|| drop(black_box(Storage::uninit(black_box(bytes)))));
        });
        group.bench_function(format!("{name}/allocator"), |bencher| {
            set_cache_limit(0);
            bencher.iter(|| drop(black_box(Storage::uninit(black_box(bytes)))));
            set_cache_limit(512 << 20);
        });
        group.bench_function(format!("{name}/vec"), |bencher| {
            bencher.iter(|| drop(black_box(Vec::<u8>::with_capacity(black_box(bytes)))));
        });
        // As a tensor is: with its handle.
        group.bench_function(format!("{name}/storage"), |bencher| {
            bencher.iter(|| drop(black_box(Storage::zeroed(black_box(bytes)))));
        });
    }
}
