//! The tests that need a CUDA driver: on the emulated one, or packed for a machine with a GPU.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::error::Error;
use crate::steps::{display, output};
use crate::workspace::{Package, Workspace};

/// The back end, and where it meets the formats.
const PACKAGES: [&str; 2] = ["ndbridge-cuda", FACADE];
const FACADE: &str = "ndbridge";
const PREFIX: &str = "cuda";

/// A built test.
#[derive(Debug, PartialEq)]
pub struct Binary {
    /// Package and test, such as `ndbridge-cuda-cuda_memory`.
    pub name: String,
    pub file: PathBuf,
}

/// How the tests are built.
#[derive(Clone, Copy, PartialEq)]
pub enum Build {
    Debug,
    Release,
}

/// Arguments of cargo that choose the facade, in a build that knows of devices.
pub const FACADE_WITH_CUDA: [&str; 4] = ["--package", FACADE, "--features", "ndbridge/cuda"];

/// Builds every integration test whose name begins with `cuda`.
///
/// # Errors
/// Also if cargo built fewer than there are.
pub fn build(workspace: &Workspace, how: Build) -> Result<Vec<Binary>, Error> {
    let expected = expected(workspace);
    if expected.is_empty() {
        return Err(Error::NoCudaTests);
    }
    let mut cargo = workspace.cargo(["test", "--no-run", "--message-format=json"]);
    if how == Build::Release {
        cargo.arg("--release");
    }
    cargo.args(FACADE_WITH_CUDA).args(PACKAGES.map(|name| format!("--package={name}")));
    cargo.args(["--test", &format!("{PREFIX}*")]);
    let mut found = executables(&output(announced(&mut cargo))?, workspace)?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let names: Vec<_> = found.iter().map(|binary| binary.name.clone()).collect();
    if names == expected { Ok(found) } else { Err(Error::CudaTests { expected, found: names }) }
}

fn announced(command: &mut Command) -> &mut Command {
    eprintln!("  $ {}", display(command));
    command
}

fn with_tests(workspace: &Workspace) -> impl Iterator<Item = &Package> {
    let is_cuda = |package: &&Package| {
        PACKAGES.contains(&package.name.as_str()) && cuda_tests(package).next().is_some()
    };
    workspace.packages.iter().filter(is_cuda)
}

fn cuda_tests(package: &Package) -> impl Iterator<Item = &String> {
    package.tests.iter().filter(|name| name.starts_with(PREFIX))
}

fn expected(workspace: &Workspace) -> Vec<String> {
    let of_package = |package: &Package| {
        cuda_tests(package).map(|test| format!("{}-{test}", package.name)).collect::<Vec<_>>()
    };
    let mut names: Vec<_> = with_tests(workspace).flat_map(of_package).collect();
    names.sort();
    names
}

/// The test binaries among cargo's messages.
fn executables(messages: &[u8], workspace: &Workspace) -> Result<Vec<Binary>, Error> {
    let messages = String::from_utf8_lossy(messages);
    let mut found = Vec::new();
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let message: Value = serde_json::from_str(line)?;
        let Some(file) = message["executable"].as_str() else { continue };
        let manifest = message["manifest_path"].as_str().unwrap_or_default();
        let is_its = |package: &&Package| package.folder.join("Cargo.toml") == *manifest;
        let package = workspace.packages.iter().find(is_its);
        if let (Some(package), Some(test)) = (package, message["target"]["name"].as_str()) {
            found.push(Binary { name: format!("{}-{test}", package.name), file: file.into() });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_named_by_package_and_test() {
        let package = Package {
            name: "ndbridge-cuda".to_owned(),
            is_published: false,
            folder: "t".into(),
            dependencies: Vec::new(),
            tests: vec!["rules".to_owned(), "cuda".to_owned(), "cuda_order".to_owned()],
        };
        let workspace = Workspace { root: "".into(), target: "".into(), packages: vec![package] };
        assert_eq!(expected(&workspace), ["ndbridge-cuda-cuda", "ndbridge-cuda-cuda_order"]);
        let messages = br#"
{"reason": "compiler-artifact", "executable": null, "manifest_path": "t/Cargo.toml", "target": {"name": "l"}}
{"reason": "compiler-artifact", "executable": "d/cuda-1", "manifest_path": "t/Cargo.toml", "target": {"name": "cuda"}}
{"reason": "build-finished", "success": true}
"#;
        let binary = Binary { name: "ndbridge-cuda-cuda".to_owned(), file: "d/cuda-1".into() };
        assert_eq!(executables(messages, &workspace).unwrap(), [binary]);
    }
}
