//! `cargo xtask lint`: everything that is checked without running the project's code.

use crate::steps::Steps;
use crate::workspace::Workspace;

/// Formatting, clippy (which checks benches and examples too), docs without warnings.
pub fn run(workspace: &Workspace, steps: &mut Steps) {
    steps.command("formatting", &mut workspace.cargo(["fmt", "--all", "--check"]));
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    steps.command("clippy", &mut workspace.cargo(clippy));
    let mut docs = workspace.cargo(["doc", "--workspace", "--no-deps"]);
    steps.command("docs", docs.env("RUSTDOCFLAGS", "-D warnings"));
}
