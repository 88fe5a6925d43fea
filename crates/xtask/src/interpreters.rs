//! The Python interpreters of this machine.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;

const NAMES: [&str; 6] =
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"];
// The wheel is built for CPython's stable ABI, which builds without the GIL do not have.
const PROBE: &str = "import sys, sysconfig, venv, ensurepip; \
    assert sys.version_info >= (3, 11), 'version %d.%d is too old' % sys.version_info[:2]; \
    assert sys.implementation.name == 'cpython', 'not CPython'; \
    assert not sysconfig.get_config_var('Py_GIL_DISABLED'), 'built without the GIL'; \
    print(*sys.version_info[:2], sys.executable)";

/// The minor versions of Python 3 that are tested where they are found.
const TESTED: std::ops::RangeInclusive<u32> = 11..=14;

/// A CPython with venv and pip that is new enough.
#[derive(Clone, Debug, PartialEq)]
pub struct Interpreter {
    pub program: PathBuf,
    pub version: Version,
}

/// Major and minor version, shown as `3.11`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Version(pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl Interpreter {
    /// The one named by PYTHON, else the first on PATH that will do.
    pub fn find() -> Result<Self, Error> {
        let named = std::env::var("PYTHON").ok().into_iter().collect::<Vec<_>>();
        let names = if named.is_empty() { NAMES.map(str::to_owned).to_vec() } else { named };
        let mut tried = Vec::new();
        for name in names {
            match Self::probe(Path::new(&name)) {
                Ok(found) => return Ok(found),
                Err(None) => {}
                Err(Some(reason)) => tried.push(format!("{name} ({reason})")),
            }
        }
        Err(Error::NoPython { tried })
    }

    /// One interpreter of every other version, on PATH or installed by pyenv.
    pub fn others(&self) -> Vec<Self> {
        let versions = TESTED.map(|minor| Version(3, minor));
        let others = versions.filter(|version| *version != self.version);
        others.filter_map(Self::of_version).collect()
    }

    fn of_version(version: Version) -> Option<Self> {
        let on_path = PathBuf::from(format!("python{version}"));
        let candidates = std::iter::once(on_path).chain(pyenv(version));
        // A name promises nothing: pyenv's own programs on PATH fail where the version is not active.
        let mut found = candidates.filter_map(|program| Self::probe(&program).ok());
        found.find(|interpreter| interpreter.version == version)
    }

    /// The interpreter, or why it will not do: `None` if there is no such program.
    fn probe(program: &Path) -> Result<Self, Option<String>> {
        let output = Command::new(program).args(["-c", PROBE]).stdin(Stdio::null()).output();
        let output = output.map_err(|_| None)?;
        let no_message = || Some("no message".to_owned());
        if output.status.success() {
            return Self::read(&String::from_utf8_lossy(&output.stdout)).ok_or_else(no_message);
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let reason = text.lines().rfind(|line| !line.is_empty());
        Err(reason.map(str::to_owned).or_else(no_message))
    }

    /// Reads what the probe prints: `3 11 /usr/bin/python3`.
    fn read(answer: &str) -> Option<Self> {
        let mut words = answer.trim().splitn(3, ' ');
        let version = Version(words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self { program: words.next()?.into(), version })
    }
}

/// Where pyenv keeps a version: `~/.pyenv/versions/3.12.1/bin/python3.12`.
fn pyenv(version: Version) -> Vec<PathBuf> {
    let Some(home) = std::env::home_dir() else { return Vec::new() };
    let folders = std::fs::read_dir(home.join(".pyenv/versions")).into_iter().flatten().flatten();
    let programs = folders.map(|folder| folder.path().join(format!("bin/python{version}")));
    let mut programs: Vec<_> = programs.filter(|program| program.exists()).collect();
    programs.sort();
    programs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_no_python_gives_its_reason() {
        assert_eq!(Interpreter::probe(Path::new("no-such-interpreter")), Err(None));
        assert!(matches!(Interpreter::probe(Path::new("cargo")), Err(Some(_))));
    }

    #[test]
    fn the_answer_of_a_probe_is_read() {
        let found = Interpreter::read("3 12 /opt/my python/bin/python3\n").unwrap();
        assert_eq!(found.version.to_string(), "3.12");
        assert_eq!(found.program, Path::new("/opt/my python/bin/python3"));
        assert_eq!(Interpreter::read("3.12 python"), None);
    }

    #[test]
    fn other_versions_are_each_found_once_and_without_the_main_one() {
        let main = Interpreter { program: "python3".into(), version: Version(3, 12) };
        let versions: Vec<_> = main.others().into_iter().map(|other| other.version.1).collect();
        assert!(!versions.contains(&12));
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    }
}
