//! Between the host and the device, by size: pageable, page-locked, into new memory.

use ndbridge::{Casting, DType, Tensor};

use crate::Outcome;
use crate::inputs::{check_same_bytes, random_bits, room};
use crate::options::Options;
use crate::report::Report;
use crate::timing::{Until, time};

/// Sizes from 4 KiB to twice what is copied on the device.
pub fn run(options: &Options, report: &mut Report) -> Outcome {
    report.group("between host and device");
    let sizes = [4 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20, 256 << 20, 1 << 30];
    for bytes in sizes.into_iter().filter(|&bytes| bytes <= 2 * options.bytes) {
        to_device(options.device, bytes, report)?;
        to_host(options.device, bytes, report)?;
    }
    Ok(())
}

fn to_device(device: usize, bytes: usize, report: &mut Report) -> Outcome {
    let pageable = random_bits(&[bytes], DType::U8)?;
    let pinned = pageable.pin_memory()?;
    for (name, source) in [("H2D pageable", &pageable), ("H2D pinned", &pinned)] {
        let there = room(device, &[bytes], DType::U8)?;
        let copy = || Ok(there.assign_non_blocking(source, Casting::SameKind)?);
        copy()?;
        check_same_bytes(name, &there, &pageable)?;
        report.rate(name, bytes, time(device, Until::Done, copy)?)?;
    }
    let fresh = || Ok(pageable.cuda(device)?);
    check_same_bytes("H2D pageable, new memory", &fresh()?, &pageable)?;
    report.rate("H2D pageable, new memory", bytes, time(device, Until::Done, fresh)?)
}

fn to_host(device: usize, bytes: usize, report: &mut Report) -> Outcome {
    let expected = random_bits(&[bytes], DType::U8)?;
    let there = expected.cuda(device)?;
    let pageable = Tensor::zeros(&[bytes], DType::U8)?;
    let pinned = pageable.pin_memory()?;
    for (name, target) in [("D2H pageable", &pageable), ("D2H pinned", &pinned)] {
        let copy = || Ok(target.assign_non_blocking(&there, Casting::SameKind)?);
        copy()?;
        check_same_bytes(name, target, &expected)?;
        report.rate(name, bytes, time(device, Until::Done, copy)?)?;
    }
    let fresh = || Ok(there.cpu()?);
    check_same_bytes("D2H pageable, new memory", &fresh()?, &expected)?;
    report.rate("D2H pageable, new memory", bytes, time(device, Until::Done, fresh)?)
}
