//! Measures one GPU through ndbridge: copies to and from the host, copies, fills, transpositions and
//! casts on the device, allocations, launches.
//!
//! ```text
//! gpu [--device N] [--bytes N] [--out FILE]
//!
//!   --device  the device's ordinal, 0 unless said
//!   --bytes   size of what is copied on the device, 512 MiB unless said; twice as much goes to the
//!             host and back
//!   --out     where to write the results as JSON, one object a line
//! ```
//!
//! Every figure is the median of 15 samples on the host's clock. A sample of work on the device is a
//! batch long enough for the clock, with one synchronisation at its end. Inputs are random, and every
//! output was compared with what the host makes of the same input before it was timed.

mod host_copies;
mod inputs;
mod on_device;
mod options;
mod overheads;
mod report;
mod timing;

use std::error::Error;
use std::process::ExitCode;

use ndbridge::cuda;
use options::Options;
use report::Report;

/// What any part of the benchmark may end with.
type Outcome<R = ()> = Result<R, Box<dyn Error>>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match Options::parse(&words).and_then(|options| measure(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Outcome {
    let mut report = Report::new(options.out.as_deref())?;
    // First, as it measures what happens once.
    overheads::once(options.device, &mut report)?;
    println!("{} (cuda:{})", cuda::device_name(options.device)?, options.device);
    host_copies::run(options, &mut report)?;
    on_device::run(options, &mut report)?;
    overheads::repeated(options.device, &mut report)?;
    report.finish()
}
