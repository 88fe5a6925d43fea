"""Arrays of every library that is there, and what several test files need."""

import gc
import importlib
import os
import re
import subprocess
import sys
import threading

# Before TensorFlow and JAX are imported: quiet, and on the host.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import ndbridge as nd
import numpy as np
import pytest


class Dlpack:
    """Lends an array by DLPack and nothing else."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class LegacyDlpack(Dlpack):
    """As producers did before version 1."""

    def __dlpack__(self):
        return self.array.__dlpack__()


class Interface:
    """Lends an array by the array interface and nothing else."""

    def __init__(self, array):
        self.__array_interface__ = array.__array_interface__
        self.array = array


def of_torch(array):
    return pytest.importorskip("torch").from_numpy(array)


def of_jax(array):
    jax = pytest.importorskip("jax")
    try:
        from jax.experimental import enable_x64
    except ImportError:
        enable_x64 = jax.enable_x64
    with enable_x64(True):  # 64-bit elements stay what they are
        return jax.numpy.array(array)


def of_tensorflow(array):
    return pytest.importorskip("tensorflow").constant(array)


#: Whose memory may be written: by name, each made of a NumPy array, sharing it.
WRITABLE = {
    "numpy": lambda array: array,
    "torch": of_torch,
    "ndbridge": nd.from_numpy,
    "memoryview": memoryview,
    "dlpack": Dlpack,
    "array interface": Interface,
}
#: Whose memory may only be read.
READ_ONLY = {"jax": of_jax, "tensorflow": of_tensorflow, "legacy dlpack": LegacyDlpack}
LIBRARIES = WRITABLE | READ_ONLY


@pytest.fixture(params=LIBRARIES.values(), ids=LIBRARIES)
def library(request):
    """Makes an array of some library."""
    return request.param


@pytest.fixture(params=WRITABLE.values(), ids=WRITABLE)
def writable(request):
    """Makes a writable array of some library, over the memory of a NumPy array."""
    return request.param


def is_writable(array):
    """The flag, without the warning that NumPy has for an array that is held."""
    return not array.__array_interface__["data"][1]


def in_thread(function):
    """What `function` raises in another thread, which is at its end then."""
    raised = []

    def run():
        try:
            function()
        except Exception as error:  # noqa: BLE001
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0] if raised else None


def remedy(error, **arguments):
    """What the call that an error's text advises gives; `arguments` by their names there."""
    advice = r": (?:make y = (.+?)(?: \(copies[^)]*\))?, pass y, use y|pass (.+?)(?: \((?:copies|shares).*)?)$"
    call = next(filter(None, re.search(advice, str(error)).groups()))
    libraries = {"ndbridge": nd}
    for name in ("numpy", "torch", "tensorflow"):
        if re.search(rf"\b{name}\.", call):
            libraries[name] = importlib.import_module(name)
    return eval(call, libraries, arguments)


def aligned(shape, dtype="float64", offset=0):
    """An array whose first element lies `offset` bytes after a multiple of 64."""
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(count + 128, "uint8")
    start = -raw.__array_interface__["data"][0] % 64 + offset
    return raw[start : start + count].view(dtype).reshape(shape)


def collect():
    for _ in range(3):
        gc.collect()


def run_python(code, *arguments, timeout=120, **variables):
    """Runs `code` in a new interpreter that must end well; its output and stderr."""
    command = [sys.executable, "-X", "faulthandler", "-c", code, *map(str, arguments)]
    variables = os.environ | variables
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, env=variables, check=False
    )
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr
