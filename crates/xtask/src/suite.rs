//! `cargo xtask test`: every test, Rust and Python.

use std::path::Path;

use crate::cuda_tests::{self, Build};
use crate::driver_symbols;
use crate::error::Error;
use crate::gpu_kit;
use crate::interpreters::Interpreter;
use crate::python::{EXAMPLE, Environment, PACKAGE};
use crate::steps::{Steps, execute};
use crate::typing;
use crate::workspace::Workspace;

/// The libraries that are tested in an embedded interpreter.
const EMBEDDED: [&str; 3] = ["ndbridge-interpreter", "ndbridge-numpy", "ndbridge-python"];

/// Of the tests for a real GPU, those that an emulated one is enough for, and quick enough.
const GPU_TESTS: [&str; 5] = ["round_trips", "host_words", "writes", "interfaces", "memory"];

/// Every order in which threads can meet, on loom's atomics.
const LOOM_TESTS: [(&str, &str); 2] =
    [("ndbridge-ledger", "loom_ledger"), ("ndbridge-storage", "loom_lending")];

/// Which tests to run.
#[derive(Clone, Copy, PartialEq)]
pub enum Half {
    Both,
    Rust,
    Python,
}

/// What the Python half meets.
#[derive(Clone, Copy, PartialEq)]
pub enum Peers {
    NumPy,
    /// PyTorch, TensorFlow and JAX, too.
    All,
}

/// Runs the tests of one half or both.
pub fn run(workspace: &Workspace, steps: &mut Steps, half: Half, peers: Peers) {
    if half != Half::Python {
        rust(workspace, steps);
    }
    if half != Half::Rust {
        python(workspace, steps, peers);
    }
}

fn rust(workspace: &Workspace, steps: &mut Steps) {
    let mut tests = workspace.cargo(["test", "--workspace"]);
    // What needs Python stays out: it would switch on the feature `python` everywhere, and link an
    // interpreter. The libraries are tested in an embedded one, the modules by pytest.
    let on_python = workspace.packages.iter().filter(|package| package.needs_python());
    tests.args(on_python.flat_map(|package| ["--exclude", &package.name]));
    steps.command("cargo test, with doc tests and structure checks", &mut tests);
    // Without it the feature would stay off; the back end's own tests ran above.
    let mut devices = workspace.cargo(["test"]);
    devices.args(cuda_tests::FACADE_WITH_CUDA);
    steps.command("facade with CUDA, on the emulated driver", &mut devices);
    // Whatever driver they ask for then, they start without one.
    steps.run("CUDA tests name no driver", || {
        driver_symbols::check_programs(&cuda_tests::build(workspace, Build::Debug)?)
    });
    let alone = ["check", "--package", "ndbridge", "--no-default-features"];
    steps.command("facade without default features", &mut workspace.cargo(alone));
    for (package, test) in LOOM_TESTS {
        let tests = ["test", "--release", "--package", package, "--test", test];
        let mut loom = workspace.cargo(tests);
        loom.arg("--target-dir").arg(workspace.target.join("loom"));
        steps.command(&format!("loom, {test}"), loom.env("RUSTFLAGS", "--cfg loom"));
    }
}

fn python(workspace: &Workspace, steps: &mut Steps, peers: Peers) {
    let made = match peers {
        Peers::NumPy => steps.run("python environment", || Environment::named(workspace, "test")),
        Peers::All => {
            steps.run("python environment, all frameworks", || Environment::peers(workspace))
        }
    };
    let Some(main) = made else { return };
    steps.run("libraries on Python, in an embedded interpreter", || {
        embedded(workspace, &main, peers)
    });
    let wheel = steps.run("wheel", || main.install_crate(workspace, PACKAGE));
    let Some(wheel) = wheel else { return };
    steps.run("wheel names no driver", || driver_symbols::check_module(&main.packages()?));
    if peers == Peers::All {
        // First: the package's tests with all frameworks borrow through it.
        steps.run("example extension", || main.install_crate(workspace, EXAMPLE));
    }
    steps.run("pytest", || pytest(workspace, &main, PACKAGE, peers));
    if peers == Peers::All {
        steps.run("pytest, example extension", || pytest(workspace, &main, EXAMPLE, peers));
    }
    steps.run("pytest, devices on the emulated driver", || on_emulated_driver(workspace, &main));
    steps.run("pytest, scripts of the GPU kit", || kit_scripts(workspace, &main));
    steps.run("GPU kit, dry run", || gpu_kit::dry_run(workspace, &main, &wheel));
    other_versions(workspace, steps, &wheel);
    steps.run("types", || typing::check(workspace, &wheel));
}

/// Tests of the crates below the modules, in a process that is an interpreter itself and finds the
/// packages of `environment`.
fn embedded(workspace: &Workspace, environment: &Environment, peers: Peers) -> Result<(), Error> {
    let mut tests = workspace.cargo(["test", "--features", "ndbridge-numpy/python"]);
    tests.args(EMBEDDED.iter().flat_map(|package| ["--package", package]));
    environment.embed(&mut tests)?;
    if peers == Peers::All {
        // Without it, tests that miss a framework say so and pass.
        tests.env("NDBRIDGE_TEST_PEERS", "1").env("CUDA_VISIBLE_DEVICES", "");
    }
    execute(&mut tests)
}

/// Tests of devices, in a process that finds the emulated driver.
fn on_emulated_driver(workspace: &Workspace, environment: &Environment) -> Result<(), Error> {
    let driver = gpu_kit::emulator(workspace)?;
    let mut pytest = environment.python();
    pytest.current_dir(&workspace.root).args(["-m", "pytest", "--quiet"]);
    pytest.arg(format!("{PACKAGE}/tests/cuda")).env("NDBRIDGE_CUDA_DRIVER", driver);
    pytest.args(GPU_TESTS.map(|name| format!("{PACKAGE}/tests/gpu/test_{name}.py")));
    execute(&mut pytest)
}

fn kit_scripts(workspace: &Workspace, environment: &Environment) -> Result<(), Error> {
    let mut pytest = environment.python();
    pytest.current_dir(&workspace.root).args(["-m", "pytest", "--quiet", "crates/xtask/gpu-kit"]);
    execute(&mut pytest)
}

/// One wheel is for every version: it has to pass with all that are installed.
fn other_versions(workspace: &Workspace, steps: &mut Steps, wheel: &Path) {
    let others = Interpreter::find().map_or_else(|_| Vec::new(), |main| main.others());
    for other in others {
        steps.run(&format!("pytest, Python {}", other.version), || {
            let environment = Environment::of_version(workspace, &other)?;
            environment.install(wheel)?;
            pytest(workspace, &environment, PACKAGE, Peers::NumPy)
        });
    }
}

fn pytest(
    workspace: &Workspace,
    environment: &Environment,
    folder: &str,
    peers: Peers,
) -> Result<(), Error> {
    let tests = format!("{folder}/tests");
    let mut pytest = environment.python();
    pytest.current_dir(&workspace.root).args(["-m", "pytest", "--quiet", &tests]);
    // Those need a driver, emulated or real.
    pytest.args([format!("--ignore={tests}/cuda"), format!("--ignore={tests}/gpu")]);
    if peers == Peers::NumPy {
        pytest.arg(format!("--ignore={tests}/peers"));
    } else {
        // On the host, and without their notes about it.
        pytest.envs([
            ("TF_CPP_MIN_LOG_LEVEL", "3"),
            ("CUDA_VISIBLE_DEVICES", ""),
            ("JAX_PLATFORMS", "cpu"),
        ]);
    }
    execute(&mut pytest)
}
