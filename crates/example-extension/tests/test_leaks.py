"""A hundred thousand calls leave nothing behind."""

import gc
import sys

import ndbridge as nd
import ndbridge_example as example
import numpy as np
import pytest
from conftest import Dlpack, Interface, LegacyDlpack, of_jax, of_tensorflow, of_torch
from ndbridge_example import testing

CALLS = 100_000
MAKE = {
    "numpy": lambda: np.ones(1000),
    "view": lambda: np.ones(2000)[::2],
    "torch": lambda: of_torch(np.ones(1000)),
    "jax": lambda: of_jax(np.ones(1000)),
    "tensorflow": lambda: of_tensorflow(np.ones(1000)),
    "ndbridge": lambda: nd.ones(1000),
    "bytearray": lambda: memoryview(bytearray(8000)).cast("d"),
    "dlpack": lambda: Dlpack(np.ones(1000)),
    "legacy dlpack": lambda: LegacyDlpack(np.ones(1000)),
    "array interface": lambda: Interface(np.ones(1000)),
}


def resident_bytes():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096
    except OSError:
        pytest.skip("no count of resident memory here")


def growth(call, calls=CALLS):
    """Bytes that `calls` calls leave behind, at the least of a few times: libraries warm up."""
    grown = []
    for _ in range(4):
        gc.collect()
        before = resident_bytes()
        for _ in range(calls):
            call()
        gc.collect()
        grown.append(resident_bytes() - before)
        if grown[-1] < 100_000:
            break
    return min(grown)


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_arguments_leave_nothing(make):
    x = make()
    references = sys.getrefcount(x)
    assert growth(lambda: example.total(x)) < 2_000_000  # 20 B a call would be more
    assert sys.getrefcount(x) == references


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_kept_tensors_leave_nothing(make):
    x = make()
    references = sys.getrefcount(x)
    assert growth(lambda: testing.Keeper(x), CALLS // 5) < 2_000_000
    assert sys.getrefcount(x) == references


def test_refused_arguments_leave_nothing():
    x, y = np.ones(1000), np.ones((2, 2), "int32")
    references = sys.getrefcount(x), sys.getrefcount(y)

    def refused():
        for call, arguments in ((testing.overlap, (x, x)), (example.total, (y,))):
            try:
                call(*arguments)
            except (TypeError, BufferError):
                continue
            raise AssertionError(call)

    assert growth(refused, CALLS // 2) < 2_000_000
    assert (sys.getrefcount(x), sys.getrefcount(y)) == references


@pytest.mark.parametrize("like", ["numpy", "torch", "jax", "tensorflow", "ndbridge", "memoryview"])
def test_results_leave_nothing(like):
    if like in ("torch", "jax", "tensorflow"):
        pytest.importorskip(like)
    image = np.zeros((8, 8, 3), "uint8")
    calls = CALLS // 10 if like in ("jax", "tensorflow") else CALLS
    # 768 B each: a leak of one in a hundred would be more.
    assert growth(lambda: example.to_planes(image, like), calls) < 2_000_000


def test_detached_work_leaves_nothing():
    x = np.zeros((4, 4, 3), "float32")
    mean = std = np.ones(3, "float32")
    assert growth(lambda: example.normalise(x, mean, std)) < 2_000_000
    assert (x.flags.writeable, x.flags.owndata) == (True, True)


def test_fields_leave_nothing():
    particles = example.Particles(np.zeros((10, 3)))
    assert growth(particles.fields) < 2_000_000
