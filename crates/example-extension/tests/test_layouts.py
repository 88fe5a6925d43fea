"""Odd arrays: read as they are, or refused; never read wrongly."""

import re

import ndbridge as nd
import ndbridge_example as example
import numpy as np
import pytest
from conftest import Dlpack, Interface, LegacyDlpack, of_jax, of_tensorflow, of_torch
from ndbridge_example import testing

strided = np.lib.stride_tricks.as_strided


def counted(*shape):
    return np.arange(1.0, np.prod(shape) + 1).reshape(shape)


RECORDS = np.zeros((3, 4), [("a", "f8"), ("x", "f8"), ("b", "c16")])
RECORDS["x"] = counted(3, 4)
READABLE = {
    "offset": counted(4, 6)[1:, 2:],
    "reversed": counted(4, 6)[::-1, ::-1],
    "stepped": counted(4, 6)[::2, ::-3],
    "broadcast": np.broadcast_to(counted(6), (5, 6)),
    "self-overlapping": strided(counted(6), (4, 3), (8, 8)),
    "windows": np.lib.stride_tricks.sliding_window_view(counted(6), 3),
    "record field": RECORDS["x"][:, ::2],
    "rank 0": counted(3)[1, ...],
    "empty": counted(4, 0, 3),
    "empty with odd strides": strided(counted(4), (0, 3), (5, 3)),
    "axes of one element with odd strides": strided(counted(4), (1, 4), (5, 8)),
    "7 axes": counted(1, 2, 1, 2, 1, 2, 1),
    "64 axes": counted(2, 2).reshape((2,) + (1,) * 62 + (2,)),
}


@pytest.mark.parametrize("x", READABLE.values(), ids=READABLE)
def test_any_layout_is_read_as_it_is(x):
    for y in (x, Dlpack(x), Interface(x), nd.from_numpy(x), memoryview(x)):
        if isinstance(y, Dlpack) and not x.flags.writeable:
            continue  # NumPy's own capsules of such arrays depend on its version
        assert example.total(y) == x.sum()
    assert example.total_of_any(x) == (x.sum(), "ArgCow: shared, 0 B copied")


def test_mut_2_read_only_memory_is_not_written(library):
    values = np.arange(3.0)
    values.flags.writeable = False
    try:
        x = library(values)
    except (BufferError, ValueError, RuntimeError):
        return
    if library is of_torch:
        return  # torch takes it for writable, with a warning: nobody after it can know
    with pytest.raises((ValueError, BufferError), match="^x: (expected writable.*read-only|Cannot export readonly)"):
        testing.any_axes(x)
    assert values.tolist() == [0, 1, 2]


@pytest.mark.parametrize("make", [of_jax, of_tensorflow, LegacyDlpack, bytes], ids=lambda f: f.__name__)
def test_mut_2_values_and_unknown_memory_are_not_written(make):
    x = make(np.arange(3.0))
    with pytest.raises(ValueError, match="^b: expected writable any dtype .*read-only"):
        testing.overlap(np.zeros(1), x)
    assert example.describe(x)["shape"] == [len(np.frombuffer(x, "u1")) if make is bytes else 3]


def test_mut_2_read_only_tensors_are_read_by_other_modules_and_stay_read_only():
    for t in (nd.constant([1.0, 2.0]), nd.from_buffer(bytes(16)).view("float64")):
        assert testing.c_order(t) == t.numpy().sum()
        back = testing.Keeper(t).lend("ndbridge")
        assert (back.data_ptr(), back.readonly) == (t.data_ptr(), True)
        with pytest.raises((ValueError, BufferError), match="read-only"):
            testing.Keeper(t).fill(9.0)


def test_shr_1_tensors_off_their_alignment_reach_other_modules():
    a = np.frombuffer(bytearray(33), "f8", 3, offset=1)
    a[...] = np.arange(3.0)
    t = nd.from_numpy(a)
    assert t.data_ptr() % 8 != 0
    assert example.total_of_any(t)[0] == 3.0
    back = testing.Keeper(t).lend("ndbridge")
    assert (back.data_ptr(), back.tolist()) == (a.ctypes.data, [0, 1, 2])


def test_mut_2_read_only_tensors_are_not_written():
    for x in (nd.constant([1.0, 2.0]), memoryview(bytes(16)).cast("d"), np.broadcast_to(1.0, 3)):
        with pytest.raises(ValueError, match=r"^x: expected writable .* \(read-only\)"):
            testing.any_axes(x)


@pytest.mark.parametrize("byte", [2, 128, 255])
@pytest.mark.parametrize("at", [(0, 0), (1, 2), (3, 5)])
@pytest.mark.parametrize("make", [lambda a: a, of_torch, nd.from_numpy, memoryview, Dlpack])
def test_mut_5_bytes_that_are_no_bool_are_found(byte, at, make):
    flags = np.ones((4, 6), "bool")
    assert testing.bools(make(flags)) == 24
    flags.view("uint8")[at] = byte
    with pytest.raises(ValueError, match=re.escape(f"x: byte {byte} at index {list(at)} is not a bool")):
        testing.bools(make(flags))
    assert testing.bools(flags[at[0] : at[0] + 1, :0]) == 0
    flags[at] = False
    assert testing.bools(make(flags)) == 23


def test_dty_1_sixteen_bits_come_in_as_they_are():
    torch = pytest.importorskip("torch")
    jax = pytest.importorskip("jax")
    tensorflow = pytest.importorskip("tensorflow")
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for x in (
        torch.ones(3, dtype=torch.bfloat16),
        jax.numpy.ones(3, "bfloat16"),
        tensorflow.cast([1.0, 1.0, 1.0], "bfloat16"),
        np.ones(3, ml_dtypes.bfloat16),
        nd.ones(3, "bfloat16"),
    ):
        facts = example.describe(x)
        assert (facts["dtype"], facts["shape"]) == ("bfloat16", [3])
        assert example.total_of_any(x) == (3.0, "ArgCow: copied 24 B (dtype)")


@pytest.mark.parametrize("dtype", [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "float32", "float64", "complex64", "complex128",
])  # fmt: skip
def test_dty_1_every_dtype_comes_in_as_it_is(library, dtype):
    x = library(np.ones((2, 3), dtype))
    facts = example.describe(x)
    assert (facts["dtype"], facts["shape"]) == (dtype, [2, 3])


def test_tensorflow_strings_are_refused():
    tensorflow = pytest.importorskip("tensorflow")
    with pytest.raises(TypeError, match="^x: TensorFlow dtype string cannot be carried"):
        example.describe(tensorflow.constant(["a"]))
