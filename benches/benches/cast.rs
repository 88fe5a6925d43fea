//! Casts, into fresh memory (allocated and freed inside the timed part) and into memory that
//! exists. `memcpy` moves half of the bytes that the cast reads and writes together, so it reads and
//! writes as many.

use std::cell::LazyCell;
use std::hint::black_box;

use criterion::Criterion;
use ndarray::Array1;
use ndbridge::dtype::{bf16, f16};
use ndbridge::{Casting, Element, Tensor};
use ndbridge_benches::{GAP_BYTES, SIZES, Size, group};

fn main() {
    ndbridge_benches::run(&[floats, integers]);
}

fn floats(criterion: &mut Criterion) {
    cast(criterion, "cast/f64_f32", |at| at as f64, |value| value as f32);
    cast(criterion, "cast/f32_f16", |at| at as f32, f16::from_f32);
    cast(criterion, "cast/f32_bf16", |at| at as f32, bf16::from_f32);
    cast(criterion, "cast/f32_u8", |at| (at % 256) as f32, |value| value as u8);
}

fn integers(criterion: &mut Criterion) {
    cast(criterion, "cast/u8_f32", |at| at as u8, f32::from);
    cast(criterion, "cast/i64_i32", |at| at as i64, |value| value as i32);
    cast(criterion, "cast/bool_f32", |at| at % 3 == 0, |value| f32::from(u8::from(value)));
}

/// `value` makes the source, `cast` is how ndarray is told to convert.
fn cast<S: Element, D: Element>(
    criterion: &mut Criterion,
    name: &str,
    value: fn(usize) -> S,
    cast: impl Fn(S) -> D,
) {
    SIZES.iter().for_each(|&size| cast_of_size(criterion, name, size, value, &cast));
}

fn cast_of_size<S: Element, D: Element>(
    criterion: &mut Criterion,
    name: &str,
    size: Size,
    value: fn(usize) -> S,
    cast: impl Fn(S) -> D,
) {
    let mut group = group(criterion, name, size, size.bytes);
    let len = size.bytes / size_of::<S>();
    let array = LazyCell::new(|| Array1::from_shape_fn(len, value));
    let tensor = LazyCell::new(|| Tensor::from_vec(array.to_vec()));
    group.bench_function("ndbridge_fresh", |bencher| {
        bencher.iter(|| black_box(&*tensor).to_dtype(D::DTYPE).expect("readable"));
    });
    group.bench_function("ndarray_fresh", |bencher| {
        bencher.iter(|| black_box(&*array).mapv(&cast));
    });
    #[cfg(feature = "candle")]
    {
        let candle = |dtype, len| ndbridge_benches::candle(dtype, &[len]);
        if let (Some(tensor), Some(like)) = (candle(S::DTYPE, len), candle(D::DTYPE, 1)) {
            group.bench_function("candle_fresh", |bencher| {
                bencher.iter(|| black_box(&tensor).to_dtype(like.dtype()).expect("room"));
            });
        }
    }
    group.bench_function("ndbridge_assign", |bencher| {
        let destination = Tensor::from_vec(vec![D::default(); len]);
        let assign =
            || destination.assign_with(black_box(&tensor), Casting::Unsafe).expect("writable");
        assign(); // The first touch of memory costs more than a copy.
        bencher.iter(assign);
    });
    group.bench_function("ndarray_assign", |bencher| {
        let mut destination = Array1::from_elem(len, D::default());
        let mut assign = || {
            destination.zip_mut_with(black_box(&array), |to, &from| *to = cast(from));
            black_box(&destination);
        };
        assign();
        bencher.iter(assign);
    });
    group.bench_function("memcpy", |bencher| {
        let bytes = len * (size_of::<S>() + size_of::<D>()) / 2;
        let source = vec![1_u8; bytes + GAP_BYTES];
        let mut destination = source.clone();
        bencher.iter(|| {
            black_box(&mut destination[..bytes]).copy_from_slice(black_box(&source[..bytes]));
        });
    });
}
