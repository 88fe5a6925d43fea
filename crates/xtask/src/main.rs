//! Project tasks, run as `cargo xtask TASK`: demo, tests, sanitizers, structure checks.

mod bench;
mod cuda_tests;
mod demo;
mod driver_symbols;
mod error;
mod gpu_kit;
mod hygiene;
mod interpreters;
mod layers;
mod lint;
mod nightly;
mod package;
mod ptx;
mod ptxas;
mod python;
mod python_abi;
mod rules;
mod safety;
mod sanitize;
mod steps;
mod suite;
mod tokens;
mod typing;
mod weight;
mod workspace;

use std::process::ExitCode;

use bench::{Form, Results};
use error::Error;
use steps::Steps;
use suite::{Half, Peers};
use workspace::Workspace;

const USAGE: &str = "\
cargo xtask TASK

  demo                       run the main job on real NumPy arrays and files, checking every promise
  test [--rust | --python [--peers] | --peers]
                             run every test, or one half; --peers: with PyTorch, TensorFlow and JAX,
                             downloaded once for all checkouts (7 GB)
  bench --python [--write]   time the Python boundary beside peers; --write: to docs/performance
  bench --peers [--write] [--quick]
                             time copies, conversions and files beside peers; --quick: a look
  gpu-kit [--out DIR | --dry]
                             tests and benchmarks for a machine with a GPU, where `python3 run.py`
                             runs them without Rust or a network; in target/gpu-kit unless
                             said; --dry: a short run on the emulated driver instead, as `test` does
  lint                       formatting, clippy, docs, the stable ABI of the wheels, the kernels'
                             PTX by NVIDIA's assembler
  sanitize [--quick]         Miri (both borrow models) and AddressSanitizer; --quick is CI's form
  package                    pack every crate that is published, and build each from its package
  ptx [--check]              compile the CUDA kernels to crates/cuda-kernels/kernels.ptx.z; --check:
                             have NVIDIA's assembler read what is there, as lint does
  ci                         lint, test --peers, package, demo, sanitize --quick
  layers | rules | safety | hygiene
                             one structure check (`test` runs all four)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<(), Error> {
    let workspace = Workspace::load()?;
    let mut steps = Steps::default();
    match words {
        ["demo"] => demo::run(&workspace, &mut steps),
        ["test"] => suite::run(&workspace, &mut steps, Half::Both, Peers::NumPy),
        ["test", "--peers"] => suite::run(&workspace, &mut steps, Half::Both, Peers::All),
        ["test", "--rust"] => suite::run(&workspace, &mut steps, Half::Rust, Peers::NumPy),
        ["test", "--python"] => suite::run(&workspace, &mut steps, Half::Python, Peers::NumPy),
        ["test", "--python", "--peers"] => {
            suite::run(&workspace, &mut steps, Half::Python, Peers::All);
        }
        ["bench", "--python"] => bench::boundary(&workspace, &mut steps, Results::Printed),
        ["bench", "--python", "--write"] => {
            bench::boundary(&workspace, &mut steps, Results::Written);
        }
        ["bench", "--peers"] => {
            bench::copies(&workspace, &mut steps, Results::Printed, Form::Full);
        }
        ["bench", "--peers", "--write"] => {
            bench::copies(&workspace, &mut steps, Results::Written, Form::Full);
        }
        ["bench", "--peers", "--quick"] => {
            bench::copies(&workspace, &mut steps, Results::Printed, Form::Quick);
        }
        ["bench", "--peers", "--write", "--quick"] | ["bench", "--peers", "--quick", "--write"] => {
            bench::copies(&workspace, &mut steps, Results::Written, Form::Quick);
        }
        ["gpu-kit"] => gpu_kit::run(&workspace, &mut steps, None),
        ["gpu-kit", "--dry"] => gpu_kit::try_out(&workspace, &mut steps),
        ["gpu-kit", "--out", folder] => gpu_kit::run(&workspace, &mut steps, Some(folder)),
        ["lint"] => lint::run(&workspace, &mut steps),
        ["sanitize"] => sanitize::run(&workspace, &mut steps, sanitize::Form::Full),
        ["sanitize", "--quick"] => sanitize::run(&workspace, &mut steps, sanitize::Form::Quick),
        ["package"] => package::run(&workspace, &mut steps),
        ["ptx"] => ptx::run(&workspace, &mut steps),
        ["ptx", "--check"] => {
            steps.run("PTX is assembled for every GPU", || ptxas::check(&workspace));
        }
        ["ci"] => everything(&workspace, &mut steps),
        ["layers"] => return layers::check(&workspace).and_then(|()| weight::check(&workspace)),
        ["rules"] => return rules::check(&workspace),
        ["safety"] => return safety::check(&workspace),
        ["hygiene"] => return hygiene::check(&workspace),
        _ => return Err(Error::Usage { got: words.join(" ") }),
    }
    steps.finish()
}

fn everything(workspace: &Workspace, steps: &mut Steps) {
    lint::run(workspace, steps);
    suite::run(workspace, steps, Half::Both, Peers::All);
    package::run(workspace, steps);
    demo::run(workspace, steps);
    sanitize::run(workspace, steps, sanitize::Form::Quick);
}
