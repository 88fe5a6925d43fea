//! The results: a table for people, JSON lines for the side-by-side script.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::Outcome;
use crate::timing::Seconds;

/// Where results go as they come.
pub struct Report {
    lines: Option<File>,
    group: &'static str,
    /// Bytes per second, read and written, of the fastest copy on the device so far.
    pub ceiling: f64,
}

impl Report {
    /// A report on standard output, and in a file if one is named.
    pub fn new(file: Option<&Path>) -> Outcome<Self> {
        let lines = file.map(File::create).transpose()?;
        Ok(Self { lines, group: "", ceiling: 0.0 })
    }

    /// Begins a part of the table.
    pub fn group(&mut self, name: &'static str) {
        self.group = name;
        println!("\n{name}");
    }

    /// A call that moves `bytes`: those read and those written together.
    pub fn rate(&mut self, name: &str, bytes: usize, taken: Seconds) -> Outcome {
        let rate = bytes as f64 / taken.median;
        let share = match self.ceiling {
            0.0 => String::new(),
            ceiling => format!("  {:5.2} of the copy", rate / ceiling),
        };
        let (us, gigabytes) = (taken.median * 1e6, rate / 1e9);
        println!("  {name:<44} {bytes:>11} B {us:>12.2} us {gigabytes:>8.1} GB/s{share}");
        self.line(name, bytes, taken)
    }

    /// A call of which the time alone counts.
    pub fn time(&mut self, name: &str, taken: Seconds) -> Outcome {
        println!("  {name:<44} {:>26.2} us", taken.median * 1e6);
        self.line(name, 0, taken)
    }

    /// What happens once in a process.
    pub fn once(&mut self, name: &str, seconds: f64) -> Outcome {
        self.time(name, Seconds { median: seconds, fastest: seconds })
    }

    fn line(&mut self, name: &str, bytes: usize, taken: Seconds) -> Outcome {
        let Some(lines) = &mut self.lines else { return Ok(()) };
        let (group, Seconds { median, fastest }) = (self.group, taken);
        // No name has a character that JSON would escape.
        writeln!(
            lines,
            r#"{{"group": "{group}", "name": "{name}", "bytes": {bytes}, "median": {median:e}, "fastest": {fastest:e}}}"#
        )?;
        Ok(())
    }

    /// Sees to it that the file holds everything.
    pub fn finish(self) -> Outcome {
        self.lines.map_or(Ok(()), |lines| lines.sync_all())?;
        Ok(())
    }
}
