//! What a view costs. No element is touched: the size of the memory does not matter.

use std::hint::black_box;

use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use ndarray::{ArcArray, Array3, s};
use ndbridge::{Tensor, TensorError};

fn main() {
    ndbridge_benches::run(&[ndbridge_views, ndarray_views]);
}

fn image() -> Array3<f32> {
    Array3::zeros((480, 640, 3))
}

fn ndbridge_views(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("views/ndbridge");
    let tensor = &Tensor::from_array(image()).expect("three axes");
    let part = s![10..470, ..;-2, 0];
    view(&mut group, "slice", || black_box(tensor).slice(part));
    view(&mut group, "permute", || black_box(tensor).permute(&[2, 0, 1]));
    view(&mut group, "transpose", || black_box(tensor).transpose());
    view(&mut group, "reshape", || black_box(tensor).reshape(&[-1, 3]));
    view(&mut group, "clone", || Ok(black_box(tensor).clone()));
    let (storage, layout) = (tensor.storage(), tensor.layout());
    view(&mut group, "from_parts", || {
        Tensor::from_parts(black_box(storage).clone(), tensor.dtype(), black_box(layout).clone())
    });
}

fn view(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    make: impl Fn() -> Result<Tensor, TensorError>,
) {
    group.bench_function(name, |bencher| bencher.iter(|| make().expect("a view")));
}

/// `ArcArray` is ndarray's own handle that shares; its views count no references.
fn ndarray_views(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("views/ndarray");
    let array: &ArcArray<f32, _> = &image().into_shared();
    group.bench_function("slice", |bencher| {
        bencher.iter(|| black_box(array).clone().slice_move(s![10..470, ..;-2, 0]));
    });
    group.bench_function("permute", |bencher| {
        bencher.iter(|| black_box(array).clone().permuted_axes([2, 0, 1]));
    });
    group.bench_function("transpose", |bencher| {
        bencher.iter(|| black_box(array).clone().reversed_axes());
    });
    group.bench_function("reshape", |bencher| {
        bencher.iter(|| {
            black_box(array).clone().into_shape_with_order((480 * 640, 3)).expect("contiguous")
        });
    });
    group.bench_function("clone", |bencher| bencher.iter(|| black_box(array).clone()));
    group.bench_function("slice_of_reference", |bencher| {
        bencher.iter(|| black_box(array).slice(s![10..470, ..;-2, 0]).len());
    });
}
