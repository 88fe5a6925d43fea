//! No binary names the CUDA driver: it is looked for when a device is asked for, so that everything
//! else works without one, and nobody's look-up of a driver function finds ours.

use std::path::Path;
use std::process::Command;

use crate::cuda_tests::Binary;
use crate::error::{Error, no_findings};
use crate::steps::output;

const LIBRARY: &str = "libcuda";

/// What a binary is, which decides what it may export.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// Loaded into a process that has libraries of its own.
    Extension,
    Program,
}

/// Checks the compiled module of the Python package where it is installed.
pub fn check_module(packages: &Path) -> Result<(), Error> {
    let folder = packages.join("ndbridge");
    let entries = std::fs::read_dir(&folder)
        .map_err(|source| Error::File { path: folder.clone(), source })?;
    let mut files = entries.filter_map(Result::ok).map(|entry| entry.path());
    let is_module = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "so");
    let module = files.find(is_module).ok_or(Error::NoModule { folder })?;
    check(&module, Kind::Extension)
}

/// Checks test binaries.
pub fn check_programs(binaries: &[Binary]) -> Result<(), Error> {
    binaries.iter().try_for_each(|binary| check(&binary.file, Kind::Program))
}

fn check(file: &Path, kind: Kind) -> Result<(), Error> {
    let sections = output(Command::new("readelf").args(["--dynamic", "--wide"]).arg(file))?;
    let symbols = output(Command::new("nm").args(["--dynamic", "--no-demangle"]).arg(file))?;
    let (sections, symbols) =
        (String::from_utf8_lossy(&sections), String::from_utf8_lossy(&symbols));
    let mut findings = needed(&sections);
    findings.extend(named(&symbols, kind));
    let findings = findings.into_iter().map(|finding| format!("{}: {finding}", file.display()));
    no_findings("driver symbols", findings.collect())
}

/// Lines of `readelf --dynamic` that make the loader look for the driver.
fn needed(sections: &str) -> Vec<String> {
    let is_driver = |line: &&str| line.contains("(NEEDED)") && line.contains(LIBRARY);
    sections.lines().filter(is_driver).map(|line| format!("loads{}", after_type(line))).collect()
}

fn after_type(line: &str) -> &str {
    line.split_once("Shared library:").map_or(line, |(_, name)| name)
}

/// Functions of the driver among the dynamic symbols of `nm`: undefined ones, and, of an extension,
/// those that it would give to others.
fn named(symbols: &str, kind: Kind) -> Vec<String> {
    let mut findings = Vec::new();
    for line in symbols.lines() {
        let mut words = line.split_whitespace().rev();
        let (Some(name), Some(letter)) = (words.next(), words.next()) else { continue };
        if !is_of_driver(name) {
            continue;
        }
        match letter {
            "U" | "w" | "v" => findings.push(format!("does not define {name}")),
            _ if kind == Kind::Extension => findings.push(format!("exports {name}")),
            _ => {}
        }
    }
    findings
}

/// `cuInit`, `cuMemAlloc_v2`: two letters, then a capital.
fn is_of_driver(name: &str) -> bool {
    let name = name.split('@').next().unwrap_or(name);
    name.strip_prefix("cu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: &str = "\
Dynamic section at offset 0x2e08 contains 27 entries:
  Tag        Type                         Name/Value
 0x0000000000000001 (NEEDED)             Shared library: [libgcc_s.so.1]
 0x000000000000000e (SONAME)             Library soname: [libcuda_is_not_needed.so]
";

    #[test]
    fn a_library_that_is_loaded_is_found() {
        assert_eq!(needed(CLEAN), [""; 0]);
        let with_driver = format!(
            "{CLEAN} 0x0000000000000001 (NEEDED)             Shared library: [libcuda.so.1]\n"
        );
        assert_eq!(needed(&with_driver), ["loads [libcuda.so.1]"]);
    }

    #[test]
    fn symbols_of_the_driver_are_found() {
        let symbols = "\
0000000000012340 T PyInit__ndbridge
                 U PyExc_ValueError
                 U curl_easy_init
                 w __cxa_finalize@GLIBC_2.2.5
                 U cuInit
                 w cuMemAlloc_v2@CUDA
0000000000045670 T cuLaunchKernel
";
        let undefined = ["does not define cuInit", "does not define cuMemAlloc_v2@CUDA"];
        assert_eq!(named(symbols, Kind::Program), undefined);
        let exported = [undefined.as_slice(), &["exports cuLaunchKernel"]].concat();
        assert_eq!(named(symbols, Kind::Extension), exported);
        let first_two: Vec<_> = symbols.lines().take(4).collect();
        assert_eq!(named(&first_two.join("\n"), Kind::Extension), [""; 0]);
    }
}
