//! Medians of batches.

use std::time::Instant;

use ndbridge::cuda;

use crate::Outcome;

const SAMPLES: usize = 15;
const BATCH_SECONDS: f64 = 0.005;
const MOST_CALLS: usize = 1000;

/// Seconds of one call.
#[derive(Clone, Copy, Debug)]
pub struct Seconds {
    /// Of the median sample.
    pub median: f64,
    /// Of the fastest sample.
    pub fastest: f64,
}

/// When the clock stops.
#[derive(Clone, Copy, PartialEq)]
pub enum Until {
    /// The calls have returned; the device is waited for between the samples.
    Returned,
    /// The device has done all calls of a batch.
    Done,
    /// The device has done each call, which is waited for before the next one.
    EachDone,
}

/// Times `call`, and the drop of what it gives, on a device, after three calls that are not timed.
pub fn time<R>(
    device: usize,
    until: Until,
    mut call: impl FnMut() -> Outcome<R>,
) -> Outcome<Seconds> {
    for _ in 0..3 {
        call()?;
    }
    let mut batch = |calls: usize| {
        cuda::synchronize(device)?;
        let start = Instant::now();
        for _ in 0..calls {
            call()?;
            if until == Until::EachDone {
                cuda::synchronize(device)?;
            }
        }
        if until == Until::Done {
            cuda::synchronize(device)?;
        }
        Ok::<f64, Box<dyn std::error::Error>>(start.elapsed().as_secs_f64() / calls as f64)
    };
    let calls = (BATCH_SECONDS / batch(1)?).clamp(1.0, MOST_CALLS as f64) as usize;
    let mut samples = (0..SAMPLES).map(|_| batch(calls)).collect::<Outcome<Vec<f64>>>()?;
    samples.sort_by(f64::total_cmp);
    Ok(Seconds { median: samples[SAMPLES / 2], fastest: samples[0] })
}
