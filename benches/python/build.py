"""Builds the contenders: our Rust extension and the peers written in C and C++."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import nanobind
import numpy

HERE = Path(__file__).parent
OPTIMIZED = ["-O3", "-DNDEBUG", "-fPIC", "-shared", "-fvisibility=hidden"]


def build(folder: Path) -> Path:
    """Compiles every contender for this interpreter; gives the folder to import them from."""
    modules = folder / "modules"
    modules.mkdir(parents=True, exist_ok=True)
    build_rust(folder, modules / "boundary.so")
    build_floor(modules / "floor_peer.so")
    build_nanobind(modules / "nanobind_peer.so")
    return modules


def build_rust(folder: Path, module: Path) -> None:
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "build", "--release", "--features", "ndbridge", "--target-dir", str(folder)]
    # Run in its folder, where cargo finds the project's settings.
    run(command, HERE, PYO3_PYTHON=sys.executable)
    shutil.copyfile(folder / "release" / "libboundary.so", module)


def build_floor(module: Path) -> None:
    compiler = os.environ.get("CC", "cc")
    includes = [f"-I{python_include()}", f"-I{numpy.get_include()}"]
    source = HERE / "peers" / "floor_peer.c"
    run([compiler, *OPTIMIZED, *includes, str(source), "-o", str(module)], HERE)


def build_nanobind(module: Path) -> None:
    """For speed; nanobind's CMake function builds for size, which is some 7 % slower."""
    compiler = os.environ.get("CXX", "c++")
    package = Path(nanobind.source_dir()).parent
    includes = [
        f"-I{python_include()}",
        f"-I{nanobind.include_dir()}",
        f"-I{package / 'ext' / 'robin_map' / 'include'}",
    ]
    sources = [HERE / "peers" / "nanobind_peer.cpp", package / "src" / "nb_combined.cpp"]
    flags = ["-std=c++17", "-fno-strict-aliasing", "-fno-stack-protector", *OPTIMIZED]
    run([compiler, *flags, *includes, *map(str, sources), "-o", str(module)], HERE)


def python_include() -> str:
    return sysconfig.get_paths()["include"]


def run(command: list[str], folder: Path, **settings: str) -> None:
    print("  $", " ".join(command), file=sys.stderr, flush=True)
    subprocess.run(command, cwd=folder, env={**os.environ, **settings}, check=True)
