//! The stubs of the Python package: checked by two type checkers, against typed uses of them and
//! against the built module.

use std::path::Path;

use crate::error::Error;
use crate::python::{Environment, PACKAGE};
use crate::steps::execute;
use crate::workspace::Workspace;

/// Runs mypy, pyright and mypy's stubtest.
pub fn check(workspace: &Workspace, wheel: &Path) -> Result<(), Error> {
    let environment = Environment::named(workspace, "typing")?;
    environment.install(wheel)?;
    let python = |module| {
        let mut command = environment.python();
        command.current_dir(&workspace.root).args(["-m", module]);
        command
    };
    let cases = format!("{PACKAGE}/tests/typing_cases.py");
    let mut mypy = python("mypy");
    mypy.arg("--strict").arg("--cache-dir").arg(workspace.target.join("typing").join("mypy"));
    execute(mypy.arg(format!("{PACKAGE}/python")).arg(&cases))?;
    let mut pyright = python("pyright");
    // No look for a newer version.
    pyright.env("PYRIGHT_PYTHON_IGNORE_WARNINGS", "1");
    pyright.arg("--warnings").arg("--pythonpath").arg(environment.python().get_program());
    // The stubs as installed, beside the compiled module.
    execute(pyright.arg(environment.packages()?.join("ndbridge")).arg(&cases))?;
    let mut stubtest = python("mypy.stubtest");
    // Some lines are needed by some versions of Python only.
    stubtest.args(["ndbridge", "--ignore-unused-allowlist", "--allowlist"]);
    execute(stubtest.arg(format!("{PACKAGE}/tests/stubtest_allowlist.txt")))
}
