//! Copies, fills, transpositions, permutations and casts on the device, beside a plain copy.

use ndarray::s;
use ndbridge::{Casting, DType, Scalar, Tensor};

use crate::Outcome;
use crate::inputs::{check_same_bytes, random_bits, random_values, room};
use crate::options::Options;
use crate::report::Report;
use crate::timing::{Until, time};

/// One data type of each size that elements have.
const WIDTHS: [DType; 5] = [DType::U8, DType::I16, DType::F32, DType::F64, DType::C128];

/// With the last axis kept, and with every axis moved.
const PERMUTATIONS: [[isize; 5]; 2] = [[3, 1, 0, 2, 4], [4, 2, 0, 3, 1]];

const CASTS: [(DType, DType); 12] = [
    (DType::F32, DType::BF16),
    (DType::BF16, DType::F32),
    (DType::F32, DType::F16),
    (DType::F16, DType::F32),
    (DType::F32, DType::F64),
    (DType::F64, DType::F32),
    (DType::I64, DType::F32),
    (DType::F32, DType::I64),
    (DType::U8, DType::F32),
    (DType::F32, DType::U8),
    (DType::U8, DType::BF16),
    (DType::BF16, DType::F8E4M3),
];

/// All of it.
pub fn run(options: &Options, report: &mut Report) -> Outcome {
    blocks(options, report)?;
    report.group("transpositions of squares");
    for dtype in WIDTHS {
        // No power of two, whose steps would all meet one channel of the memory.
        let side = ((options.bytes / dtype.item_bytes()).isqrt() / 32 * 32).max(32);
        let source = random_bits(&[side, side], dtype)?;
        let name = format!("transposed, {} B elements", dtype.item_bytes());
        rearranged(options.device, &name, &source, Tensor::transpose, report)?;
    }
    report.group("every second column");
    for dtype in WIDTHS {
        let rows = (options.bytes / dtype.item_bytes() / 4096).max(1);
        let source = random_bits(&[rows, 4096], dtype)?;
        let name = format!("x[:, ::2], {} B elements", dtype.item_bytes());
        let view = |tensor: &Tensor| tensor.slice(s![.., ..;2]);
        rearranged(options.device, &name, &source, view, report)?;
    }
    report.group("permutations of five axes");
    for (dtype, axes) in WIDTHS.iter().flat_map(|&dtype| PERMUTATIONS.map(|axes| (dtype, axes))) {
        let first = (options.bytes / dtype.item_bytes() / (16 * 8 * 10 * 32)).max(1);
        let source = random_bits(&[first, 16, 8, 10, 32], dtype)?;
        let name = format!("permute{axes:?}, {} B elements", dtype.item_bytes());
        let view = |tensor: &Tensor| tensor.permute(&axes);
        rearranged(options.device, &name, &source, view, report)?;
    }
    report.group("casts");
    CASTS.into_iter().try_for_each(|(from, to)| cast(options, from, to, report))
}

/// A copy without gaps, which is the ceiling of everything below, and a fill.
fn blocks(options: &Options, report: &mut Report) -> Outcome {
    report.group("blocks on the device");
    let (device, bytes) = (options.device, options.bytes);
    let expected = random_bits(&[bytes], DType::U8)?;
    let (source, target) = (expected.cuda(device)?, room(device, &[bytes], DType::U8)?);
    let copy = || Ok(target.assign(&source)?);
    copy()?;
    check_same_bytes("copy", &target, &expected)?;
    let taken = time(device, Until::Done, copy)?;
    report.ceiling = 2.0 * bytes as f64 / taken.median;
    report.rate("copy", 2 * bytes, taken)?;
    for dtype in WIDTHS {
        let target = room(device, &[bytes / dtype.item_bytes()], dtype)?;
        let fill = || Ok(target.fill(Scalar::Int(7))?);
        fill()?;
        let name = format!("fill, {} B elements", dtype.item_bytes());
        let expected = Tensor::full(target.shape(), Scalar::Int(7), dtype)?;
        check_same_bytes(&name, &target, &expected)?;
        report.rate(&name, target.size_bytes(), time(device, Until::Done, fill)?)?;
    }
    Ok(())
}

/// The copy of a view of `host`, on the device, into memory without gaps.
fn rearranged(
    device: usize,
    name: &str,
    host: &Tensor,
    view: impl Fn(&Tensor) -> Result<Tensor, ndbridge::TensorError>,
    report: &mut Report,
) -> Outcome {
    let source = view(&host.cuda(device)?)?;
    let target = room(device, source.shape(), source.dtype())?;
    let copy = || Ok(target.assign(&source)?);
    copy()?;
    check_same_bytes(name, &target, &view(host)?)?;
    report.rate(name, 2 * target.size_bytes(), time(device, Until::Done, copy)?)
}

fn cast(options: &Options, from: DType, to: DType, report: &mut Report) -> Outcome {
    let len = options.bytes / 16;
    let host = random_values(len, from)?;
    let (source, target) = (host.cuda(options.device)?, room(options.device, &[len], to)?);
    let copy = || Ok(target.assign_with(&source, Casting::Unsafe)?);
    copy()?;
    let name = format!("{from} to {to}");
    check_same_bytes(&name, &target, &host.to_dtype(to)?)?;
    let bytes = len * (from.item_bytes() + to.item_bytes());
    report.rate(&name, bytes, time(options.device, Until::Done, copy)?)
}
