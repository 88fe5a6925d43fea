//! What was promised, and what was found.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use ndbridge::copies;

use crate::Outcome;

#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
    notes: Vec<String>,
}

struct Row {
    call: &'static str,
    promised: &'static str,
    happened: &'static str,
    copied_bytes: u64,
    time: Duration,
}

impl Table {
    /// Makes a call that is named for sharing; `is_same_memory` finds out.
    pub fn shares<R, E: Into<Box<dyn Error>>>(
        &mut self,
        call: &'static str,
        work: impl FnOnce() -> Result<R, E>,
        is_same_memory: impl FnOnce(&R) -> Outcome<bool>,
    ) -> Outcome<R> {
        self.share_or_copy(call, "shared", work, is_same_memory)
    }

    /// Makes a call that is named for copying; `is_same_memory` finds out.
    pub fn copies<R, E: Into<Box<dyn Error>>>(
        &mut self,
        call: &'static str,
        work: impl FnOnce() -> Result<R, E>,
        is_same_memory: impl FnOnce(&R) -> Outcome<bool>,
    ) -> Outcome<R> {
        self.share_or_copy(call, "copied", work, is_same_memory)
    }

    /// Makes a call that has to be refused, and notes what the error says.
    pub fn refuses<R, E: fmt::Display>(
        &mut self,
        call: &'static str,
        work: impl FnOnce() -> Result<R, E>,
    ) {
        let error = self.measured(call, "refused", work).err();
        self.happened(if error.is_some() { "refused" } else { "allowed" });
        if let Some(error) = error {
            self.note(format!("{}: {error}", call.trim()));
        }
    }

    /// Makes a call that writes a file; `is_there` looks at the file.
    pub fn writes<E: Into<Box<dyn Error>>>(
        &mut self,
        call: &'static str,
        work: impl FnOnce() -> Result<(), E>,
        is_there: impl FnOnce() -> Outcome<bool>,
    ) -> Outcome {
        self.measured(call, "written", work).map_err(Into::into)?;
        self.happened(if is_there()? { "written" } else { "other bytes" });
        Ok(())
    }

    /// Adds a line below the table.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub fn is_kept(&self) -> bool {
        self.rows.iter().all(Row::is_kept)
    }

    fn share_or_copy<R, E: Into<Box<dyn Error>>>(
        &mut self,
        call: &'static str,
        promised: &'static str,
        work: impl FnOnce() -> Result<R, E>,
        is_same_memory: impl FnOnce(&R) -> Outcome<bool>,
    ) -> Outcome<R> {
        let result = self.measured(call, promised, work).map_err(Into::into)?;
        self.happened(if is_same_memory(&result)? { "shared" } else { "copied" });
        Ok(result)
    }

    fn measured<R>(
        &mut self,
        call: &'static str,
        promised: &'static str,
        work: impl FnOnce() -> R,
    ) -> R {
        let (before, begin) = (copies().bytes, Instant::now());
        let result = work();
        let (time, copied_bytes) = (begin.elapsed(), copies().bytes - before);
        self.rows.push(Row { call, promised, happened: "", copied_bytes, time });
        result
    }

    fn happened(&mut self, happened: &'static str) {
        self.last().happened = happened;
    }

    fn last(&mut self) -> &mut Row {
        self.rows.last_mut().expect("a call was made")
    }
}

impl Row {
    fn is_kept(&self) -> bool {
        let must_copy = self.promised == "copied";
        self.promised == self.happened && must_copy == (self.copied_bytes > 0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [call, bytes, time] = ["call", "bytes copied", "time"];
        writeln!(f, "{call:36} {:9} {:9} {bytes:>12} {time:>11}", "promised", "happened")?;
        for row in &self.rows {
            let Row { call, promised, happened, copied_bytes, time } = row;
            let microseconds = time.as_secs_f64() * 1e6;
            write!(
                f,
                "{call:36} {promised:9} {happened:9} {copied_bytes:12} {microseconds:8.1} us"
            )?;
            writeln!(f, "{}", if row.is_kept() { "" } else { "  BROKEN" })?;
        }
        writeln!(f)?;
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))
    }
}
