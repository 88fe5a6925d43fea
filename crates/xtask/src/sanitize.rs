//! `cargo xtask sanitize`: Miri and AddressSanitizer, both of a nightly toolchain.

use std::ffi::OsStr;
use std::process::Command;
use std::time::Instant;

use crate::error::Error;
use crate::nightly;
use crate::steps::{Steps, execute, output};
use crate::workspace::Workspace;

/// How much to run.
#[derive(Clone, Copy, PartialEq)]
pub enum Form {
    /// Every test that Miri can run, under both borrow models.
    Full,
    /// The same tests but the longest, with thinned loops: what continuous integration has time for.
    Quick,
}

/// A borrow model, and the crates whose tests run under it.
struct Model {
    name: &'static str,
    flags: &'static str,
    packages: &'static [&'static str],
}

const STACKED: Model = Model {
    name: "stacked",
    flags: "",
    packages: &["ndbridge-dtype", "ndbridge-ledger", "ndbridge-storage", "ndbridge-tensor"],
};

const TREE: Model = Model { name: "tree", flags: "-Zmiri-tree-borrows", ..STACKED };

// The crate dtype forbids unsafe code: no borrow model can find anything in it.
const TREE_QUICK: Model =
    Model { packages: &["ndbridge-ledger", "ndbridge-storage", "ndbridge-tensor"], ..TREE };

/// Runs Miri on the crates that own memory, AddressSanitizer on the one that meets files.
pub fn run(workspace: &Workspace, steps: &mut Steps, form: Form) {
    if steps.run("nightly toolchain", || nightly::install(&["miri", "rust-src"])).is_none() {
        return;
    }
    steps.command("Miri, its standard library", &mut nightly::cargo(workspace, ["miri", "setup"]));
    let tree = if form == Form::Quick { TREE_QUICK } else { TREE };
    let models = [STACKED, tree];
    let commands = models.each_ref().map(|model| miri(workspace, form, model));
    // Miri has one thread of its own: both models at once take the time of one.
    let results = std::thread::scope(|scope| {
        let runs = commands.map(|mut command| {
            scope.spawn(move || {
                let start = Instant::now();
                (execute(&mut command), start.elapsed())
            })
        });
        runs.map(std::thread::ScopedJoinHandle::join)
    });
    for (model, result) in models.iter().zip(results) {
        let name = format!("Miri, {} borrows", model.name);
        steps.run(&name, || {
            let (result, time) = result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            eprintln!("  ran {:.1} s beside the other model", time.as_secs_f64());
            result
        });
    }
    let dlpack = ["miri", "test", "--package", "ndbridge-dlpack", "--test", "structures"];
    let mut dlpack = nightly::cargo(workspace, dlpack);
    dlpack.arg("--target-dir").arg(workspace.target.join("miri").join(STACKED.name));
    steps.command("Miri, DLPack structures", dlpack.env("RUSTFLAGS", "-Awarnings"));
    steps.run("AddressSanitizer", || execute(&mut address_sanitizer(workspace)?));
}

fn miri(workspace: &Workspace, form: Form, model: &Model) -> Command {
    let mut command = nightly::cargo(workspace, ["miri", "test", "--no-fail-fast", "--lib"]);
    match form {
        Form::Full => command.arg("--tests"),
        Form::Quick => command.args(quick_tests(workspace, model.packages)),
    };
    command.args(model.packages.iter().flat_map(|package| ["--package", package]));
    command.arg("--target-dir").arg(workspace.target.join("miri").join(model.name));
    // Tests read their tables from files, which isolation forbids.
    // A newer compiler's new warnings are not what is asked here.
    command.env("RUSTFLAGS", "-Awarnings");
    command.env("MIRIFLAGS", format!("-Zmiri-disable-isolation {}", model.flags).trim_end());
    command.env("PROPTEST_CASES", if form == Form::Quick { "2" } else { "32" });
    command
}

// Minutes to half an hour each in Miri: every kernel over every pair of layouts, every view of every
// view, thousands of blocks. The other tests run the same unsafe code on fewer.
const LONG_TESTS: [&str; 3] = ["rules_model", "rules_shr", "ledger_allocator"];

/// The integration tests of the packages, but the long ones, as arguments.
fn quick_tests(workspace: &Workspace, packages: &[&str]) -> Vec<String> {
    let mut arguments = Vec::new();
    for package in packages {
        let name = package.trim_start_matches("ndbridge-");
        let folder = workspace.root.join("crates").join(name).join("tests");
        for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = file.path();
            let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
            let is_run = !LONG_TESTS.contains(&stem);
            if path.extension() == Some(OsStr::new("rs")) && is_run {
                arguments.extend(["--test".to_owned(), stem.to_owned()]);
            }
        }
    }
    arguments
}

fn address_sanitizer(workspace: &Workspace) -> Result<Command, Error> {
    let host = host()?;
    // An explicit target keeps the flags away from build scripts and macros.
    let tests = ["test", "--package", "ndbridge-numpy", "--package", "ndbridge-dlpack"];
    let mut command = nightly::cargo(workspace, tests);
    command.args(["--lib", "--tests", "--target", &host]);
    command.arg("--target-dir").arg(workspace.target.join("asan"));
    command.env("RUSTFLAGS", "-Awarnings -Zsanitizer=address");
    // Memory that is kept for reuse would hide that it was used after it was freed.
    command.env("NDBRIDGE_CACHE_BYTES", "0");
    Ok(command)
}

fn host() -> Result<String, Error> {
    let version = output(Command::new("rustup").args(["run", "nightly", "rustc", "-vV"]))?;
    let version = String::from_utf8_lossy(&version).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or(Error::Metadata { expected: "a host in `rustc -vV`" })
}
