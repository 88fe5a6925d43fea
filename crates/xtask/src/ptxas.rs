//! The CUDA kernels, assembled by NVIDIA's assembler: tests on the emulated driver run the host's
//! build of their source, so only this reads the PTX that is shipped.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use flate2::read::ZlibDecoder;

use crate::error::{Error, no_findings};
use crate::ptx::PTX;
use crate::python::Environment;
use crate::steps::display;
use crate::workspace::Workspace;

/// From the first GPU that the PTX is for to the one it is measured on.
const TARGETS: [&str; 3] = ["sm_70", "sm_80", "sm_90"];

/// Assembles every kernel for each target.
pub fn check(workspace: &Workspace) -> Result<(), Error> {
    let environment = Environment::named(workspace, "ptxas")?;
    let assembler = environment.packages()?.join("nvidia/cuda_nvcc/bin/ptxas");
    let text = unpacked(&workspace.root.join(PTX))?;
    let source = workspace.target.join("ptxas").join("kernels.ptx");
    fs::write(&source, &text)
        .map_err(|error| Error::File { path: source.clone(), source: error })?;
    let kernels = text.matches(".visible .entry ").count();
    let findings: Result<Vec<_>, Error> = thread::scope(|scope| {
        let assemble = |target| {
            let (assembler, source) = (&assembler, &source);
            let said = scope.spawn(move || assemble(assembler, target, source));
            move || Ok(objections(target, kernels, &said.join().expect("no panic of ours")?))
        };
        TARGETS.map(assemble).into_iter().map(|wait| wait()).collect()
    });
    no_findings("PTX", findings?.concat())
}

fn unpacked(path: &Path) -> Result<String, Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let mut text = String::new();
    let packed = fs::File::open(path).map_err(failed)?;
    ZlibDecoder::new(packed).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// Whether it was assembled, and what the assembler says.
struct Said {
    is_done: bool,
    text: String,
}

fn assemble(assembler: &Path, target: &str, source: &Path) -> Result<Said, Error> {
    let mut command = Command::new(assembler);
    command.arg(format!("--gpu-name={target}")).args(["--verbose", "--output-file", "/dev/null"]);
    command.arg(source).stdin(Stdio::null());
    eprintln!("  $ {}", display(&command));
    let output = command.output();
    let output = output.map_err(|source| Error::Start { command: display(&command), source })?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(Said { is_done: output.status.success(), text })
}

/// Each kernel is to be assembled, to need no memory for registers that it lacks, and without a word
/// of warning.
fn objections(target: &str, kernels: usize, said: &Said) -> Vec<String> {
    let lines = || said.text.lines().map(str::trim).filter(|line| !line.is_empty());
    if !said.is_done {
        return vec![format!("{target}: {}", lines().collect::<Vec<_>>().join("\n    "))];
    }
    let mut findings = Vec::new();
    let count = lines().filter(|line| line.contains("Compiling entry function")).count();
    if count != kernels {
        findings.push(format!("{target}: expected {kernels} kernels, {count} assembled"));
    }
    let is_spill = |line: &str| {
        line.contains("spill stores") && !line.starts_with("0 bytes stack frame, 0 bytes spill")
    };
    let wrong = lines().filter(|line| is_spill(line) || line.contains("warning"));
    findings.extend(wrong.map(|line| format!("{target}: {line}")));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: &str = "\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'fill_1' for 'sm_70'
ptxas info    : Function properties for fill_1
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers, used 0 barriers, 624 bytes cmem[0]
";

    fn objections_to(is_done: bool, text: &str) -> Vec<String> {
        objections("sm_70", 1, &Said { is_done, text: text.to_owned() })
    }

    #[test]
    fn what_is_assembled_without_a_word_is_right() {
        assert_eq!(objections_to(true, WELL), [""; 0]);
    }

    #[test]
    fn each_kind_of_mistake_is_told() {
        let spilling = WELL.replace("0 bytes spill stores", "8 bytes spill stores");
        let warned = format!("{WELL}ptxas warning : too many\n");
        let failed = "ptxas kernels.ptx, line 7; error : no such thing\n";
        for (is_done, text, found) in [
            (true, "", "expected 1 kernels, 0 assembled"),
            (true, &spilling, "8 bytes spill"),
            (true, &warned, "too many"),
            (false, failed, "no such thing"),
        ] {
            let findings = objections_to(is_done, text);
            assert_eq!(findings.len(), 1, "{findings:?}");
            assert!(findings[0].contains(found), "{findings:?}");
        }
    }
}
