//! `cargo xtask test`: every test, Rust and Python.

use crate::python::Environment;
use crate::steps::{Steps, execute};
use crate::workspace::Workspace;

/// Which tests to run.
#[derive(Clone, Copy, PartialEq)]
pub enum Half {
    Both,
    Rust,
    Python,
}

/// Runs the tests of one half or both.
pub fn run(workspace: &Workspace, steps: &mut Steps, half: Half) {
    if half != Half::Python {
        rust(workspace, steps);
    }
    if half != Half::Rust {
        python(workspace, steps);
    }
}

// The wheel stays out: it would switch on the feature `python` everywhere, whose symbols only an
// interpreter has. pytest tests it.
fn rust(workspace: &Workspace, steps: &mut Steps) {
    let tests = ["test", "--workspace", "--exclude", "ndbridge-python"];
    steps.command("cargo test, with doc tests and structure checks", &mut workspace.cargo(tests));
    let alone = ["check", "--package", "ndbridge", "--no-default-features"];
    steps.command("facade without default features", &mut workspace.cargo(alone));
    let python = ["check", "--package", "ndbridge-numpy", "--features", "python"];
    steps.command("numpy crate with python", &mut workspace.cargo(python));
    // Every interleaving of the ledger's threads, on loom's atomics.
    let tests = ["test", "--release", "--package", "ndbridge-storage", "--test", "loom_ledger"];
    let mut loom = workspace.cargo(tests);
    loom.arg("--target-dir").arg(workspace.target.join("loom"));
    steps.command("loom", loom.env("RUSTFLAGS", "--cfg loom"));
}

fn python(workspace: &Workspace, steps: &mut Steps) {
    let Some(environment) = Environment::with_wheel(workspace, steps, "test") else { return };
    steps.run("pytest", || {
        let mut pytest = environment.python();
        pytest.current_dir(&workspace.root).args([
            "-m",
            "pytest",
            "--quiet",
            "crates/python/tests",
        ]);
        execute(&mut pytest)
    });
}
