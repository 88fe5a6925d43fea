//! Which calls are potentially unsafe while a stream captures.

use std::collections::HashSet;
use std::sync::OnceLock;

/// What the manual says, what a driver answered, and what is still to be asked. The facts that the
/// GPU kit writes are compared with it.
const TABLE: &str = include_str!("capture_modes.tsv");

/// Whether a thread needs RELAXED for the call, as far as the table knows.
pub fn is_unsafe(call: &str) -> bool {
    static UNSAFE: OnceLock<HashSet<&str>> = OnceLock::new();
    let read = || rows().filter(|row| row[1] == "unsafe").map(|row| row[0]).collect();
    UNSAFE.get_or_init(read).contains(call)
}

fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split('\t').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_says_what_is_answered_and_how_that_is_known() {
        let mut calls = HashSet::new();
        for row in rows() {
            let [call, answer, known, why] = row[..] else { panic!("{row:?}") };
            assert!(calls.insert(call), "{call} twice");
            assert!(["safe", "unsafe"].contains(&answer), "{row:?}");
            let is_known = known == "documented" || known.starts_with("observed: ");
            assert!((is_known || known == "to be asked") && !why.is_empty(), "{row:?}");
        }
        assert!(is_unsafe("cuMemAlloc") && !is_unsafe("cuEventRecord"));
    }
}
