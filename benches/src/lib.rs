//! What the benchmarks share: how long criterion measures, sizes, and views of both libraries.
//!
//! Ids read `group/case/size/contender`. The contenders are `ndbridge_*`, peers such as `ndarray_*`, and
//! `memcpy`: the same bytes moved by `copy_from_slice`, which nothing is expected to beat.

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};
use ndarray::Array2;
use ndbridge::Tensor;

/// Runs the targets as `criterion_main!` would, with times that keep all of `cargo bench` short.
pub fn run(targets: &[fn(&mut Criterion)]) {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
        .nresamples(2_000)
        .without_plots()
        .configure_from_args();
    targets.iter().for_each(|target| target(&mut criterion));
    criterion.final_summary();
}

/// A size of source data, by name.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// As it stands in the ids.
    pub name: &'static str,
    /// In bytes.
    pub bytes: usize,
}

/// In the first-level cache, in the second, in memory.
pub const SIZES: [Size; 3] = [
    Size { name: "4KB", bytes: 4 << 10 },
    Size { name: "1MB", bytes: 1 << 20 },
    Size { name: "64MB", bytes: 64 << 20 },
];

/// Room between two blocks on the heap, so that they differ within their pages: where source and
/// destination are nearly equal modulo 4096, as neighbours are, some processors copy 4 KB thirty times
/// slower.
pub const GAP_BYTES: usize = 1280;

/// A group for sources of `size`, `bytes` of which are counted as throughput.
pub fn group<'c>(
    criterion: &'c mut Criterion,
    case: &str,
    size: Size,
    bytes: usize,
) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(format!("{case}/{}", size.name));
    group.throughput(Throughput::Bytes(bytes as u64));
    if size.bytes > 8 << 20 {
        // One iteration of these takes a hundred milliseconds: ten of them are all there is time for.
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
    }
    group
}

/// A square of `f32` with `columns_per_row` columns for each row, `bytes` large per such column.
#[must_use]
pub fn matrix(bytes: usize, columns_per_row: usize) -> Array2<f32> {
    let side = (bytes / size_of::<f32>()).isqrt();
    Array2::from_shape_fn((side, side * columns_per_row), |(row, column)| (row ^ column) as f32)
}

/// The array's memory as a tensor.
///
/// # Panics
/// If the array has more than 64 axes.
pub fn tensor<D: ndarray::Dimension>(array: ndarray::Array<f32, D>) -> Tensor {
    Tensor::from_array(array).expect("few axes")
}

/// Elements of candle, all of the same bits; `None` if it has no such data type.
///
/// # Panics
/// If the memory is not there.
#[cfg(feature = "candle")]
#[must_use]
pub fn candle(dtype: ndbridge::DType, shape: &[usize]) -> Option<candle_core::Tensor> {
    use candle_core::{DType, Device, Tensor};
    let candle_dtype = match dtype {
        ndbridge::DType::U8 => DType::U8,
        ndbridge::DType::I32 => DType::I32,
        ndbridge::DType::I64 => DType::I64,
        ndbridge::DType::F16 => DType::F16,
        ndbridge::DType::BF16 => DType::BF16,
        ndbridge::DType::F32 => DType::F32,
        ndbridge::DType::F64 => DType::F64,
        _ => return None,
    };
    let bytes = vec![1; shape.iter().product::<usize>() * dtype.item_bytes()];
    let tensor = Tensor::from_raw_buffer(&bytes, candle_dtype, shape, &Device::Cpu);
    Some(tensor.expect("room for a tensor"))
}
