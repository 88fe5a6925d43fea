//! Strict layers: a crate names only crates below it, in its tests too.

use crate::error::{Error, no_findings};
use crate::workspace::{Package, Workspace};

/// Each crate of the workspace and the crates of the workspace that it may name. Crates that stand
/// side by side (`dtype`, `layout` and `cuda-lazy`; `numpy`, `dlpack` and `cuda`) never name each other.
const LAYERS: [(&str, &[&str]); 19] = [
    ("ndbridge-dtype", &[]),
    ("ndbridge-layout", &[]),
    ("ndbridge-cuda-lazy", &[]),
    ("ndbridge-cuda-kernels", &["ndbridge-dtype"]),
    ("ndbridge-cuda-emulator", &["ndbridge-cuda-kernels", "ndbridge-cuda-lazy"]),
    ("ndbridge-cuda-emulator-driver", &["ndbridge-cuda-kernels", "ndbridge-cuda-lazy"]),
    ("ndbridge-ledger", &["ndbridge-layout"]),
    ("ndbridge-storage", &["ndbridge-layout", "ndbridge-ledger"]),
    ("ndbridge-tensor", &["ndbridge-dtype", "ndbridge-layout", "ndbridge-storage"]),
    (
        "ndbridge-cuda",
        &[
            "ndbridge-cuda-lazy",
            "ndbridge-cuda-kernels",
            "ndbridge-dtype",
            "ndbridge-layout",
            "ndbridge-storage",
            "ndbridge-tensor",
        ],
    ),
    ("ndbridge-dlpack", &CORE),
    ("ndbridge-interpreter", &CORE),
    (
        "ndbridge-numpy",
        &[
            "ndbridge-dtype",
            "ndbridge-layout",
            "ndbridge-storage",
            "ndbridge-tensor",
            "ndbridge-interpreter",
        ],
    ),
    (
        "ndbridge-python",
        &[
            "ndbridge-dtype",
            "ndbridge-layout",
            "ndbridge-storage",
            "ndbridge-tensor",
            "ndbridge-interpreter",
            "ndbridge-dlpack",
            "ndbridge-numpy",
        ],
    ),
    ("ndbridge", &LIBRARIES),
    ("ndbridge-wheel", &["ndbridge"]),
    ("example-extension", &["ndbridge"]),
    ("ndbridge-benches", &["ndbridge"]),
    ("xtask", &[]),
];

/// What a tensor is made of.
const CORE: [&str; 4] =
    ["ndbridge-dtype", "ndbridge-layout", "ndbridge-storage", "ndbridge-tensor"];

/// What the facade is composed of.
const LIBRARIES: [&str; 7] = [
    "ndbridge-dtype",
    "ndbridge-storage",
    "ndbridge-tensor",
    "ndbridge-cuda",
    "ndbridge-dlpack",
    "ndbridge-numpy",
    "ndbridge-python",
];

/// The emulated driver, for tests only, and the crates whose tests run on it: the back end, and the
/// facade, where it meets the formats.
const EMULATOR: (&str, &[&str]) = ("ndbridge-cuda-emulator", &["ndbridge-cuda", "ndbridge"]);

/// Subjects that only some crates know: Python, files, CUDA, ndarray's types.
const SUBJECTS: [(&str, &[&str]); 6] = [
    (
        "pyo3",
        &[
            "ndbridge-interpreter",
            "ndbridge-numpy",
            "ndbridge-python",
            "ndbridge-wheel",
            "example-extension",
        ],
    ),
    ("flate2", &["ndbridge-numpy", "ndbridge-cuda-kernels", "xtask"]),
    ("memmap2", &["ndbridge-storage"]),
    (
        "cust",
        &[
            "ndbridge-cuda-lazy",
            "ndbridge-cuda-emulator",
            "ndbridge-cuda-emulator-driver",
            "ndbridge-cuda",
        ],
    ),
    (
        "ndarray",
        &[
            "ndbridge-tensor",
            "ndbridge-dlpack",
            "ndbridge-numpy",
            "ndbridge-python",
            "ndbridge",
            "ndbridge-benches",
            "example-extension",
        ],
    ),
    ("half", &["ndbridge-dtype", "ndbridge-benches"]),
];

/// Fails on a dependency (normal, dev or build) that points upward or sideways.
pub fn check(workspace: &Workspace) -> Result<(), Error> {
    no_findings("layers", breaks(&workspace.packages))
}

fn breaks(packages: &[Package]) -> Vec<String> {
    let is_member = |name: &str| packages.iter().any(|package| package.name == name);
    let mut found = Vec::new();
    for package in packages {
        let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == package.name) else {
            found.push(format!("{} has no place in the layer table", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            let tests_on_it = dependency.name == EMULATOR.0
                && dependency.kind == "dev"
                && EMULATOR.1.contains(&package.name.as_str());
            let upward = is_member(&dependency.name)
                && !below.contains(&dependency.name.as_str())
                && !tests_on_it;
            if upward || is_foreign(&package.name, &dependency.name) {
                let (from, to) = (&package.name, &dependency.name);
                found.push(format!("{from} names {to} ({} dependency)", dependency.kind));
            }
        }
    }
    found
}

fn is_foreign(package: &str, dependency: &str) -> bool {
    SUBJECTS.iter().any(|(subject, knowing)| *subject == dependency && !knowing.contains(&package))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::assert_passes;
    use crate::workspace::Dependency;

    fn package(name: &str, dependencies: &[(&str, &str)]) -> Package {
        let dependencies = dependencies.iter().map(|(name, kind)| {
            let (name, kind) = ((*name).to_owned(), (*kind).to_owned());
            Dependency { name, kind, is_optional: false }
        });
        Package {
            name: name.to_owned(),
            folder: "".into(),
            is_published: true,
            dependencies: dependencies.collect(),
            tests: Vec::new(),
        }
    }

    #[test]
    fn the_workspace_is_layered() {
        let workspace = Workspace::load().unwrap();
        assert_passes(check(&workspace));
        for (name, _) in LAYERS {
            let known = workspace.packages.iter().any(|package| package.name == name);
            assert!(known, "{name} stands in the layer table, not in the workspace");
        }
    }

    #[test]
    fn a_layered_graph_passes() {
        let graph = [
            package("ndbridge-dtype", &[("half", "normal"), ("proptest", "dev")]),
            package("ndbridge-storage", &[]),
            package(
                "ndbridge-cuda",
                &[("ndbridge-tensor", "normal"), ("ndbridge-cuda-emulator", "dev")],
            ),
            package("ndbridge-cuda-emulator", &[]),
            package(
                "ndbridge-tensor",
                &[("ndbridge-dtype", "normal"), ("ndbridge-storage", "normal")],
            ),
        ];
        assert_eq!(breaks(&graph), [""; 0]);
    }

    #[test]
    fn every_upward_or_sideways_dependency_is_found() {
        let graph = [
            package("ndbridge-dtype", &[("ndbridge-storage", "normal")]),
            package("ndbridge-storage", &[("ndbridge-tensor", "dev")]),
            package("ndbridge-cuda", &[("ndbridge-numpy", "dev")]),
            package("ndbridge-wheel", &[("ndbridge-cuda-emulator", "dev")]),
            package("ndbridge-tensor", &[("ndbridge", "build"), ("pyo3", "normal")]),
            package("ndbridge", &[("ndbridge-tensor", "normal")]),
            package("ndbridge-newcomer", &[]),
            package("ndbridge-numpy", &[("ndbridge-cuda-emulator", "normal")]),
            package("ndbridge-cuda-emulator", &[]),
        ];
        let expected = [
            "ndbridge-dtype names ndbridge-storage (normal dependency)",
            "ndbridge-storage names ndbridge-tensor (dev dependency)",
            "ndbridge-cuda names ndbridge-numpy (dev dependency)",
            "ndbridge-wheel names ndbridge-cuda-emulator (dev dependency)",
            "ndbridge-tensor names ndbridge (build dependency)",
            "ndbridge-tensor names pyo3 (normal dependency)",
            "ndbridge-newcomer has no place in the layer table",
            "ndbridge-numpy names ndbridge-cuda-emulator (normal dependency)",
        ];
        assert_eq!(breaks(&graph), expected);
    }
}
