"""What exporters of the buffer protocol may answer: taken if it is whole, else refused and released."""

import ctypes
import sys

import ndbridge as nd
import numpy as np
import pytest

from buffers import Exporter

memory = (ctypes.c_double * 6)(*range(6))
WHOLE = dict(
    buf=ctypes.addressof(memory), len=48, itemsize=8, ndim=2, format=b"d", shape=(2, 3),
    strides=(24, 8),
)  # fmt: skip
#: Fields that contradict each other, or that no memory can have.
IMPOSSIBLE = {
    "negative ndim": dict(ndim=-1),
    "least ndim": dict(ndim=-(2**31)),
    "65 axes": dict(ndim=65, shape=(1,) * 65, strides=(8,) * 65, len=8),
    "most axes": dict(ndim=2**31 - 1),
    "axes without a shape": dict(shape=None),
    "nothing said of two axes": dict(shape=None, strides=None),
    "negative length": dict(shape=(2, -3)),
    "two negative lengths": dict(shape=(-2, -3)),
    "least length": dict(shape=(-(2**63), 1)),
    "more elements than bytes": dict(shape=(2, 4)),
    "fewer elements than bytes": dict(shape=(2, 2)),
    "lengths past the address space": dict(shape=(2**62, 2**62)),
    "lengths that overflow to the right one": dict(shape=(2**61 + 2, 3)),
    "negative bytes": dict(len=-48),
    "most bytes": dict(len=2**63 - 1),
    "no bytes": dict(len=0),
    "negative item": dict(itemsize=-8),
    "no item": dict(itemsize=0),
    "no item, one axis": dict(itemsize=0, ndim=1, shape=None, strides=None),
    "no memory": dict(buf=None),
}
CALLS = [nd.from_buffer, nd.asarray, nd.tensor, lambda x: nd.zeros((2, 3)).copy_(x), nd.plan]


@pytest.mark.parametrize("library", ["odd", "jax", "tensorflow"])
@pytest.mark.parametrize("fault", IMPOSSIBLE)
def test_dty_4_buffers_that_contradict_themselves_are_refused_and_released(fault, library):
    exporter = Exporter(f"{library}.Odd", **WHOLE | IMPOSSIBLE[fault])
    for call in CALLS:
        # What is taken for JAX's is asked for a capsule then, which it does not have.
        with pytest.raises((BufferError, TypeError, ValueError, AttributeError)):
            call(exporter.object)
        assert exporter.exports == 0


FORMATS = {
    "item smaller than its format": dict(itemsize=4, len=24),
    "item larger than its format": dict(format=b"f"),
    "no format, but items of 8 bytes": dict(format=None),
    "bool of 8 bytes": dict(format=b"?"),
    "non-native byte order": dict(format=b">d" if sys.byteorder == "little" else b"<d"),
    "long double": dict(format=b"g"),
    "pointers": dict(format=b"P"),
    "structured": dict(format=b"T{d:x:}"),
    "empty": dict(format=b""),
    "not a format": dict(format=b"\xff\xfe"),
}


@pytest.mark.parametrize("library", ["odd", "jax"])
@pytest.mark.parametrize("fault", FORMATS)
def test_dty_4_buffers_of_odd_formats_are_refused(fault, library):
    exporter = Exporter(f"{library}.Odd", **WHOLE | FORMATS[fault])
    with pytest.raises((BufferError, TypeError, ValueError, RuntimeError)):
        nd.asarray(exporter.object, copy=False)
    assert exporter.exports == 0


#: Fields that leave out what need not be said.
BRIEF = {
    "whole": dict(),
    "no strides": dict(strides=None),
    "one axis without a shape": dict(ndim=1, shape=None, strides=None),
    "0-d": dict(ndim=0, shape=None, strides=None, len=8),
    "backwards": dict(buf=WHOLE["buf"] + 40, strides=(-24, -8)),
    "no elements, anywhere": dict(buf=None, shape=(0, 3), len=0),
    "standard sizes": dict(format=b"=d"),
}


@pytest.mark.parametrize("library", ["odd", "jax"])
@pytest.mark.parametrize("case", BRIEF)
def test_shr_1_buffers_that_leave_out_what_is_plain_are_shared(case, library):
    fields = WHOLE | BRIEF[case]
    exporter = Exporter(f"{library}.Odd", **fields)
    values = np.arange(6.0)
    t = nd.asarray(exporter.object, copy=False)
    expected = {
        "one axis without a shape": values, "0-d": values[0, ...],
        "backwards": values.reshape(2, 3)[::-1, ::-1], "no elements, anywhere": np.empty((0, 3)),
    }.get(case, values.reshape(2, 3))  # fmt: skip
    assert (t.shape, t.tolist()) == (expected.shape, expected.tolist())
    assert t.readonly == (library == "jax")
    # Nothing is held of what has no elements.
    assert (exporter.exports > 0) == (t.size > 0)
    del t
    assert exporter.exports == 0


@pytest.mark.parametrize("library", ["odd", "jax"])
def test_shr_1_rows_behind_pointers_are_refused_with_the_call_that_works(library):
    rows = (ctypes.c_void_p * 2)(ctypes.addressof(memory), ctypes.addressof(memory) + 24)
    exporter = Exporter(
        f"{library}.Odd", **WHOLE | dict(buf=ctypes.addressof(rows), strides=(8, 8), suboffsets=(0, -1))
    )
    with pytest.raises((BufferError, ValueError), match=r"tensor\(memoryview\(x\)\.tolist\(\)\)"):
        nd.asarray(exporter.object)
    with pytest.raises((BufferError, ValueError), match=r"tensor\(memoryview\(x\)\.tolist\(\)\)"):
        nd.from_buffer(exporter.object)
    assert nd.tensor(memoryview(exporter.object).tolist()).shape == (2, 3)
    assert exporter.exports == 0
