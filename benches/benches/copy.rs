//! Copies of a square of `f32`, into fresh memory (allocated and freed inside the timed part) and
//! into memory that exists.
//!
//! ```text
//! contiguous   all of it, as it lies
//! transposed   rows become columns, written in C order
//! strided      every second column of a matrix twice as wide
//! reversed     each row backwards
//! broadcast    its first row, in every row
//! ```

use std::cell::LazyCell;
use std::hint::black_box;

use criterion::Criterion;
use ndarray::{Array2, ArrayView2, Ix2, ShapeBuilder, s};
use ndbridge::{CopyOrder, Tensor};
use ndbridge_benches::{GAP_BYTES, SIZES, Size, group, matrix, tensor};

fn main() {
    ndbridge_benches::run(&[memcpy, copy]);
}

/// A layout of `matrix(_, columns_per_row)`, as both libraries make it.
struct Case {
    name: &'static str,
    columns_per_row: usize,
    ndarray: for<'a> fn(&'a Array2<f32>) -> ArrayView2<'a, f32>,
    ndbridge: fn(&Tensor) -> Tensor,
}

const CASES: [Case; 5] = [
    Case {
        name: "copy/contiguous",
        columns_per_row: 1,
        ndarray: |array| array.view(),
        ndbridge: Tensor::clone,
    },
    Case {
        name: "copy/transposed",
        columns_per_row: 1,
        ndarray: |array| array.t(),
        ndbridge: |tensor| tensor.transpose().expect("a view"),
    },
    Case {
        name: "copy/strided",
        columns_per_row: 2,
        ndarray: |array| array.slice(s![.., ..;2]),
        ndbridge: |tensor| tensor.slice(s![.., ..;2]).expect("a view"),
    },
    Case {
        name: "copy/reversed",
        columns_per_row: 1,
        ndarray: |array| array.slice(s![.., ..;-1]),
        ndbridge: |tensor| tensor.slice(s![.., ..;-1]).expect("a view"),
    },
    Case {
        name: "copy/broadcast",
        columns_per_row: 1,
        ndarray: |array| {
            let layout = array.raw_dim().strides(Ix2(0, 1));
            let row = array.as_slice().expect("contiguous");
            ArrayView2::from_shape(layout, row).expect("a view")
        },
        ndbridge: |tensor| {
            let row = tensor.slice(s![..1, ..]).expect("a view");
            row.broadcast_to(tensor.shape()).expect("a view")
        },
    },
];

fn memcpy(criterion: &mut Criterion) {
    for size in SIZES {
        let mut group = group(criterion, "copy/bytes", size, size.bytes);
        let source = LazyCell::new(|| vec![1_u8; size.bytes + GAP_BYTES]);
        group.bench_function("memcpy_fresh", |bencher| {
            bencher.iter(|| black_box(&source[..size.bytes]).to_vec());
        });
        let mut destination = LazyCell::new(|| vec![0_u8; size.bytes]);
        group.bench_function("memcpy", |bencher| {
            let source = &source[..size.bytes];
            bencher.iter(|| black_box(&mut **destination).copy_from_slice(black_box(source)));
        });
    }
}

fn copy(criterion: &mut Criterion) {
    for case in CASES {
        SIZES.iter().for_each(|&size| copy_of_size(criterion, &case, size));
    }
}

fn copy_of_size(criterion: &mut Criterion, case: &Case, size: Size) {
    let mut group = group(criterion, case.name, size, size.bytes);
    let array = LazyCell::new(|| matrix(size.bytes, case.columns_per_row));
    let whole = LazyCell::new(|| tensor(array.clone()));
    group.bench_function("ndbridge_fresh", |bencher| {
        let view = (case.ndbridge)(&whole);
        bencher.iter(|| black_box(&view).copy(CopyOrder::C).expect("readable"));
    });
    group.bench_function("ndarray_fresh", |bencher| {
        let view = (case.ndarray)(&array);
        bencher.iter(|| black_box(&view).as_standard_layout().into_owned());
    });
    let destination = LazyCell::new(|| tensor(matrix(size.bytes, 1)));
    group.bench_function("ndbridge_assign", |bencher| {
        let view = (case.ndbridge)(&whole);
        bencher.iter(|| destination.assign(black_box(&view)).expect("writable"));
    });
    let mut destination = LazyCell::new(|| matrix(size.bytes, 1));
    group.bench_function("ndarray_assign", |bencher| {
        let view = (case.ndarray)(&array);
        bencher.iter(|| destination.assign(black_box(&view)));
    });
}
