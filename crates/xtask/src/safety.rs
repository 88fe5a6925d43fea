//! docs/safety.md lists every file with unsafe code, and nothing else opens one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};

use crate::error::{Error, no_findings};
use crate::tokens;
use crate::workspace::Workspace;

const BOOK: &str = "docs/safety.md";
const HEADING: &str = "## Files with unsafe code";

/// Fails unless the list and the sources agree and each file is opened at its `mod` line.
pub fn check(workspace: &Workspace) -> Result<(), Error> {
    let listed = listed(&workspace.read(Path::new(BOOK))?);
    let mut unsafe_files = BTreeSet::new();
    let mut findings = Vec::new();
    for file in workspace.rust_files()? {
        let code = tokens::parse(&file, &workspace.read(&file)?)?;
        if tokens::contains(code.clone(), "unsafe") {
            if !is_opened(workspace, &file, code)? {
                findings.push(format!("{} is not opened at its mod line", file.display()));
            }
            unsafe_files.insert(file);
        }
    }
    findings.extend(differences(&listed, &unsafe_files));
    no_findings("safety", findings)
}

/// Paths in the first column of the table under the heading.
fn listed(book: &str) -> BTreeSet<PathBuf> {
    let section = book.lines().skip_while(|line| *line != HEADING).skip(1);
    let rows = section.take_while(|line| !line.starts_with("## "));
    rows.filter_map(|row| row.strip_prefix("| `")?.split('`').next()).map(PathBuf::from).collect()
}

fn differences(listed: &BTreeSet<PathBuf>, found: &BTreeSet<PathBuf>) -> Vec<String> {
    let missing = found.difference(listed);
    let missing =
        missing.map(|file| format!("{} has unsafe code: list it in {BOOK}", file.display()));
    let stale = listed.difference(found);
    let stale =
        stale.map(|file| format!("{} is listed in {BOOK}, has no unsafe code", file.display()));
    missing.chain(stale).collect()
}

// A module is opened by its parent, the root file of a test or a bench by itself. The root of a
// library would open the whole crate.
fn is_opened(workspace: &Workspace, file: &Path, code: TokenStream) -> Result<bool, Error> {
    if file.ends_with("src/lib.rs") || file.ends_with("src/main.rs") {
        return Ok(false);
    }
    if opened_modules(code).contains(&Opened::Here) {
        return Ok(true);
    }
    let Some((module, parents)) = module_and_parents(file) else { return Ok(false) };
    for parent in parents {
        if let Ok(text) = workspace.read(&parent) {
            let opened = opened_modules(tokens::parse(&parent, &text)?);
            if opened.contains(&Opened::Module(module.clone())) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Name of the module in `file`, and the files that may hold its `mod` line.
fn module_and_parents(file: &Path) -> Option<(String, Vec<PathBuf>)> {
    let file =
        if file.ends_with("mod.rs") { file.parent()?.with_extension("rs") } else { file.into() };
    let folder = file.parent()?;
    let roots = ["lib.rs", "main.rs", "mod.rs"].map(|root| folder.join(root));
    let module = file.file_stem()?.to_str()?.to_owned();
    Some((module, roots.into_iter().chain([folder.with_extension("rs")]).collect()))
}

#[derive(PartialEq)]
enum Opened {
    /// `#![expect(unsafe_code)]`, or the attribute on an item of this file.
    Here,
    /// `#[expect(unsafe_code)] mod name;`
    Module(String),
}

fn opened_modules(code: TokenStream) -> Vec<Opened> {
    let mut opened = Vec::new();
    let (mut marked, mut after_mod) = (false, false);
    for token in code {
        match token {
            TokenTree::Group(group) if is_expectation(group.stream()) => marked = true,
            TokenTree::Group(_) => {}
            TokenTree::Ident(word) if word == "mod" => after_mod = true,
            TokenTree::Ident(name) if marked && after_mod => {
                opened.push(Opened::Module(name.to_string()));
                (marked, after_mod) = (false, false);
            }
            TokenTree::Ident(word) if marked && word != "pub" => {
                opened.push(Opened::Here);
                marked = false;
            }
            TokenTree::Ident(_) => after_mod = false,
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    opened
}

fn is_expectation(attribute: TokenStream) -> bool {
    tokens::contains(attribute.clone(), "expect") && tokens::contains(attribute, "unsafe_code")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::assert_passes;

    #[test]
    fn every_file_with_unsafe_code_is_listed_and_opened() {
        assert_passes(check(&Workspace::load().unwrap()));
    }

    #[test]
    fn missing_and_stale_rows_are_found() {
        let book = format!(
            "| `before.rs` |\n{HEADING}\n| file | why |\n|---|---|\n| `a.rs` | reads |\n\
             | `gone.rs` | was |\n## Next\n| `after.rs` |\n"
        );
        let found = ["a.rs", "new.rs"].map(PathBuf::from).into();
        let expected = [
            "new.rs has unsafe code: list it in docs/safety.md",
            "gone.rs is listed in docs/safety.md, has no unsafe code",
        ];
        assert_eq!(differences(&listed(&book), &found), expected);
    }

    #[test]
    fn a_module_is_opened_by_its_own_line() {
        let text = "#[expect(unsafe_code, reason = \"r\")]\npub mod copy;\nmod plan;\n";
        let opened = opened_modules(text.parse().unwrap());
        assert!(opened == [Opened::Module("copy".to_owned())]);
        let here = "#![expect(unsafe_code, reason = \"r\")]\nuse std::fmt;\nmod plan;\n";
        assert!(opened_modules(here.parse().unwrap()) == [Opened::Here]);
    }

    #[test]
    fn a_module_file_has_its_line_in_the_folder_above_or_the_root() {
        let (module, parents) = module_and_parents(Path::new("src/copy/mod.rs")).unwrap();
        assert_eq!(module, "copy");
        assert!(parents.contains(&PathBuf::from("src/lib.rs")));
        let (module, parents) = module_and_parents(Path::new("src/copy/tiles.rs")).unwrap();
        assert_eq!(module, "tiles");
        assert!(parents.contains(&PathBuf::from("src/copy.rs")));
    }
}
