//! The kernels as PTX modules of one.

use std::io::Read;

use flate2::read::DeflateDecoder;

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

/// The kernels' text, each compressed by the build script.
const COMPRESSED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kernels.deflate"));

/// A PTX module with that one kernel, for a driver to load; `None` if there is no such kernel.
///
/// A driver compiles one in tens of milliseconds, all of them in seconds: load each at its first
/// use, and keep it.
#[must_use]
pub fn module_text(kernel: &str) -> Option<String> {
    let place = ENDS.iter().position(|(name, _)| *name == kernel)?;
    let start = place.checked_sub(1).map_or(0, |before| ENDS[before].1);
    let mut text = HEADER.to_owned();
    let read = DeflateDecoder::new(&COMPRESSED[start..ENDS[place].1]).read_to_string(&mut text);
    read.ok().map(|_| text)
}
