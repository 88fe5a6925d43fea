//! Python environments under the target folder, and the wheel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::steps::{Steps, execute};
use crate::workspace::Workspace;

const NAMES: [&str; 6] =
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"];
const PROBE: &str = "import sys, venv, ensurepip; \
    assert sys.version_info >= (3, 11), 'version %d.%d is too old' % sys.version_info[:2]; \
    print(sys.executable)";

/// A virtual environment with the project's wheel in it.
pub struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// Makes (or reuses) `target/NAME/venv` from `crates/xtask/requirements/NAME.txt`, then
    /// builds the wheel and installs it.
    pub fn with_wheel(workspace: &Workspace, steps: &mut Steps, name: &str) -> Option<Self> {
        let made = steps.run(&format!("python environment for {name}"), || {
            let requirements = format!("crates/xtask/requirements/{name}.txt");
            Self::make(
                &workspace.target.join(name).join("venv"),
                &workspace.root.join(requirements),
            )
        })?;
        steps.run("wheel", || made.install(&made.build(workspace)?))?;
        Some(made)
    }

    /// The interpreter of this environment.
    pub fn python(&self) -> Command {
        let mut command = Command::new(self.program("python"));
        // A package on the caller's path must not shadow the wheel under test.
        command.env_remove("PYTHONPATH").env_remove("PYTHONHOME");
        command
    }

    fn make(folder: &Path, requirements: &Path) -> Result<Self, Error> {
        let made = Self { folder: folder.to_owned() };
        let stamp = folder.join("stamp.txt");
        let wanted = made.stamp(requirements)?;
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(made);
        }
        execute(Command::new(interpreter()?).args(["-m", "venv", "--clear"]).arg(folder))?;
        let mut pip = made.pip();
        execute(pip.arg("--requirement").arg(requirements))?;
        fs::write(&stamp, wanted).map_err(|source| Error::File { path: stamp, source })?;
        Ok(made)
    }

    // The environment is reused while this text stays the same.
    fn stamp(&self, requirements: &Path) -> Result<String, Error> {
        let text = fs::read_to_string(requirements)
            .map_err(|source| Error::File { path: requirements.to_owned(), source })?;
        Ok(format!("{}\n{text}", interpreter()?.display()))
    }

    fn build(&self, workspace: &Workspace) -> Result<PathBuf, Error> {
        let folder = workspace.target.join("wheels");
        let gone = fs::remove_dir_all(&folder);
        gone.or_else(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(Error::File { path: folder.clone(), source }),
        })?;
        let mut maturin = Command::new(self.program("maturin"));
        maturin.current_dir(&workspace.root);
        maturin.args(["build", "--release", "--quiet", "--compatibility", "linux"]);
        maturin.args(["--manifest-path", "crates/python/Cargo.toml", "--out"]).arg(&folder);
        maturin.arg("--target-dir").arg(&workspace.target);
        maturin.arg("--interpreter").arg(self.program("python"));
        execute(&mut maturin)?;
        only_file(folder)
    }

    fn install(&self, wheel: &Path) -> Result<(), Error> {
        execute(self.pip().args(["--force-reinstall", "--no-deps"]).arg(wheel))
    }

    fn pip(&self) -> Command {
        let mut command = self.python();
        command.args(["-m", "pip", "install", "--quiet", "--no-input"]);
        command.arg("--disable-pip-version-check");
        command
    }

    fn program(&self, name: &str) -> PathBuf {
        let folder = if cfg!(windows) { "Scripts" } else { "bin" };
        self.folder.join(folder).join(name)
    }
}

fn only_file(folder: PathBuf) -> Result<PathBuf, Error> {
    let entries =
        fs::read_dir(&folder).map_err(|source| Error::File { path: folder.clone(), source })?;
    let found: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    match found.as_slice() {
        [file] => Ok(file.clone()),
        _ => Err(Error::Wheel { folder, found }),
    }
}

/// The interpreter named by PYTHON, else the first on PATH that is new enough.
fn interpreter() -> Result<PathBuf, Error> {
    let named = std::env::var("PYTHON").ok().into_iter().collect::<Vec<_>>();
    let names = if named.is_empty() { NAMES.map(str::to_owned).to_vec() } else { named };
    let mut tried = Vec::new();
    for name in names {
        match probe(&name) {
            Ok(found) => return Ok(found),
            Err(None) => {}
            Err(Some(reason)) => tried.push(format!("{name} ({reason})")),
        }
    }
    Err(Error::NoPython { tried })
}

/// Where the interpreter lies, or why it will not do: `None` if there is no such program.
fn probe(name: &str) -> Result<PathBuf, Option<String>> {
    let output = Command::new(name).args(["-c", PROBE]).stdin(Stdio::null()).output();
    let output = output.map_err(|_| None)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let reason = text.lines().rfind(|line| !line.is_empty()).unwrap_or("no message");
    Err(Some(reason.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_no_python_gives_its_reason() {
        assert_eq!(probe("no-such-interpreter"), Err(None));
        assert!(matches!(probe("cargo"), Err(Some(_))));
    }

    #[test]
    fn two_wheels_are_refused() {
        let folder = std::env::temp_dir().join(format!("xtask-wheels-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a.whl"), "").unwrap();
        assert!(only_file(folder.clone()).unwrap().ends_with("a.whl"));
        fs::write(folder.join("b.whl"), "").unwrap();
        assert!(
            matches!(only_file(folder.clone()), Err(Error::Wheel { found, .. }) if found.len() == 2)
        );
        fs::remove_dir_all(folder).unwrap();
    }
}
