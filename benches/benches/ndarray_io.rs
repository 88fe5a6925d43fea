//! ndarray in and out: what shares must not depend on the size, what copies goes beside `clone`.

use std::cell::LazyCell;
use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use ndarray::Array1;
use ndbridge::Tensor;
use ndbridge_benches::{SIZES, group, matrix, tensor};

fn main() {
    ndbridge_benches::run(&[shared, copied]);
}

fn shared(criterion: &mut Criterion) {
    for size in SIZES {
        let mut group = group(criterion, "ndarray_io/shared", size, size.bytes);
        // Zeros come from the system untouched: even the largest are made and freed at once.
        let zeros = || Array1::<f32>::zeros(size.bytes / size_of::<f32>());
        let batch = BatchSize::NumIterations(100);
        group.bench_function("ndbridge_from_array", |bencher| {
            bencher.iter_batched(zeros, Tensor::from_array, batch);
        });
        let arc = zeros().into_shared();
        group.bench_function("ndbridge_from_arc_array", |bencher| {
            bencher.iter_batched(|| arc.clone(), Tensor::from_arc_array, batch);
        });
        group.bench_function("ndbridge_into_array", |bencher| {
            let fresh = || tensor(zeros());
            bencher.iter_batched(fresh, |tensor| tensor.into_array::<f32>(), batch);
        });
    }
}

fn copied(criterion: &mut Criterion) {
    for size in SIZES {
        let mut group = group(criterion, "ndarray_io/copied", size, size.bytes);
        let array = LazyCell::new(|| matrix(size.bytes, 1));
        let tensor = LazyCell::new(|| tensor(array.clone()));
        group.bench_function("ndbridge_to_array", |bencher| {
            bencher.iter(|| black_box(&*tensor).to_array::<f32>().expect("readable"));
        });
        group.bench_function("ndbridge_of_array", |bencher| {
            bencher.iter(|| Tensor::copy_of(black_box(&*array)).expect("two axes"));
        });
        group
            .bench_function("ndarray_clone", |bencher| bencher.iter(|| black_box(&*array).clone()));
    }
}
