"""What several test files need: data types, arrays of them, views of every layout."""

import gc
import os
import pathlib
import shutil
import subprocess
import sys

import ml_dtypes
import ndbridge as nd
import numpy as np
import pytest

#: Every data type that NumPy and ndbridge both have.
NUMPY_DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "float32", "float64", "complex64", "complex128",
]  # fmt: skip
#: Those that NumPy has through ml_dtypes only.
ML_DTYPES = {
    "bfloat16": ml_dtypes.bfloat16,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e5m2": ml_dtypes.float8_e5m2,
}


def random_array(rng, shape, dtype):
    """Random values of every kind: any bits, but no signalling NaN and only 0 and 1 in bool."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        return (
            np.frombuffer(rng.bytes(int(np.prod(shape)) * dtype.itemsize), dtype)
            .reshape(shape)
            .copy()
        )
    real = rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 4, shape)
    real = np.where(
        rng.random(shape) < 0.05, rng.choice([np.nan, np.inf, -np.inf, -0.0], shape), real
    )
    if dtype.kind == "c":
        return np.asarray(real + 1j * rng.standard_normal(shape)).astype(dtype)
    return np.asarray(real).astype(dtype)


def zoo(dtype):
    """Arrays of `dtype` by name of their layout."""
    rng = np.random.default_rng(7)
    base = random_array(rng, (4, 6), dtype)
    record = np.zeros(5, [("a", "u1"), ("x", dtype), ("b", "u2")])
    record["x"] = random_array(rng, 5, dtype)
    raw = bytearray(1 + base.nbytes)
    unaligned = np.frombuffer(raw, dtype, base.size, offset=1).reshape(base.shape)
    unaligned[...] = base
    return {
        "C": base,
        "F": np.asfortranarray(base),
        "offset": base[1:, 2:],
        "reversed": base[::-1, ::-1],
        "stepped": base[::2, ::3],
        "column": base[:, 3],
        "transposed": base.T,
        "broadcast": np.broadcast_to(base[:1], (3, 6)),
        "rank 0": base[1, 1, ...],
        "zero-size": base[:0],
        "size-1 axes": base[:1, None, :1],
        "unaligned": unaligned,
        "record field": record["x"],
        "overlapping": np.lib.stride_tricks.sliding_window_view(base[0], 3),
        "64 axes": base[0, :2].reshape((1,) * 63 + (2,)),
    }


LAYOUTS = list(zoo("float64"))


def same_bits(a, b):
    """Whether two arrays agree in data type, shape and every bit."""
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def defined(values, target):
    """Where NumPy's astype to `target` has one answer on every platform."""
    target = np.dtype(target)
    if target.kind not in "iu" or values.dtype.kind in "biu":
        return np.ones(values.shape, bool)
    with np.errstate(invalid="ignore"):
        real = np.trunc(values.real.astype("float64"))
    # The largest of 64 bits is no float64: the next power of two is, and does not fit.
    low, high = np.iinfo(target).min, np.iinfo(target).max
    return np.isfinite(real) & (real >= float(low)) & (real < float(high) + (high < 2**53))


def address(array):
    return array.__array_interface__["data"][0]


class Watched(np.ndarray):
    """An array that takes weak references and attributes like any Python object."""


def copied_bytes(function):
    """What `function` returns, and the bytes that ndbridge copied for it."""
    before = nd.copies().bytes
    result = function()
    return result, nd.copies().bytes - before


def is_collected(reference):
    gc.collect()
    return reference() is None


def run_python(code, *arguments, timeout=120):
    """Runs `code` in a new interpreter that must end well and say nothing on stderr."""
    command = [sys.executable, "-X", "faulthandler", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert (done.returncode, done.stderr) == (0, ""), f"{code}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(params=NUMPY_DTYPES)
def dtype(request):
    return request.param


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return request.param


FOLDER = pathlib.Path(__file__).parent / "rust_numpy_module"
BUILT = {"linux": "librust_numpy_module.so", "darwin": "librust_numpy_module.dylib"}
#: Names the second module for an interpreter that this one starts.
BUILT_ALREADY = "NDBRIDGE_TEST_EXTENSION"


@pytest.fixture(scope="session")
def extension():
    """Path of a second module with ndbridge in it, built from the folder rust_numpy_module."""
    if BUILT_ALREADY in os.environ:
        return pathlib.Path(os.environ[BUILT_ALREADY])
    if shutil.which("cargo") is None:
        pytest.skip("needs cargo to build rust_numpy_module, found none on PATH")
    if sys.platform not in BUILT:
        pytest.skip(f"rust_numpy_module is not built on {sys.platform}")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", FOLDER.parents[3] / "target"))
    environment = {**os.environ, "PYO3_PYTHON": sys.executable}
    if sys.platform == "darwin":
        environment["RUSTFLAGS"] = "-C link-arg=-undefined -C link-arg=dynamic_lookup"
    # The workspace's versions; cargo adds those of rust-numpy.
    shutil.copy(FOLDER.parents[3] / "Cargo.lock", FOLDER)
    subprocess.run(
        ["cargo", "build", "--release", "--quiet", "--target-dir", target],
        cwd=FOLDER, env=environment, check=True,
    )  # fmt: skip
    library = target / "release" / BUILT[sys.platform]
    module = library.with_name("rust_numpy_module.abi3.so")
    shutil.copy(library, module)
    return module
