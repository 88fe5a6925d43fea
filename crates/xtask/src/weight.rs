//! How many crates of others the facade brings along.

use std::collections::BTreeSet;

use crate::error::{Error, no_findings};
use crate::steps;
use crate::workspace::Workspace;

/// A way to depend on `ndbridge`, and what it may cost.
struct Form {
    features: &'static [&'static str],
    /// Most crates of others.
    most: usize,
    /// Crates that it has to do without.
    without: &'static [&'static str],
}

/// What archives and replaced files could bring.
const FILES: [&str; 5] = ["crc32fast", "flate2", "tempfile", "zip", "zlib-rs"];

const FORMS: [Form; 3] = [
    Form { features: &[], most: 29, without: &["tempfile", "zip"] },
    Form { features: &["--no-default-features"], most: 26, without: &FILES },
    Form {
        features: &["--no-default-features", "--features", "python"],
        most: 32,
        without: &FILES,
    },
];

/// Fails if a form of the facade brings more crates than it may, or one that it has to do without.
pub fn check(workspace: &Workspace) -> Result<(), Error> {
    let mut findings = Vec::new();
    for form in &FORMS {
        let tree = ["tree", "--package", "ndbridge", "--edges", "normal", "--prefix", "none"];
        let mut command = workspace.cargo(tree);
        // The same everywhere.
        command.args(["--locked", "--target", "x86_64-unknown-linux-gnu"]).args(form.features);
        let tree = steps::output(&mut command)?;
        let members = workspace.packages.iter().map(|package| package.name.as_str());
        let others = others(&String::from_utf8_lossy(&tree), &members.collect());
        findings.extend(form.findings(&others));
    }
    no_findings("weight", findings)
}

/// Names and versions of the crates in a tree that are not of the workspace.
fn others(tree: &str, members: &BTreeSet<&str>) -> BTreeSet<String> {
    let crates = tree.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (name, version) = (words.next()?, words.next()?);
        (!members.contains(name)).then(|| format!("{name} {version}"))
    });
    crates.collect()
}

impl Form {
    fn findings(&self, others: &BTreeSet<String>) -> Vec<String> {
        let (form, most) = (self.features.join(" "), self.most);
        let is_named =
            |name: &str| others.iter().any(|other| other.split(' ').next() == Some(name));
        let unwanted = self.without.iter().filter(|name| is_named(name));
        let mut findings: Vec<String> =
            unwanted.map(|name| format!("ndbridge {form} brings {name}")).collect();
        if others.len() > most {
            let (found, names) = (others.len(), others.iter().cloned().collect::<Vec<_>>());
            let names = names.join(", ");
            findings
                .push(format!("ndbridge {form}: {found} crates, expected {most} at most: {names}"));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::assert_passes;

    #[test]
    fn the_facade_is_light() {
        assert_passes(check(&Workspace::load().unwrap()));
    }

    #[test]
    fn a_crate_too_many_and_an_unwanted_one_are_found() {
        let tree = "ndbridge v0.1.0 (/here)\nsyn v2.0.1\nsyn v3.0.1 (*)\nzip v9.0.0 (proc-macro)\nsyn v2.0.1";
        let others = others(tree, &BTreeSet::from(["ndbridge"]));
        assert_eq!(others, ["syn v2.0.1", "syn v3.0.1", "zip v9.0.0"].map(String::from).into());
        let form = |most, without| Form { features: &["--all"], most, without };
        assert_eq!(form(3, &["tempfile"]).findings(&others), [""; 0]);
        assert_eq!(form(3, &["zip"]).findings(&others), ["ndbridge --all brings zip"]);
        let many = form(2, &[]).findings(&others);
        assert_eq!(many.len(), 1);
        assert!(many[0].starts_with("ndbridge --all: 3 crates, expected 2 at most: syn v2.0.1"));
    }
}
