//! `cargo xtask bench --python`: the Python boundary, beside peers.

use crate::error::Error;
use crate::python::{Environment, PACKAGE};
use crate::steps::{Steps, execute};
use crate::workspace::Workspace;

const RESULTS: &str = "docs/performance/boundary.md";

/// Where the results go.
#[derive(Clone, Copy, PartialEq)]
pub enum Results {
    Printed,
    /// To the document that the repository keeps.
    Written,
}

/// Builds the wheel and the contenders, checks them and times them.
pub fn run(workspace: &Workspace, steps: &mut Steps, results: Results) {
    let made = steps.run("python environment, all frameworks", || prepare(workspace));
    let Some(environment) = made else { return };
    steps.run("boundary benchmark", || measure(workspace, &environment, results));
}

fn prepare(workspace: &Workspace) -> Result<Environment, Error> {
    let environment = Environment::peers(workspace)?;
    let requirements = workspace.root.join("crates/xtask/requirements/bench.txt");
    let mut pip = environment.python();
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
    execute(pip.arg("--requirement").arg(requirements))?;
    environment.install_crate(workspace, PACKAGE)?;
    Ok(environment)
}

fn measure(
    workspace: &Workspace,
    environment: &Environment,
    results: Results,
) -> Result<(), Error> {
    let mut python = environment.python();
    python.arg(workspace.root.join("benches/python/run.py"));
    python.arg("--build").arg(workspace.target.join("boundary"));
    if results == Results::Written {
        python.arg(workspace.root.join(RESULTS));
    }
    execute(&mut python)
}
