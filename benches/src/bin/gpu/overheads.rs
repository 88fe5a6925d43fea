//! What does not depend on the elements: opening, loading, allocating, launching.

use std::time::Instant;

use ndbridge::{CopyOrder, DType, Device, Scalar, Storage, cuda};

use crate::Outcome;
use crate::inputs::{random_bits, room};
use crate::report::Report;
use crate::timing::{Until, time};

/// What is slow the first time. To be called before anything else.
pub fn once(device: usize, report: &mut Report) -> Outcome {
    report.group("once in a process");
    let start = Instant::now();
    let count = cuda::device_count()?;
    if device >= count {
        return Err(format!("no device cuda:{device}: this machine has {count}").into());
    }
    report.once("find the driver", start.elapsed().as_secs_f64())?;
    let start = Instant::now();
    cuda::synchronize(device)?;
    report.once("open the device", start.elapsed().as_secs_f64())?;
    let source = random_bits(&[64, 64], DType::F32)?.cuda(device)?.transpose()?;
    let target = room(device, &[64, 64], DType::F32)?;
    cuda::synchronize(device)?;
    for name in ["first launch of a kernel", "second launch of a kernel"] {
        let start = Instant::now();
        target.assign(&source)?;
        cuda::synchronize(device)?;
        report.once(name, start.elapsed().as_secs_f64())?;
    }
    Ok(())
}

/// What every call pays.
pub fn repeated(device: usize, report: &mut Report) -> Outcome {
    report.group("allocate and free");
    let sizes = [(512, "512 B"), (1 << 20, "1 MiB"), (1 << 30, "1 GiB")];
    let largest = cuda::memory_stats(device)?.free_bytes / 2;
    for (bytes, name) in sizes.into_iter().filter(|&(bytes, _)| bytes <= largest) {
        let allocate = || Ok(Storage::on_device(Device::Cuda(device), bytes)?);
        report.time(name, time(device, Until::Returned, allocate)?)?;
        let synchronised = format!("{name}, synchronised each time");
        report.time(&synchronised, time(device, Until::EachDone, allocate)?)?;
    }
    report.group("launches");
    let source = random_bits(&[32, 16], DType::F32)?.cuda(device)?;
    let (view, target) = (source.transpose()?, room(device, &[16, 32], DType::F32)?);
    let block = room(device, &[32, 16], DType::F32)?;
    for (until, when) in [(Until::Returned, "enqueued"), (Until::EachDone, "done")] {
        let mut call = |name: &str, call: &dyn Fn() -> Outcome| {
            report.time(&format!("{name}, {when}"), time(device, until, call)?)
        };
        call("copy of 2 KiB", &|| Ok(block.assign(&source)?))?;
        call("transposition of 2 KiB", &|| Ok(target.assign(&view)?))?;
        call("fill of 2 KiB", &|| Ok(block.fill(Scalar::Int(1))?))?;
        let copied = time(device, until, || Ok(view.copy(CopyOrder::C)?))?;
        report.time(&format!("new copy of 2 KiB, {when}"), copied)?;
    }
    Ok(())
}
