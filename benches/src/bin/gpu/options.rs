//! What the command line says.

use std::path::PathBuf;

use crate::Outcome;

const USAGE: &str = "gpu [--device N] [--bytes N] [--out FILE]";

/// What to measure, and where the results go.
#[derive(Debug, PartialEq)]
pub struct Options {
    /// Ordinal of the device.
    pub device: usize,
    /// Size of what is copied on the device.
    pub bytes: usize,
    /// Where the JSON lines go.
    pub out: Option<PathBuf>,
}

impl Options {
    /// Pairs of names and values.
    pub fn parse(words: &[String]) -> Outcome<Self> {
        let mut options = Self { device: 0, bytes: 512 << 20, out: None };
        for pair in words.chunks(2) {
            match pair {
                [name, value] if name == "--device" => options.device = value.parse()?,
                [name, value] if name == "--bytes" => options.bytes = value.parse()?,
                [name, value] if name == "--out" => options.out = Some(value.into()),
                _ => return Err(format!("`{}`, expected {USAGE}", pair.join(" ")).into()),
            }
        }
        Ok(options)
    }
}
