//! Which Pythons the modules are for: all with the stable ABI that they name, none without a GIL.

use std::fs;
use std::process::Stdio;

use crate::error::{Error, no_findings};
use crate::python::{EXAMPLE, Environment, PACKAGE};
use crate::steps::{display, execute};
use crate::workspace::Workspace;

/// PyO3's description of a Python without a GIL, as it would find one.
const WITHOUT_GIL: &str = "\
implementation=CPython
version=3.14
shared=true
pointer_width=64
build_flags=Py_GIL_DISABLED
suppress_build_script_link_lines=true
";
const SENTENCE: &str = "ndbridge lends no memory to or from a Python without a GIL";

/// Builds the wheels as they are tested, and looks for symbols that the stable ABI does not have.
pub fn is_stable(workspace: &Workspace) -> Result<(), Error> {
    let environment = Environment::named(workspace, "lint")?;
    let mut audit = environment.python();
    audit.args(["-m", "abi3audit", "--strict", "--summary"]);
    for folder in [PACKAGE, EXAMPLE] {
        audit.arg(environment.build(workspace, folder)?);
    }
    execute(&mut audit)
}

/// Checks that an extension module for a Python without a GIL does not compile, and says why.
pub fn needs_gil(workspace: &Workspace) -> Result<(), Error> {
    let folder = workspace.target.join("without-gil");
    let config = folder.join("pyo3.txt");
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&config, WITHOUT_GIL));
    written.map_err(|source| Error::File { path: config.clone(), source })?;
    let manifest = workspace.root.join(EXAMPLE).join("Cargo.toml");
    let mut check = workspace.cargo(["check", "--quiet", "--manifest-path"]);
    check.arg(manifest).arg("--target-dir").arg(&folder).env("PYO3_CONFIG_FILE", &config);
    eprintln!("  $ {}", display(&check));
    let checked = check.stdin(Stdio::null()).output();
    let checked = checked.map_err(|source| Error::Start { command: display(&check), source })?;
    let text = String::from_utf8_lossy(&checked.stderr);
    no_findings("Pythons without a GIL", objections(checked.status.success(), &text))
}

fn objections(compiles: bool, text: &str) -> Vec<String> {
    match (compiles, text.contains(SENTENCE)) {
        (true, _) => vec![format!("{EXAMPLE} compiles for one")],
        (false, false) => vec![format!("expected \"{SENTENCE}\" of the compiler, found:\n{text}")],
        (false, true) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_that_fails_for_another_reason_is_not_refused() {
        assert_eq!(objections(false, &format!("error: {SENTENCE}, whose")), [""; 0]);
        assert_eq!(objections(false, "error: no linker").len(), 1);
        assert_eq!(objections(true, "").len(), 1);
    }
}
