//! `cargo xtask package`: the crates as they would be published.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, no_findings};
use crate::steps::{self, Steps};
use crate::workspace::{Package, Workspace};

/// What each package has to hold: its licence texts go where it goes.
const NEEDED: [&str; 3] = ["README.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// Most bytes of a package's files, unpacked: sources and small tables, no data.
const MOST_BYTES: u64 = 1 << 20;

/// Marks before the path of another file, in Rust and in Markdown.
const PATHS: [&str; 4] = ["include_str!(\"", "include_bytes!(\"", "#[path = \"", "](.."];

/// Packs every crate that can be published, in the order of the layers, and builds each from its
/// package alone, with all features.
pub fn run(workspace: &Workspace, steps: &mut Steps) {
    steps.run("what the packages hold", || check(workspace));
    steps.run("packages, built alone", || build(workspace));
}

fn build(workspace: &Workspace) -> Result<(), Error> {
    // What cargo unpacks of a place it takes for the same ever after, whatever was packed there since:
    // no two runs share one.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let path = workspace.target.join(format!("package-{now}"));
    let mut package = workspace.cargo(["package", "--locked", "--all-features", "--allow-dirty"]);
    // Cargo puts them in their order.
    package.args(published(workspace).flat_map(|package| ["--package", &package.name]));
    let built = steps::execute(package.arg("--target-dir").arg(&path));
    std::fs::remove_dir_all(&path).map_err(|source| Error::File { path, source })?;
    built
}

fn published(workspace: &Workspace) -> impl Iterator<Item = &Package> {
    workspace.packages.iter().filter(|package| package.is_published)
}

/// Fails if a package lacks a file, is large, or names a file that it does not hold.
pub fn check(workspace: &Workspace) -> Result<(), Error> {
    let mut findings = Vec::new();
    for package in published(workspace) {
        let mut list = workspace.cargo(["package", "--list", "--allow-dirty", "--package"]);
        let list = steps::output(list.arg(&package.name))?;
        let list = String::from_utf8_lossy(&list);
        let files: BTreeSet<&Path> = list.lines().map(Path::new).collect();
        let found = faults(&package.folder, &files)?;
        findings.extend(found.into_iter().map(|fault| format!("{}: {fault}", package.name)));
    }
    no_findings("package", findings)
}

fn faults(folder: &Path, files: &BTreeSet<&Path>) -> Result<Vec<String>, Error> {
    let missing = NEEDED.iter().filter(|name| !files.contains(Path::new(name)));
    let mut faults: Vec<String> = missing.map(|name| format!("holds no {name}")).collect();
    let mut bytes = 0;
    for file in files {
        let path = folder.join(file);
        // Cargo makes some of them itself.
        let Ok(metadata) = path.metadata() else { continue };
        bytes += metadata.len();
        let is_read =
            file.extension().is_some_and(|extension| extension == "rs" || extension == "md");
        if is_read {
            let text = std::fs::read_to_string(&path);
            let text = text.map_err(|source| Error::File { path: path.clone(), source })?;
            let outside = named_files(file, &text).filter(|named| !files.contains(&**named));
            let fault = |named: PathBuf| format!("{} needs {}", file.display(), named.display());
            faults.extend(outside.map(fault));
        }
    }
    if bytes > MOST_BYTES {
        faults.push(format!("{bytes} B, expected {MOST_BYTES} B at most"));
    }
    Ok(faults)
}

/// Files that `text` in `file` names by their place beside it.
fn named_files<'t>(file: &'t Path, text: &'t str) -> impl Iterator<Item = PathBuf> + 't {
    let folder = file.parent().unwrap_or(Path::new(""));
    let after = move |mark: &'static str| {
        let starts = text.match_indices(mark).map(|(at, _)| at + mark.len());
        // A link's path begins within its mark.
        let back = if mark.ends_with("..") { 2 } else { 0 };
        starts.filter_map(move |start| text[start - back..].split(['"', ')', '#']).next())
    };
    PATHS.into_iter().flat_map(after).map(|path| joined(folder, Path::new(path)))
}

/// `path` from `folder`, without steps back where there are steps forth.
fn joined(folder: &Path, path: &Path) -> PathBuf {
    path.components().fold(folder.to_path_buf(), |mut joined, component| {
        match component {
            Component::ParentDir if joined.file_name().is_some() => {
                joined.pop();
            }
            component => joined.push(component),
        }
        joined
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::assert_passes;

    #[test]
    fn the_packages_hold_what_they_need() {
        let workspace = Workspace::load().unwrap();
        assert_passes(check(&workspace));
        let names: Vec<&str> = published(&workspace).map(|package| package.name.as_str()).collect();
        assert!(names.contains(&"ndbridge") && names.contains(&"ndbridge-cuda-lazy"));
        assert!(!names.contains(&"xtask") && !names.contains(&"ndbridge-cuda-emulator"));
    }

    #[test]
    fn files_outside_of_a_package_are_found() {
        // In two halves, so that this file passes its own check.
        let text =
            ["include_str", "!(\"../README.md\") #[path ", "= \"../../b/tests/zoo/mod.rs\"]"]
                .concat();
        let named: Vec<PathBuf> = named_files(Path::new("tests/x/main.rs"), &text).collect();
        assert_eq!(named, ["tests/README.md", "b/tests/zoo/mod.rs"].map(PathBuf::from));
        let link = ["see [dtype]", "(../dtype) and [here](src)"].concat();
        let named: Vec<PathBuf> = named_files(Path::new("README.md"), &link).collect();
        assert_eq!(named, [PathBuf::from("../dtype")]);
    }

    #[test]
    fn a_package_without_a_licence_is_found() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = BTreeSet::from([Path::new("README.md"), Path::new("LICENSE-MIT")]);
        assert_eq!(faults(folder, &files).unwrap(), ["holds no LICENSE-APACHE"]);
    }
}
