//! docs/rules.md is the rule book: every built rule has tests in the crates it names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::{Error, no_findings};
use crate::tokens;
use crate::workspace::Workspace;

const BOOK: &str = "docs/rules.md";

/// A row of the book: `| OWN-1 | sentence | built | storage, python |`.
struct Rule {
    id: String,
    is_built: bool,
    crates: Vec<String>,
}

/// Test names by the crate that holds them.
type Tests = BTreeMap<String, Vec<String>>;

/// Fails if book and tests disagree.
pub fn check(workspace: &Workspace) -> Result<(), Error> {
    let book = workspace.read(Path::new(BOOK))?;
    let (rules, mut findings) = read_book(&book);
    findings.extend(disagreements(&rules, &tests(workspace)?));
    no_findings("rules", findings)
}

fn read_book(book: &str) -> (Vec<Rule>, Vec<String>) {
    let mut findings = Vec::new();
    let mut rules = Vec::new();
    for row in book.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| id ")) {
        match read_row(row) {
            Some(rule) => rules.push(rule),
            None => findings.push(format!(
                "{BOOK}: expected `| id | rule | built or not built yet | crates |`, found `{row}`"
            )),
        }
    }
    (rules, findings)
}

fn read_row(row: &str) -> Option<Rule> {
    let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
    let &[id, _, state, crates] = cells.as_slice() else { return None };
    let is_built = match state {
        "built" => true,
        "not built yet" => false,
        _ => return None,
    };
    let crates = crates.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Some(Rule { id: id.to_owned(), is_built, crates })
}

/// Every test of the workspace, Rust and Python.
fn tests(workspace: &Workspace) -> Result<Tests, Error> {
    let folders = workspace.folders();
    let mut tests = Tests::new();
    for file in workspace.files()? {
        let path = workspace.root.join(&file);
        let owner = folders.iter().find(|(_, folder)| path.starts_with(folder));
        let Some((name, _)) = owner else { continue };
        let found = match file.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => tokens::test_functions(tokens::parse(&file, &workspace.read(&file)?)?),
            Some("py") => python_tests(&workspace.read(&file)?),
            _ => continue,
        };
        tests.entry((*name).to_owned()).or_default().extend(found);
    }
    Ok(tests)
}

fn python_tests(text: &str) -> Vec<String> {
    let names = text.lines().filter_map(|line| {
        let definition = line.trim_start().strip_prefix("def test_")?;
        definition.split('(').next().map(str::to_owned)
    });
    names.collect()
}

fn disagreements(rules: &[Rule], tests: &Tests) -> Vec<String> {
    let mut findings = unknown_ids(rules, tests);
    for rule in rules {
        let prefix = rule.id.to_lowercase().replace('-', "_") + "_";
        let is_tested = |tests: &Vec<String>| tests.iter().any(|test| test.starts_with(&prefix));
        if rule.is_built {
            let untested =
                rule.crates.iter().filter(|name| !tests.get(*name).is_some_and(is_tested));
            findings
                .extend(untested.map(|name| format!("{}: no test {prefix}* in {name}", rule.id)));
            if rule.crates.is_empty() {
                findings.push(format!("{}: built, but no crate tests it", rule.id));
            }
        } else if tests.values().any(is_tested) || !rule.crates.is_empty() {
            findings.push(format!("{}: stands as not built yet, but has tests", rule.id));
        }
    }
    findings
}

fn unknown_ids(rules: &[Rule], tests: &Tests) -> Vec<String> {
    let known: BTreeSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    let groups: BTreeSet<&str> = known.iter().filter_map(|id| id.split('-').next()).collect();
    let mut findings = Vec::new();
    for (name, tests) in tests {
        for test in tests {
            if let Some(id) = rule_of(test, &groups).filter(|id| !known.contains(id.as_str())) {
                findings.push(format!("{id}: not in {BOOK}, but {name} tests it ({test})"));
            }
        }
    }
    findings
}

/// `own_2_dropped_once` is a test of OWN-2; `own_types_print` is of no rule.
fn rule_of(test: &str, groups: &BTreeSet<&str>) -> Option<String> {
    let mut words = test.split('_');
    let (group, number) = (words.next()?.to_uppercase(), words.next()?);
    let is_rule = groups.contains(group.as_str()) && number.parse::<u32>().is_ok();
    is_rule.then(|| format!("{group}-{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::assert_passes;

    const FABRICATED: &str = "\
| id | rule | state | tested in |
|---|---|---|---|
| OWN-1 | Cloning shares. | built | storage, python |
| OWN-2 | Dropped once. | built | storage |
| DEV-1 | No device memory. | not built yet | |
";

    fn with(tests: &[(&str, &[&str])]) -> Vec<String> {
        let (rules, findings) = read_book(FABRICATED);
        assert_eq!(findings, [""; 0]);
        let tests = tests.iter().map(|(name, tests)| {
            ((*name).to_owned(), tests.iter().map(|test| (*test).to_owned()).collect())
        });
        disagreements(&rules, &tests.collect())
    }

    #[test]
    fn every_built_rule_is_tested_where_the_book_says() {
        assert_passes(check(&Workspace::load().unwrap()));
    }

    #[test]
    fn a_kept_book_passes() {
        let storage: &[&str] = &["own_1_clone_shares", "own_2_on_error", "own_names_print"];
        assert_eq!(with(&[("storage", storage), ("python", &["own_1_array_lives"])]), [""; 0]);
    }

    #[test]
    fn each_disagreement_is_found() {
        let storage: &[&str] = &["own_1_clone_shares", "own_20_on_error"];
        let found = with(&[("storage", storage), ("numpy", &["dev_1_refuses"])]);
        let expected = [
            "OWN-20: not in docs/rules.md, but storage tests it (own_20_on_error)",
            "OWN-1: no test own_1_* in python",
            "OWN-2: no test own_2_* in storage",
            "DEV-1: stands as not built yet, but has tests",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_malformed_row_is_found() {
        let (_, findings) = read_book("| OWN-1 | Cloning shares. | maybe | storage |\n| OWN-2 |\n");
        assert_eq!(findings.len(), 2);
    }

    #[test]
    fn python_tests_are_read_from_their_definitions() {
        let text = "def test_own_1_lives(a):\n# def test_own_2_no()\nclass T:\n    def test_shr_1(self):\n";
        assert_eq!(python_tests(text), ["own_1_lives", "shr_1"]);
    }
}
