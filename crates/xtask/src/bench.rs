//! `cargo xtask bench`: measured from Python, beside peers.

use crate::error::Error;
use crate::python::{Environment, PACKAGE};
use crate::steps::{Steps, execute};
use crate::workspace::Workspace;

const BOUNDARY: &str = "docs/performance/boundary.md";
const COPIES: &str = "docs/performance/copies.md";

/// Where the results go.
#[derive(Clone, Copy, PartialEq)]
pub enum Results {
    Printed,
    /// To the document that the repository keeps.
    Written,
}

/// How much time and memory is given to it.
#[derive(Clone, Copy, PartialEq)]
pub enum Form {
    Full,
    /// Fewer rounds and cases, nothing past 64 MiB: a look, no figures to keep.
    Quick,
}

/// Arrays over the Python boundary: builds the wheel and the contenders, checks them, times them.
pub fn boundary(workspace: &Workspace, steps: &mut Steps, results: Results) {
    let Some(environment) = prepared(workspace, steps, Some("bench")) else { return };
    steps.run("boundary benchmark", || measure_boundary(workspace, &environment, results));
}

/// Copies, conversions and files beside NumPy, torch, TensorFlow and JAX.
pub fn copies(workspace: &Workspace, steps: &mut Steps, results: Results, form: Form) {
    let Some(environment) = prepared(workspace, steps, None) else { return };
    steps.run("benchmark of copies", || measure_copies(workspace, &environment, results, form));
}

fn prepared(
    workspace: &Workspace,
    steps: &mut Steps,
    requirements: Option<&str>,
) -> Option<Environment> {
    steps.run("python environment, all frameworks", || {
        let environment = Environment::peers(workspace)?;
        if let Some(name) = requirements {
            add_requirements(workspace, &environment, name)?;
        }
        environment.install_crate(workspace, PACKAGE)?;
        Ok(environment)
    })
}

fn add_requirements(
    workspace: &Workspace,
    environment: &Environment,
    name: &str,
) -> Result<(), Error> {
    let requirements = workspace.root.join(format!("crates/xtask/requirements/{name}.txt"));
    let mut pip = environment.python();
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
    execute(pip.arg("--requirement").arg(requirements))
}

fn measure_boundary(
    workspace: &Workspace,
    environment: &Environment,
    results: Results,
) -> Result<(), Error> {
    let mut python = environment.python();
    python.arg(workspace.root.join("benches/python/run.py"));
    python.arg("--build").arg(workspace.target.join("boundary"));
    if results == Results::Written {
        python.arg(workspace.root.join(BOUNDARY));
    }
    execute(&mut python)
}

fn measure_copies(
    workspace: &Workspace,
    environment: &Environment,
    results: Results,
    form: Form,
) -> Result<(), Error> {
    let mut python = environment.python();
    python.arg(workspace.root.join("benches/python/run_copies.py"));
    python.arg("--files").arg(workspace.target.join("copies"));
    if form == Form::Quick {
        python.arg("--quick");
    }
    if results == Results::Written {
        python.arg(workspace.root.join(COPIES));
    }
    execute(&mut python)
}
