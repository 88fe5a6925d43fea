"""The buffer protocol, the array protocols, and what NumPy makes of a tensor."""

import ctypes
import hashlib
import io
import zlib

import ndbridge as nd
import numpy as np
import pytest

from conftest import NUMPY_DTYPES, address, copied_bytes, same_bits, zoo


def test_dty_1_memoryview_equals_numpy_s(layout, dtype):
    a = zoo(dtype)[layout]
    theirs, ours = memoryview(a), memoryview(nd.from_numpy(a))
    for name in (
        "itemsize",
        "ndim",
        "shape",
        "nbytes",
        "readonly",
        "c_contiguous",
        "f_contiguous",
        "contiguous",
    ):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.strides == theirs.strides or not a.size
    # Also where elements lie off their alignment, which makes them standard-sized ("=f").
    assert ours.format == theirs.format
    if dtype not in ("complex64", "complex128"):
        assert ours.tobytes() == a.tobytes()
    assert same_bits(np.asarray(ours), a)


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_dty_1_the_format_character_is_numpy_s(dtype):
    assert memoryview(nd.zeros(3, dtype)).format == memoryview(np.zeros(3, dtype)).format


def test_shr_1_numpy_takes_tensors_by_sharing(layout, dtype):
    a = zoo(dtype)[layout]
    t = nd.from_numpy(a)
    for take in (
        np.asarray,
        np.asanyarray,
        lambda t: np.array(t, copy=None),
        lambda t: np.array(t, copy=False),
        lambda t: t.__array__(),
    ):
        taken, copied = copied_bytes(lambda: take(t))
        assert copied == 0
        assert (taken.dtype, taken.shape, address(taken)) == (a.dtype, a.shape, address(a))
        assert taken.flags.writeable == a.flags.writeable
    copy = np.array(t)
    assert not np.shares_memory(copy, a)
    assert same_bits(copy, a)
    assert not np.shares_memory(t.__array__(copy=True), a)


def test_shr_5_array_protocol_converts_only_when_asked():
    t = nd.from_numpy(np.arange(3.0))
    assert t.__array__(dtype="float32").dtype == np.float32
    assert t.__array__(np.dtype("float64")).ctypes.data == t.data_ptr()
    with pytest.raises(ValueError):
        t.__array__("float32", copy=False)
    with pytest.raises(ValueError):
        np.array(t, dtype="float32", copy=False)
    assert np.asarray(t, dtype="float32").dtype == np.float32
    assert np.asarray(t, dtype=">f8").tolist() == [0, 1, 2]


def test_dty_1_numpy_computes_with_tensors():
    a = np.arange(6.0).reshape(2, 3)
    t = nd.from_numpy(a)
    assert same_bits(np.add(t, 1), a + 1)
    assert np.sum(t) == 15
    assert same_bits(np.concatenate([t, t]), np.concatenate([a, a]))
    assert same_bits(a + t.numpy(), a + a)
    assert (np.zeros(3)[:, None] + np.ones(3)).shape == (3, 3)
    b = np.zeros((2, 3))
    b[...] = t
    assert same_bits(b, a)


def test_shr_4_buffers_write_through():
    t = nd.zeros((2, 3), "int32")
    view = memoryview(t)
    view[1, 2] = 7
    assert t[1, 2].item() == 7
    flat = view.cast("B").cast("i")
    flat[0] = 9
    assert t.tolist() == [[9, 0, 0], [0, 0, 7]]
    (ctypes.c_int * 6).from_buffer(t)[1] = 5
    assert t[0, 1].item() == 5
    assert zlib.crc32(t) == zlib.crc32(t.numpy().tobytes())
    assert hashlib.sha256(t).digest() == hashlib.sha256(bytes(t)).digest()
    assert bytes(t) == t.numpy().tobytes()
    assert b"".join([t, t]) == t.numpy().tobytes() * 2
    assert io.BytesIO(bytes(24)).readinto(t) == 24
    assert not t.numpy().any()


def test_shr_4_a_resized_bytearray_is_refused_while_lent():
    buffer = bytearray(8)
    t = nd.from_buffer(buffer)
    buffer[3] = 7
    assert t[3].item() == 7
    t[3] = 9
    assert buffer[3] == 9


def test_own_1_many_views_at_once_are_released_in_any_order():
    t = nd.zeros((3, 4))
    views = [memoryview(t) for _ in range(20)]
    views += [view[1:] for view in views] + [memoryview(t[::2, ::-1]) for _ in range(20)]
    for index in np.random.default_rng(6).permutation(len(views)):
        views[index].release()
    memoryview(t).release()
    assert t.tolist() == [[0.0] * 4] * 3


class Interface:
    def __init__(self, **interface):
        self.__array_interface__ = interface


HOSTILE = {
    "null data": Interface(shape=(3,), typestr="<f8", data=(0, False), version=3),
    "negative shape": Interface(shape=(-3,), typestr="<f8", data=(4096, False), version=3),
    "huge shape": Interface(shape=(2**62, 2**62), typestr="<f8", data=(4096, False), version=3),
    "wrong typestr": Interface(shape=(3,), typestr="<f3", data=(4096, False), version=3),
    "no shape": Interface(typestr="<f8", data=(4096, False), version=3),
    "object": Interface(shape=(3,), typestr="|O", data=(4096, False), version=3),
    "not a dict": type("X", (), {"__array_interface__": 5})(),
    "raises": type("X", (), {"__array_interface__": property(lambda self: 1 / 0)})(),
    "array gives a number": type("X", (), {"__array__": lambda self, *a, **k: 5})(),
    "array gives itself": type("X", (), {"__array__": lambda self, *a, **k: self})(),
    "array raises": type("X", (), {"__array__": lambda self, *a, **k: 1 / 0})(),
    "len raises": type(
        "X", (), {"__len__": lambda self: 1 / 0, "__getitem__": lambda self, i: 1}
    )(),
    "endless": type("X", (), {"__len__": lambda self: -1, "__getitem__": lambda self, i: self})(),
    "ragged": [[1], [2, 3]],
    "deep": __import__("functools").reduce(lambda x, _: [x], range(100), 1),
    "none": None,
    "set": {1, 2},
    "dict": {"a": 1},
    "generator": (x for x in [1]),
    "text": "text",
    "big integer": 2**100,
    "big integers": [2**100, 1],
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_dty_4_hostile_objects_are_errors(hostile):
    calls = [
        nd.from_numpy,
        nd.asarray,
        nd.tensor,
        nd.constant,
        nd.plan,
        nd.zeros(3).copy_,
        nd.from_buffer,
    ]
    for call in calls:
        with pytest.raises(
            (TypeError, ValueError, OverflowError, AttributeError, ZeroDivisionError)
        ):
            call(hostile)


class Index:
    def __init__(self, error):
        self.error = error

    def __index__(self):
        raise self.error


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, MemoryError])
def test_dty_4_what_index_raises_goes_on(error):
    t = nd.zeros((3, 4))
    for call in (
        lambda: t[Index(error)],
        lambda: t[Index(error) :],
        lambda: t.__setitem__(Index(error), 1),
    ):
        with pytest.raises(error):
            call()


def test_dty_1_subclasses_are_shared_as_arrays():
    class Sub(np.ndarray):
        pass

    for a in (
        np.arange(6.0).view(Sub),
        np.ones((1, 2)).view(np.matrix),
        np.zeros(3).view(np.recarray),
        np.char.array(["a"]).view("u4"),
    ):
        a = a if a.dtype.kind in "fu" else np.asarray(a)
        t = nd.from_numpy(a)
        assert t.data_ptr() == address(a)
        assert type(t.numpy()) is np.ndarray
        assert (t.shape, t.strides) == (a.shape, a.strides)


def test_shr_1_extreme_layouts():
    strided = np.lib.stride_tricks.as_strided
    t = nd.from_numpy(strided(np.zeros(1), (2**40,), (0,)))
    assert (t.shape, t.nbytes) == ((2**40,), 2**43)
    assert "shape=(1099511627776,)" in repr(t)
    assert t[12345678901].item() == 0.0
    assert memoryview(t).nbytes == 2**43
    t = nd.from_numpy(strided(np.zeros(1), (1, 1, 0, 2**30), (2**61, -(2**61), 7, 2**40)))
    assert t.tolist() == [[[]]]
    assert nd.from_numpy(np.zeros((1,) * 64)).numpy().ndim == 64
    with pytest.raises(ValueError, match="64"):
        nd.from_numpy(np.zeros((1,) * 64)).unsqueeze(0)
    with pytest.raises(ValueError, match="64"):
        nd.zeros((1,) * 65)
    with pytest.raises(ValueError, match="reach|overflow|too large"):
        nd.from_numpy(strided(np.zeros(1), (3,), (2**62,)))


def test_shr_7_impossible_sizes_are_errors():
    for shape in (2**62, (2**40, 2**40), (2**31, 2**31, 2**31), (2**63 - 1,)):
        for make in (nd.zeros, nd.ones, nd.empty, lambda s: nd.full(s, 1)):
            with pytest.raises((ValueError, MemoryError)):
                make(shape)
    assert nd.zeros((2**40, 0, 2**19)).numpy().shape == np.zeros((2**40, 0, 2**19)).shape
    for shape in (-1, (3, -1), 2**70, 1.5, "3", (1.5,), None, {3}):
        with pytest.raises((ValueError, TypeError, OverflowError)):
            nd.zeros(shape)


@pytest.mark.parametrize("make", [nd.zeros, nd.ones, nd.empty, lambda s, d: nd.full(s, 1, d)])
@pytest.mark.parametrize("shape", [(), 0, 3, (2, 3), [4], (0, 3), (2, 1, 2)])
def test_shr_7_created_memory_is_aligned_private_writable(make, shape, dtype):
    before = nd.copies().copies
    t = make(shape, dtype)
    assert (t.receipt.action, t.owner, t.readonly) == ("created", None, False)
    assert t.data_ptr() % 64 == 0
    expected = np.ones(shape, dtype) if make is nd.ones else np.zeros(shape, dtype)
    assert (t.shape, t.strides) == (expected.shape, expected.strides) or 0 in t.shape
    if make in (nd.zeros, nd.ones, nd.empty):
        assert same_bits(t.numpy(), expected)
    assert nd.copies().copies == before
