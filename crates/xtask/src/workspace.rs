//! The workspace as cargo sees it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::error::Error;
use crate::steps;

/// Root, target folder and packages.
pub struct Workspace {
    pub root: PathBuf,
    pub target: PathBuf,
    pub packages: Vec<Package>,
}

/// One workspace member.
pub struct Package {
    pub name: String,
    pub folder: PathBuf,
    /// Whether it may go to a registry.
    pub is_published: bool,
    pub dependencies: Vec<Dependency>,
    /// Names of the integration tests.
    pub tests: Vec<String>,
}

/// One line of a `[dependencies]`, `[dev-dependencies]` or `[build-dependencies]` table.
pub struct Dependency {
    pub name: String,
    /// `normal`, `dev` or `build`.
    pub kind: String,
    pub is_optional: bool,
}

impl Workspace {
    /// Asks `cargo metadata`.
    pub fn load() -> Result<Self, Error> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let mut command = cargo();
        command.args(["metadata", "--no-deps", "--format-version=1", "--manifest-path"]);
        let answer = steps::output(command.arg(manifest))?;
        Self::from_metadata(&serde_json::from_slice(&answer)?)
    }

    fn from_metadata(metadata: &Value) -> Result<Self, Error> {
        Ok(Self {
            root: path(metadata, "workspace_root")?,
            target: path(metadata, "target_directory")?,
            packages: each(metadata, "packages", Package::from_metadata)?,
        })
    }

    /// `cargo`, run in the workspace's root.
    pub fn cargo<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root).args(arguments);
        command
    }

    /// A file of the workspace, as text.
    pub fn read(&self, file: &Path) -> Result<String, Error> {
        let path = self.root.join(file);
        std::fs::read_to_string(&path).map_err(|source| Error::File { path, source })
    }

    /// Folders of the packages by their short names (`ndbridge-dtype` is `dtype`).
    pub fn folders(&self) -> BTreeMap<&str, &Path> {
        let folders = self.packages.iter().map(|package| {
            (package.name.trim_start_matches("ndbridge-"), package.folder.as_path())
        });
        folders.collect()
    }

    /// Files that git tracks or would track, relative to the root.
    pub fn files(&self) -> Result<Vec<PathBuf>, Error> {
        let mut command = Command::new("git");
        command.current_dir(&self.root).args(["ls-files", "-z", "--cached", "--others"]);
        let names = steps::output(command.arg("--exclude-standard"))?;
        let names = String::from_utf8_lossy(&names);
        let files = names.split_terminator('\0').map(PathBuf::from);
        Ok(files.filter(|file| self.root.join(file).is_file()).collect())
    }

    /// The Rust sources among [`files`](Self::files).
    pub fn rust_files(&self) -> Result<Vec<PathBuf>, Error> {
        let files = self.files()?.into_iter();
        Ok(files.filter(|file| file.extension() == Some(OsStr::new("rs"))).collect())
    }
}

impl Package {
    /// Whether it is built into a wheel.
    pub fn is_python_module(&self) -> bool {
        self.folder.join("pyproject.toml").is_file()
    }

    /// Whether it cannot be without Python, so that its tests need an interpreter.
    pub fn needs_python(&self) -> bool {
        let is_needed = |dependency: &Dependency| {
            dependency.name == "pyo3" && dependency.kind == "normal" && !dependency.is_optional
        };
        self.is_python_module() || self.dependencies.iter().any(is_needed)
    }

    fn from_metadata(package: &Value) -> Result<Self, Error> {
        let manifest = path(package, "manifest_path")?;
        let folder =
            manifest.parent().ok_or(Error::Metadata { expected: "a manifest's folder" })?;
        Ok(Self {
            name: text(package, "name")?.to_owned(),
            folder: folder.to_owned(),
            // Without a word about it, to any of them.
            is_published: package["publish"].as_array().is_none_or(|to| !to.is_empty()),
            dependencies: each(package, "dependencies", Dependency::from_metadata)?,
            tests: each(package, "targets", test_name)?.into_iter().flatten().collect(),
        })
    }
}

/// The name of a target that is an integration test.
fn test_name(target: &Value) -> Result<Option<String>, Error> {
    let is_test = target["kind"].as_array().is_some_and(|kinds| kinds.contains(&"test".into()));
    Ok(if is_test { Some(text(target, "name")?.to_owned()) } else { None })
}

impl Dependency {
    fn from_metadata(dependency: &Value) -> Result<Self, Error> {
        let kind = dependency["kind"].as_str().unwrap_or("normal").to_owned();
        let is_optional = dependency["optional"].as_bool().unwrap_or(false);
        Ok(Self { name: text(dependency, "name")?.to_owned(), kind, is_optional })
    }
}

// Under `cargo xtask` the variable names the cargo that started us.
fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn text<'v>(value: &'v Value, field: &'static str) -> Result<&'v str, Error> {
    value[field].as_str().ok_or(Error::Metadata { expected: field })
}

fn path(value: &Value, field: &'static str) -> Result<PathBuf, Error> {
    text(value, field).map(PathBuf::from)
}

fn each<R>(
    value: &Value,
    field: &'static str,
    read: impl Fn(&Value) -> Result<R, Error>,
) -> Result<Vec<R>, Error> {
    let items = value[field].as_array().ok_or(Error::Metadata { expected: field })?;
    items.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wheel_is_a_python_module_and_no_library_is() {
        let workspace = Workspace::load().unwrap();
        let is_module = |name: &str| {
            let package = workspace.packages.iter().find(|package| package.name == name);
            package.unwrap().is_python_module()
        };
        assert!(is_module("ndbridge-wheel"));
        assert!(!is_module("ndbridge-numpy") && !is_module("xtask"));
    }

    #[test]
    fn the_crates_on_python_need_it_and_those_with_a_feature_for_it_do_not() {
        let workspace = Workspace::load().unwrap();
        let needing = workspace.packages.iter().filter(|package| package.needs_python());
        let mut names: Vec<&str> = needing.map(|package| package.name.as_str()).collect();
        names.sort_unstable();
        let expected =
            ["example-extension", "ndbridge-interpreter", "ndbridge-python", "ndbridge-wheel"];
        assert_eq!(names, expected);
    }
}
