//! The capture mode of the calling thread.

use super::driver;

/// While this lives, calls of this thread that a capture elsewhere would forbid are allowed: they
/// concern work that no capture contains.
pub(super) struct Relaxed {
    before: Option<i32>,
}

impl Relaxed {
    const RELAXED: i32 = 2;

    pub(super) fn new() -> Self {
        Self { before: exchange(Self::RELAXED) }
    }
}

impl Drop for Relaxed {
    fn drop(&mut self) {
        self.before.map(exchange);
    }
}

/// Sets the thread's capture mode; gives the one before.
fn exchange(mode: i32) -> Option<i32> {
    let mut mode = mode;
    // SAFETY: `mode` is good for reading and writing.
    unsafe { driver::cuThreadExchangeStreamCaptureMode(&raw mut mode) }.ok()?;
    Some(mode)
}
