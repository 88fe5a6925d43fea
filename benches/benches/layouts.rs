//! Changes of layout into memory that exists: groups `transpose`, `channels` and `permute`. `memcpy`
//! moves as many bytes. candle, which has no such call, makes new memory.

use std::cell::LazyCell;
use std::hint::black_box;

use criterion::Criterion;
use ndarray::{ArrayD, IxDyn};
use ndbridge::dtype::Complex;
use ndbridge::{CopyOrder, Element, Tensor};
use ndbridge_benches::{GAP_BYTES, Size, group};
use strided_perm::copy_into;
use strided_view::{StridedView, StridedViewMut};
use threadteam::Exec;

fn main() {
    ndbridge_benches::run(&[transpose, channels, permute]);
}

fn transpose(criterion: &mut Criterion) {
    for (name, shape) in [
        ("4096x4096", [4096, 4096]),
        ("4000x4000", [4000, 4000]),
        ("512x512", [512, 512]),
        ("100000x3", [100_000, 3]),
    ] {
        permuted::<u8>(criterion, "transpose/u8", name, &shape, &[1, 0]);
        permuted::<u16>(criterion, "transpose/u16", name, &shape, &[1, 0]);
        permuted::<f32>(criterion, "transpose/f32", name, &shape, &[1, 0]);
        permuted::<f64>(criterion, "transpose/f64", name, &shape, &[1, 0]);
        permuted::<Complex<f64>>(criterion, "transpose/c128", name, &shape, &[1, 0]);
    }
}

/// Photographs of 224 x 224.
fn channels(criterion: &mut Criterion) {
    for (name, channels) in [("3", 3), ("4", 4)] {
        let (interleaved, planes) = ([32, 224, 224, channels], [32, channels, 224, 224]);
        let (split, merge) = ([0, 3, 1, 2], [0, 2, 3, 1]);
        permuted::<u8>(criterion, "channels/split_u8", name, &interleaved, &split);
        permuted::<u8>(criterion, "channels/merge_u8", name, &planes, &merge);
        permuted::<f32>(criterion, "channels/split_f32", name, &interleaved, &split);
        permuted::<f32>(criterion, "channels/merge_f32", name, &planes, &merge);
    }
}

fn permute(criterion: &mut Criterion) {
    for (name, shape, order) in [
        ("21304", [38, 39, 25, 25, 17], [2, 1, 3, 0, 4]),
        ("42013", [20, 39, 32, 9, 30], [4, 2, 0, 1, 3]),
        ("02143", [34, 19, 18, 28, 26], [0, 2, 1, 4, 3]),
        ("43021", [24, 15, 24, 30, 31], [4, 3, 0, 2, 1]),
    ] {
        permuted::<f32>(criterion, "permute/f32", name, &shape, &order);
    }
}

/// Axes of an array of `shape` in another order, written in C order.
fn permuted<T: Element + Sync>(
    criterion: &mut Criterion,
    case: &str,
    name: &'static str,
    shape: &[usize],
    order: &[usize],
) {
    let bytes = shape.iter().product::<usize>() * size_of::<T>();
    let mut group = group(criterion, case, Size { name, bytes }, bytes);
    // Made once, outside of what is timed for every sample: the first touch of memory costs more than
    // a copy. Zeros by themselves would all be one page; those of a clone were written.
    let array = ArrayD::from_elem(IxDyn(shape), T::default()).clone();
    let view = array.view().permuted_axes(order);
    let source = LazyCell::new(|| {
        let axes: Vec<isize> = order.iter().map(|&axis| axis as isize).collect();
        let tensor = Tensor::copy_of(&array).expect("few axes");
        (tensor.permute(&axes).expect("all axes"), tensor.copy(CopyOrder::C).expect("room"))
    });
    group.bench_function("ndbridge_assign", |bencher| {
        let (source, destination) = &*source;
        let destination = destination.reshape(&to_isize(view.shape())).expect("as many elements");
        bencher.iter(|| destination.assign(black_box(source)).expect("writable"));
    });
    let mut destination = LazyCell::new(|| view.as_standard_layout().into_owned());
    group.bench_function("ndarray_assign", |bencher| {
        bencher.iter(|| destination.assign(black_box(&view)));
    });
    group.bench_function("strided_perm_assign", |bencher| {
        let strides = |array: &ArrayD<T>| array.strides().to_vec();
        let source = array.as_slice().expect("contiguous");
        let source = StridedView::<T>::new(source, shape, &strides(&array), 0);
        let source = source.and_then(|view| view.permute(order)).expect("a view");
        let (shape, steps) = (view.shape(), strides(&destination));
        let memory = destination.as_slice_mut().expect("contiguous");
        let mut destination = StridedViewMut::new(memory, shape, &steps, 0).expect("a view");
        bencher.iter(|| {
            copy_into(&mut destination, black_box(&source), Exec::serial()).expect("same shape");
        });
    });
    #[cfg(feature = "candle")]
    if let Some(tensor) = ndbridge_benches::candle(T::DTYPE, shape) {
        let view = tensor.permute(order).expect("all axes");
        group.bench_function("candle_fresh", |bencher| {
            bencher.iter(|| black_box(&view).contiguous().expect("room"));
        });
    }
    let source = LazyCell::new(|| vec![1_u8; bytes + GAP_BYTES]);
    let mut destination = LazyCell::new(|| vec![2_u8; bytes]);
    group.bench_function("memcpy", |bencher| {
        bencher.iter(|| {
            black_box(&mut destination[..bytes]).copy_from_slice(black_box(&source[..bytes]));
        });
    });
}

fn to_isize(shape: &[usize]) -> Vec<isize> {
    shape.iter().map(|&len| len as isize).collect()
}
