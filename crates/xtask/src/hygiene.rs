//! Nothing in the repository depends on one machine's folders or on a tracker's numbers.

use crate::error::{Error, no_findings};
use crate::workspace::Workspace;

// Written in two halves so that this file passes its own check.
const FOLDERS: [[&str; 2]; 4] = [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"], ["/tm", "p/"]];

/// Fails on an absolute path of somebody's machine or an issue number in a tracked text.
pub fn check(workspace: &Workspace) -> Result<(), Error> {
    let mut findings = Vec::new();
    for file in workspace.files()? {
        // Pictures and archives are no text.
        let Ok(text) = workspace.read(&file) else { continue };
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(finding) = finding(line) {
                findings.push(format!("{}:{number}: {finding}", file.display()));
            }
        }
    }
    no_findings("hygiene", findings)
}

fn finding(line: &str) -> Option<String> {
    let folders = FOLDERS.iter().map(|halves| halves.concat());
    let folder = folders.into_iter().find(|folder| is_absolute(line, folder));
    folder.map(|folder| format!("machine's folder {folder}")).or_else(|| issue_number(line))
}

// `target/home/x` and `https://host/home/x` are no machine's folder.
fn is_absolute(line: &str, folder: &str) -> bool {
    let before = |at: usize| line[..at].chars().next_back();
    line.match_indices(folder).any(|(at, _)| {
        !before(at)
            .is_some_and(|c| c.is_alphanumeric() || ['.', '_', '-', '}', '$', '/'].contains(&c))
    })
}

fn issue_number(line: &str) -> Option<String> {
    let lower = line.to_lowercase();
    let (_, after) = lower.split_once("issue ")?;
    let number: String =
        after.trim_start_matches('#').chars().take_while(char::is_ascii_digit).collect();
    (!number.is_empty()).then(|| format!("issue number {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::assert_passes;

    #[test]
    fn the_repository_is_clean() {
        assert_passes(check(&Workspace::load().unwrap()));
    }

    #[test]
    fn machine_folders_and_issue_numbers_are_found() {
        let [folder, ..] = FOLDERS.map(|halves| halves.concat());
        assert!(finding(&format!("open(\"{folder}x.npy\")")).is_some());
        assert!(finding(&format!("see {} #{}", "issue", 12)).is_some());
        for clean in
            ["cd \"$root/work/x\"", "https://github.com/numpy/numpy/issues/12", "an issue of"]
        {
            assert_eq!(finding(clean), None, "{clean}");
        }
    }
}
