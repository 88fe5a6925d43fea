//! `cargo xtask gpu-kit`: a folder for a machine with a GPU that has neither Rust nor a network.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cuda_tests::{self, Build};
use crate::driver_symbols;
use crate::error::{Error, no_findings};
use crate::python::{Environment, PACKAGE};
use crate::steps::{Steps, execute, output};
use crate::workspace::Workspace;

/// What a kit may weigh, to be carried to the machine.
const MOST_BYTES: u64 = 50 << 20;

/// Made by us: a folder without it is not ours to empty.
const MARK: &str = "run.py";

/// What the emulated driver answers to the same questions as a GPU's.
const EMULATED_FACTS: &str = "facts-emulated.json";

/// Scripts of the kit, and where they lie there.
const SCRIPTS: [(&str, &str); 8] = [
    ("crates/xtask/gpu-kit/run.py", MARK),
    ("crates/xtask/gpu-kit/facts.py", "facts.py"),
    ("crates/xtask/gpu-kit/compare_facts.py", "compare_facts.py"),
    ("crates/cuda/emulator/src/capture_modes.tsv", "capture_modes.tsv"),
    ("benches/python/gpu.py", "bench/gpu.py"),
    ("benches/python/gpu_cases.py", "bench/gpu_cases.py"),
    ("benches/python/gpu_report.py", "bench/gpu_report.py"),
    ("benches/python/gpu_timing.py", "bench/gpu_timing.py"),
];

/// The most that a run may leave, to be carried back.
const MOST_FILES: usize = 8;
const MOST_FILE_BYTES: u64 = 16 << 20;

/// Builds the tests, the benchmark and the wheel, and packs them with what runs them.
pub fn run(workspace: &Workspace, steps: &mut Steps, folder: Option<&str>) {
    let out = folder.map_or_else(|| workspace.target.join("gpu-kit"), PathBuf::from);
    if steps.run("empty folder", || emptied(&out)).is_none() {
        return;
    }
    steps.run("CUDA tests", || tests(workspace, &out.join("tests"), Build::Release));
    steps.run("GPU benchmark", || benchmark(workspace, &out.join("bench")));
    steps.run("wheel", || wheel(workspace, &out.join("wheel")));
    steps.run("scripts", || scripts(workspace, &out));
    steps.run("what the emulated driver answers", || {
        emulated_facts(&Environment::named(workspace, "test")?, &emulator(workspace)?, &out)
    });
    steps.run("size", || size(&out));
}

/// A dry run by itself.
pub fn try_out(workspace: &Workspace, steps: &mut Steps) {
    steps.run("GPU kit, dry run", || {
        let environment = Environment::named(workspace, "test")?;
        let wheel = environment.build(workspace, PACKAGE)?;
        dry_run(workspace, &environment, &wheel)
    });
}

/// Packs a kit of what is built already, and runs it in short on the emulated driver: what a GPU's
/// tools are needed for has to be told as not there, the rest has to pass.
pub fn dry_run(
    workspace: &Workspace,
    environment: &Environment,
    wheel: &Path,
) -> Result<(), Error> {
    let kit = workspace.target.join("gpu-kit-dry");
    emptied(&kit)?;
    tests(workspace, &kit.join("tests"), Build::Debug)?;
    make(&kit.join("wheel"))?;
    copy(wheel, &kit.join("wheel").join(wheel.file_name().unwrap_or(wheel.as_os_str())))?;
    scripts(workspace, &kit)?;
    let driver = emulator(workspace)?;
    emulated_facts(environment, &driver, &kit)?;
    let out = kit.join("out");
    let mut run = environment.python();
    run.arg(kit.join(MARK)).arg(&out).args(["--short", "--seconds", "600"]);
    // Whatever the machine has: a dry run is about the emulated one.
    run.env("NDBRIDGE_CUDA_DRIVER", driver).env("CUDA_VISIBLE_DEVICES", "");
    execute(&mut run)?;
    let path = out.join("summary.txt");
    let summary = fs::read_to_string(&path).map_err(|source| Error::File { path, source })?;
    no_findings("dry run of the kit", [oversized(&out)?, lacking(&summary)].concat())
}

/// Files that are too many or too large to come back.
fn oversized(out: &Path) -> Result<Vec<String>, Error> {
    let failed = |source| Error::File { path: out.to_owned(), source };
    let entries: Vec<_> = fs::read_dir(out).map_err(failed)?.filter_map(Result::ok).collect();
    let is_large = |entry: &fs::DirEntry| {
        entry.metadata().is_ok_and(|facts| facts.is_dir() || facts.len() > MOST_FILE_BYTES)
    };
    let large = entries.iter().filter(|entry| is_large(entry));
    let mut findings: Vec<_> =
        large.map(|entry| format!("{}: too large", entry.path().display())).collect();
    if entries.len() > MOST_FILES {
        findings.push(format!("{} files, expected {MOST_FILES} at most", entries.len()));
    }
    Ok(findings)
}

/// Steps that did not end as they have to without a GPU.
fn lacking(summary: &str) -> Vec<String> {
    const EXPECTED: [(&str, &str); 9] = [
        ("ok", "facts"),
        ("ok", "facts compared"),
        ("ok", "wheel"),
        ("ok", "rust ndbridge-cuda-cuda_memory"),
        ("ok", "rust ndbridge-cuda-cuda_tensors"),
        ("ok", "python test_host_words"),
        ("not there", "first contact"),
        ("not there", "python test_cupy"),
        ("not there", "benchmark"),
    ];
    let ended = |state: &str, name: &str| {
        summary.lines().any(|line| {
            line.get(..9).is_some_and(|found| found.trim() == state)
                && line.get(20..).is_some_and(|rest| is_name(rest, name))
        })
    };
    let wrong = EXPECTED.into_iter().filter(|(state, name)| !ended(state, name));
    let mut findings: Vec<_> =
        wrong.map(|(state, name)| format!("expected `{name}` to be {state}")).collect();
    if !summary.contains("0 differences, 0 calls answered") {
        findings.push("the emulated driver differs from itself, or from its table".to_owned());
    }
    findings
}

/// Whether a line's rest begins with a step's name: two spaces end it.
fn is_name(rest: &str, name: &str) -> bool {
    rest.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("  "))
}

/// The emulated driver as a shared library.
pub fn emulator(workspace: &Workspace) -> Result<PathBuf, Error> {
    execute(&mut workspace.cargo(["build", "--package", "ndbridge-cuda-emulator-driver"]))?;
    Ok(workspace.target.join("debug").join("libndbridge_emulated_cuda.so"))
}

fn emulated_facts(environment: &Environment, driver: &Path, out: &Path) -> Result<(), Error> {
    let mut facts = environment.python();
    facts.arg(out.join("facts.py")).arg(out.join(EMULATED_FACTS));
    execute(facts.env("NDBRIDGE_CUDA_DRIVER", driver))
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
    fs::write(out.join(MARK), "exit(1)\n")
        .map_err(|source| Error::File { path: out.into(), source })
}

fn tests(workspace: &Workspace, folder: &Path, how: Build) -> Result<(), Error> {
    let binaries = cuda_tests::build(workspace, how)?;
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
    make(&out.join("bench"))?;
    for (source, name) in SCRIPTS {
        copy(&workspace.root.join(source), &out.join(name))?;
    }
    let tests = Path::new(PACKAGE).join("tests").join("gpu");
    make(&out.join("python-tests"))?;
    for file in workspace.files()?.iter().filter(|file| file.starts_with(&tests)) {
        let name = file.file_name().unwrap_or(file.as_os_str());
        copy(&workspace.root.join(file), &out.join("python-tests").join(name))?;
    }
    Ok(())
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

    const SUMMARY: &str = "\
ok           1.0 s  facts                              x
ok           0.1 s  facts compared                     0 differences, 0 calls answered
not there    0.0 s  first contact                      no bench/gpu in the kit
ok           0.1 s  wheel                              0.1.0
ok           0.1 s  rust ndbridge-cuda-cuda_memory     3 of 3 passed
ok           0.1 s  rust ndbridge-cuda-cuda_tensors    3 of 3 passed
ok           0.1 s  python test_host_words             3 passed
not there    0.1 s  python test_cupy                   1 skipped
not there    0.1 s  benchmark                          no bench/gpu in the kit
";

    #[test]
    fn each_step_of_a_dry_run_has_to_end_as_expected() {
        assert_eq!(lacking(SUMMARY), [""; 0]);
        for line in SUMMARY.lines() {
            let lacks = SUMMARY.replace(line, "");
            assert!(!lacking(&lacks).is_empty(), "{line}");
            let failed = SUMMARY.replace(line, &format!("FAILED   {}", &line[9..]));
            assert!(!lacking(&failed).is_empty(), "{line}");
        }
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let folder = std::env::temp_dir().join(format!("xtask-kit-{}", std::process::id()));
        let (thesis, nested) = (folder.join("thesis.tex"), folder.join("bench"));
        emptied(&folder).unwrap();
        fs::create_dir(&nested).unwrap();
        fs::write(nested.join("gpu"), [0; 100]).unwrap();
        assert_eq!(folder_bytes(&folder).unwrap(), 108);
        emptied(&folder).unwrap();
        assert!(!nested.exists());
        fs::rename(folder.join(MARK), &thesis).unwrap();
        assert!(matches!(emptied(&folder), Err(Error::NotAKit { .. })));
        assert!(thesis.is_file());
        fs::remove_dir_all(folder).unwrap();
    }
}
