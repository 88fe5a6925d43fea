//! DEV-4: every call of the driver fails once, each time in a process of its own: an error, no
//! memory lost, no abort, and the same work succeeds afterwards.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its parts too")]

use std::process::Command;

use ndbridge_cuda::{self as cuda, Stream, current_stream, with_stream};
use ndbridge_cuda_emulator::{Session, call_names, calls, clear_faults, fail, live};
use ndbridge_tensor::dtype::Casting;
use ndbridge_tensor::storage::BorrowKind;
use ndbridge_tensor::{CopyOrder, DType, Device, Scalar, Tensor, TensorError};

/// Names the fault of a child process, as `function:nth:code`; empty for none.
const FAULT: &str = "NDBRIDGE_TEST_FAULT";

/// What the driver answers then; with codes other than the first, only the first calls fail.
const CODES: [i32; 3] = [999, 2, 46];
const FEW: u64 = 4;

/// Functions whose failure need not reach the caller, and why.
const ABSORBED: [(&str, &str); 12] = [
    ("cuThreadExchangeStreamCaptureMode", "only spares captures of others"),
    ("cuCtxPopCurrent_v2", "is tried once more"),
    ("cuDevicePrimaryCtxGetState", "keeps page-locked memory late"),
    ("cuGetErrorString", "only words"),
    ("cuStreamDestroy_v2", "at the end of a stream"),
    ("cuMemFree_v2", "keeps the memory, to be freed with a later allocation"),
    ("cuMemFreeAsync", "falls back to freeing after everything has run"),
    ("cuMemFreeHost", "keeps the memory for later"),
    ("cuMemAllocFromPoolAsync", "out of memory: tried once more"),
    ("cuMemHostAlloc", "out of memory: tried once more"),
    ("cuMemPoolTrimTo", "on the way to freeing what was kept"),
    ("cuEventQuery", "asks whether memory can be let go of now, or later"),
];

/// Functions that are called at the end of memory too, where nobody waits for an error: there, the
/// memory is freed by another way. Elsewhere their failure is an error.
const ALSO_AT_THE_END: [&str; 7] = [
    "cuCtxGetCurrent",
    "cuCtxPushCurrent_v2",
    "cuCtxSynchronize",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuStreamIsCapturing",
    "cuStreamWaitEvent",
];

/// A bit of everything.
fn work() -> Result<Vec<i32>, TensorError> {
    let host = Tensor::from_vec((0..600_i32).collect()).reshape(&[20, 30])?;
    let there = host.cuda(0)?;
    let packed = there.transpose()?.copy(CopyOrder::C)?;
    let stream = Stream::new(0)?;
    let cast = with_stream(&stream, || there.index(&[(2..10).into()])?.to_dtype(DType::F64))?;
    let pinned = host.pin_memory()?;
    let late = pinned.to_device_non_blocking(Device::Cuda(0))?;
    late.assign(&packed.transpose()?)?;
    late.select(0, 0)?.fill(Scalar::Int(7))?;
    late.assign_non_blocking(&pinned, Casting::SameKind)?;
    with_stream(&stream, || late.index(&[(5..15).into()])?.fill(Scalar::Int(1)))?;
    let beside = late.cuda(1)?;
    let (raw, legacy) = (current_stream(0)?, Stream::legacy(0)?);
    cuda::hand_over(there.storage(), Some(&legacy), BorrowKind::Read)?;
    cuda::hand_over(packed.storage(), None, BorrowKind::Write)?;
    packed.storage().note_ready()?;
    cuda::check_pointer(Device::Cuda(0), there.as_ptr().addr(), 2400)?;
    raw.wait_for(&stream)?;
    let _done = raw.is_done()?;
    let back = beside.to_device_non_blocking(Device::Cpu)?;
    let _ready = (back.is_ready()?, late.is_ready()?);
    std::thread::spawn(move || drop((cast, packed, pinned))).join().unwrap();
    stream.synchronize()?;
    let text = there.to_string();
    if text.contains('<') {
        // A text cannot fail, so it tells.
        return Err(TensorError::WrongLen { len: 0, shape: Vec::new() });
    }
    cuda::memory_stats(0)?;
    cuda::device_name(0)?;
    let values = back.to_vec::<i32>()?;
    drop((there, late, beside, back, stream));
    cuda::synchronize(1)?;
    cuda::empty_cache(0)?;
    Ok(values)
}

#[test]
fn child() {
    let Ok(fault) = std::env::var(FAULT) else { return };
    let session = Session::start();
    let mut parts = fault.split(':');
    let name = parts.next().unwrap();
    if !name.is_empty() {
        let nth: u64 = parts.next().unwrap().parse().unwrap();
        fail(name, nth, parts.next().unwrap().parse().unwrap());
    }
    let first = work();
    clear_faults();
    match &first {
        Ok(_) => println!("outcome ok"),
        Err(error) => println!("outcome {error}"),
    }
    for name in call_names() {
        println!("calls {name} {}", calls(name));
    }
    let expected: Vec<i32> =
        (0..600).map(|at| if (150..450).contains(&at) { 1 } else { at }).collect();
    if let Ok(values) = first {
        assert_eq!(values, expected);
    }
    // What is left of the first attempt is used, or freed, by a second one.
    assert_eq!(work().unwrap(), expected);
    for ordinal in [0, 1] {
        drop(Tensor::from_vec(vec![0_u8]).cuda(ordinal).unwrap());
        cuda::empty_cache(ordinal).unwrap();
    }
    assert_eq!(live(), 0, "live allocations after {fault:?}");
    drop(session);
}

/// Runs the work in a process of its own; its output.
fn run(fault: &str) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["child", "--exact", "--nocapture", "--test-threads=1"]).env(FAULT, fault);
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{fault:?}: {}\n{text}\n{errors}", output.status);
    text
}

fn outcome(text: &str) -> &str {
    text.lines().find_map(|line| line.split_once("outcome ")).unwrap().1
}

#[test]
fn dev_4_every_call_that_fails_is_an_error_and_loses_nothing() {
    if std::env::var_os(FAULT).is_some() {
        return; // a process for one fault
    }
    if std::env::var_os("NDBRIDGE_GPU").is_some() {
        drop(Session::start()); // there must be a driver, but its calls cannot be made to fail
        return;
    }
    let clean = run("");
    assert_eq!(outcome(&clean), "ok", "{clean}");
    let (mut absorbed, mut told) = (Vec::new(), Vec::new());
    let counts = clean.lines().filter_map(|line| line.strip_prefix("calls "));
    for (name, count) in counts.filter_map(|line| line.split_once(' ')) {
        let count: u64 = count.parse().unwrap();
        for code in CODES {
            let count = if code == CODES[0] { count } else { count.min(FEW) };
            for nth in 0..count {
                let text = run(&format!("{name}:{nth}:{code}"));
                match outcome(&text) {
                    "ok" => absorbed.push((name, nth, code)),
                    _ => told.push(name),
                }
            }
        }
    }
    let may_be_absorbed = |name: &str| {
        let is_known = ABSORBED.iter().any(|(known, _)| *known == name);
        is_known || ALSO_AT_THE_END.contains(&name) && told.contains(&name)
    };
    let unexpected: Vec<_> = absorbed.iter().filter(|(name, ..)| !may_be_absorbed(name)).collect();
    assert!(unexpected.is_empty(), "no error of {unexpected:?}");
}
