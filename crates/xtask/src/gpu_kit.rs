//! `cargo xtask gpu-kit`: a folder for a machine with a GPU that has neither Rust nor a network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::cuda_tests::{self, Build};
use crate::driver_symbols;
use crate::error::Error;
use crate::python::{Environment, PACKAGE};
use crate::steps::{Steps, execute, output};
use crate::workspace::Workspace;

/// What a kit may weigh, to be carried to the machine.
const MOST_BYTES: u64 = 60 << 20;

/// Made by us: a folder without it is not ours to empty.
const MARK: &str = "run.sh";

/// Scripts of the kit, and where they lie there.
const SCRIPTS: [(&str, &str); 6] = [
    ("crates/xtask/gpu-kit/run.sh", MARK),
    ("crates/xtask/gpu-kit/run_tests.py", "run_tests.py"),
    ("benches/python/gpu.py", "bench/gpu.py"),
    ("benches/python/gpu_cases.py", "bench/gpu_cases.py"),
    ("benches/python/gpu_report.py", "bench/gpu_report.py"),
    ("benches/python/gpu_timing.py", "bench/gpu_timing.py"),
];

/// Builds the tests, the benchmark and the wheel, and packs them with what runs them.
pub fn run(workspace: &Workspace, steps: &mut Steps, folder: Option<&str>) {
    let out = folder.map_or_else(|| workspace.target.join("gpu-kit"), PathBuf::from);
    if steps.run("empty folder", || emptied(&out)).is_none() {
        return;
    }
    steps.run("CUDA tests", || tests(workspace, &out.join("tests")));
    steps.run("GPU benchmark", || benchmark(workspace, &out.join("bench")));
    steps.run("wheel", || wheel(workspace, &out.join("wheel")));
    steps.run("scripts", || scripts(workspace, &out));
    steps.run("size", || size(&out));
}

fn emptied(out: &Path) -> Result<(), Error> {
    let is_taken = fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
    if is_taken && !out.join(MARK).is_file() {
        return Err(Error::NotAKit { folder: out.to_owned() });
    }
    if is_taken {
        fs::remove_dir_all(out).map_err(|source| Error::File { path: out.into(), source })?;
    }
    make(out)?;
    // First, so that an interrupted run can be repeated.
    fs::write(out.join(MARK), "exit 1\n").map_err(|source| Error::File { path: out.into(), source })
}

fn tests(workspace: &Workspace, folder: &Path) -> Result<(), Error> {
    let binaries = cuda_tests::build(workspace, Build::Release)?;
    driver_symbols::check_programs(&binaries)?;
    make(folder)?;
    binaries.iter().try_for_each(|binary| copy(&binary.file, &folder.join(&binary.name)))
}

fn benchmark(workspace: &Workspace, folder: &Path) -> Result<(), Error> {
    let package = ["--package", "ndbridge-benches", "--features", "cuda", "--bin", "gpu"];
    let mut cargo = workspace.cargo(["build", "--release", "--message-format=json"]);
    let messages = output(cargo.args(package))?;
    let built = String::from_utf8_lossy(&messages).lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    });
    let built = built.ok_or(Error::Metadata { expected: "an executable of the benchmark" })?;
    make(folder)?;
    copy(&built, &folder.join("gpu"))
}

fn wheel(workspace: &Workspace, folder: &Path) -> Result<(), Error> {
    let environment = Environment::named(workspace, "test")?;
    let wheel = environment.install_crate(workspace, PACKAGE)?;
    driver_symbols::check_module(&environment.packages()?)?;
    make(folder)?;
    let name = wheel.file_name().unwrap_or(wheel.as_os_str());
    copy(&wheel, &folder.join(name))
}

fn scripts(workspace: &Workspace, out: &Path) -> Result<(), Error> {
    for (source, name) in SCRIPTS {
        copy(&workspace.root.join(source), &out.join(name))?;
    }
    let tests = Path::new(PACKAGE).join("tests").join("gpu");
    make(&out.join("python-tests"))?;
    for file in workspace.files()?.iter().filter(|file| file.starts_with(&tests)) {
        let name = file.file_name().unwrap_or(file.as_os_str());
        copy(&workspace.root.join(file), &out.join("python-tests").join(name))?;
    }
    execute(Command::new("sh").arg("-n").arg(out.join(MARK)))
}

fn size(out: &Path) -> Result<(), Error> {
    let bytes = folder_bytes(out)?;
    eprintln!("  {}: {:.1} MiB", out.display(), bytes as f64 / f64::from(1 << 20));
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    Err(Error::KitSize { folder: out.to_owned(), bytes, most: MOST_BYTES })
}

fn folder_bytes(folder: &Path) -> Result<u64, Error> {
    let failed = |source| Error::File { path: folder.to_owned(), source };
    let mut bytes = 0;
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let facts = entry.metadata().map_err(failed)?;
        bytes += if facts.is_dir() { folder_bytes(&entry.path())? } else { facts.len() };
    }
    Ok(bytes)
}

fn make(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|source| Error::File { path: folder.to_owned(), source })
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let copied = fs::copy(from, to).map(drop);
    copied.map_err(|source| Error::File { path: from.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let folder = std::env::temp_dir().join(format!("xtask-kit-{}", std::process::id()));
        let (thesis, nested) = (folder.join("thesis.tex"), folder.join("bench"));
        emptied(&folder).unwrap();
        fs::create_dir(&nested).unwrap();
        fs::write(nested.join("gpu"), [0; 100]).unwrap();
        assert_eq!(folder_bytes(&folder).unwrap(), 107);
        emptied(&folder).unwrap();
        assert!(!nested.exists());
        fs::rename(folder.join(MARK), &thesis).unwrap();
        assert!(matches!(emptied(&folder), Err(Error::NotAKit { .. })));
        assert!(thesis.is_file());
        fs::remove_dir_all(folder).unwrap();
    }
}
