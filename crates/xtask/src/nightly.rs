//! A nightly toolchain, for what the stable one cannot do.

use std::ffi::OsStr;
use std::process::Command;

use crate::error::Error;
use crate::steps::execute;
use crate::workspace::Workspace;

/// The nightly's `cargo`, run in the workspace's root.
pub fn cargo<I: AsRef<OsStr>>(
    workspace: &Workspace,
    arguments: impl IntoIterator<Item = I>,
) -> Command {
    let mut command = Command::new("rustup");
    command.current_dir(&workspace.root).args(["run", "nightly", "cargo"]).args(arguments);
    // Set by the cargo that started us; a stable compiler would be taken for the nightly's.
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH"] {
        command.env_remove(name);
    }
    command
}

/// Makes sure of a nightly with these components; what is there is left as it is.
pub fn install(components: &[&'static str]) -> Result<(), Error> {
    for &component in components {
        if has(component) {
            continue;
        }
        let words =
            ["toolchain", "install", "nightly", "--profile=minimal", "--component", component];
        let mut command = Command::new("rustup");
        execute(command.args(words)).map_err(|_| Error::NoNightly {
            component,
            command: format!("rustup {}", words.join(" ")),
        })?;
    }
    Ok(())
}

fn has(component: &str) -> bool {
    let mut list = Command::new("rustup");
    list.args(["component", "list", "--toolchain", "nightly", "--installed"]);
    list.output().is_ok_and(|listed| {
        let names = String::from_utf8_lossy(&listed.stdout);
        listed.status.success() && names.lines().any(|line| line.starts_with(component))
    })
}
