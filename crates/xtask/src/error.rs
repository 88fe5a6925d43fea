//! What can go wrong in a task.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use crate::USAGE;

/// Why a task stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("no task `{got}`\n\n{USAGE}")]
    Usage { got: String },
    #[error("cannot start `{command}`: {source}")]
    Start { command: String, source: io::Error },
    #[error("`{command}` failed ({status})")]
    Failed { command: String, status: ExitStatus },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: expected one wheel, found {found:?}", folder.display())]
    Wheel { folder: PathBuf, found: Vec<PathBuf> },
    #[error(
        "expected Python 3.11 or newer with venv and pip, found {}: install one, or name it by PYTHON=/path/to/python3",
        if tried.is_empty() { "none on PATH".to_owned() } else { tried.join("; ") }
    )]
    NoPython { tried: Vec<String> },
    #[error(
        "{}: expected the shared library of Python, which tests with an interpreter in them link: \
         install it (Debian: libpython3-dev; pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared), or name another \
         Python by PYTHON=/path/to/python3",
        library.display()
    )]
    NoLibrary { library: PathBuf },
    #[error("expected a folder for the cache: name it by NDBRIDGE_CACHE=/path/to/folder")]
    NoCache,
    #[error(
        "expected a nightly toolchain with {component}, which could not be installed: run `{command}`"
    )]
    NoNightly { component: &'static str, command: String },
    #[error("expected integration tests named cuda*, found none")]
    NoCudaTests,
    #[error("expected the tests {expected:?}, cargo built {found:?}")]
    CudaTests { expected: Vec<String>, found: Vec<String> },
    #[error("{}: expected the compiled module of the wheel, found none", folder.display())]
    NoModule { folder: PathBuf },
    #[error("{}: expected a kit or an empty folder, found other files: name another one", folder.display())]
    NotAKit { folder: PathBuf },
    #[error("{}: {bytes} B, expected {most} B at most", folder.display())]
    KitSize { folder: PathBuf, bytes: u64, most: u64 },
    #[error("cargo metadata: expected {expected}")]
    Metadata { expected: &'static str },
    #[error("cargo metadata: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{}: cannot be split into tokens: {reason}", path.display())]
    Tokens { path: PathBuf, reason: String },
    #[error("{check}: {} broken\n  {}", findings.len(), findings.join("\n  "))]
    Broken { check: &'static str, findings: Vec<String> },
    #[error("{} failed: {}", failed.len(), failed.join(", "))]
    Steps { failed: Vec<String> },
}

/// `Ok` if a check found nothing.
pub fn no_findings(check: &'static str, findings: Vec<String>) -> Result<(), Error> {
    if findings.is_empty() { Ok(()) } else { Err(Error::Broken { check, findings }) }
}

/// Fails a test with the findings, one on each line.
#[cfg(test)]
#[track_caller]
pub fn assert_passes(checked: Result<(), Error>) {
    if let Err(error) = checked {
        panic!("{error}");
    }
}
