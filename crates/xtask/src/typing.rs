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
    let cache = workspace.target.join("typing").join("mypy");
    let sources = [format!("{PACKAGE}/python"), format!("{PACKAGE}/tests/typing_cases.py")];
    execute(python("mypy").arg("--strict").arg("--cache-dir").arg(&cache).args(&sources))?;
    let mut pyright = python("pyright");
    // No look for a newer version.
    pyright.env("PYRIGHT_PYTHON_IGNORE_WARNINGS", "1");
    pyright.arg("--warnings").arg("--pythonpath").arg(environment.python().get_program());
    execute(pyright.args(&sources))?;
    execute(python("mypy.stubtest").arg("ndbridge"))
}
