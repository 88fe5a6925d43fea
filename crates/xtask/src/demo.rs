//! `cargo xtask demo`: the main job on real arrays and files.

use crate::python::{Environment, PACKAGE};
use crate::steps::{Steps, execute};
use crate::workspace::Workspace;

/// Runs the tour in Python, then its twin in Rust.
pub fn run(workspace: &Workspace, steps: &mut Steps) {
    let made = steps.run("python environment for demo", || Environment::named(workspace, "demo"));
    if let Some(environment) = made
        && steps.run("wheel", || environment.install_crate(workspace, PACKAGE)).is_some()
    {
        steps.run("demo in Python", || {
            let script = workspace.root.join("crates/xtask/demo/demo.py");
            execute(environment.python().arg(script).arg(workspace.target.join("demo")))
        });
    }
    steps.command("demo in Rust", &mut workspace.cargo(["run", "--quiet", "--example", "tour"]));
}
