//! `cargo xtask lint`: everything that is checked without running the project's code.

use crate::ptxas;
use crate::python_abi;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// Formatting, clippy (which checks benches and examples too), docs without warnings, which Pythons
/// the modules are for, and whether GPUs can run the kernels.
pub fn run(workspace: &Workspace, steps: &mut Steps) {
    steps.command("formatting", &mut workspace.cargo(["fmt", "--all", "--check"]));
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--features",
        "ndbridge-benches/cuda",
        "--",
        "--deny",
        "warnings",
    ];
    steps.command("clippy", &mut workspace.cargo(clippy));
    // The wheel switches on devices everywhere above.
    let host =
        ["clippy", "--package", "ndbridge", "--features", "python", "--", "--deny", "warnings"];
    steps.command("clippy, without CUDA", &mut workspace.cargo(host));
    // Each feature of the crate of files must do without the next one.
    let npy = ["clippy", "--package", "ndbridge-numpy", "--no-default-features"];
    let mut npy = workspace.cargo(npy);
    npy.args(["--features", "npy", "--", "--deny", "warnings"]);
    steps.command("clippy, .npy files alone", &mut npy);
    let mut docs = workspace.cargo(["doc", "--workspace", "--no-deps"]);
    steps.command("docs", docs.env("RUSTDOCFLAGS", "-D warnings"));
    steps.run("PTX is assembled for every GPU", || ptxas::check(workspace));
    steps.run("no module for a Python without a GIL", || python_abi::needs_gil(workspace));
    // The wheels are those that are tested: cargo need not build them again for that.
    steps.run("wheels use the stable ABI only", || python_abi::is_stable(workspace));
}
