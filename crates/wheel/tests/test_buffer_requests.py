"""Every request of the buffer protocol, by CPython's table; NumPy and CPython's own consumers as
witnesses.
"""

import array
import base64
import binascii
import ctypes
import hashlib
import hmac
import io
import itertools
import os
import pickle
import re
import socket
import struct
import sys
import weakref
import zlib

import ml_dtypes
import ndbridge as nd
import numpy as np
import pytest

import buffers
from buffers import ANY, BITS, FORMAT, ND, SIMPLE, STRIDES, WRITABLE, C, F, request
from conftest import Watched, address, is_collected, zoo

strided = np.lib.stride_tricks.as_strided


def locked(a):
    a = a.view()
    a.flags.writeable = False
    return a


def layouts(dtype):
    """Views of every kind, those of few elements above all, where orders coincide."""
    base = zoo(dtype)["C"]
    more = {
        "row": base[:1], "column": base[:, :1], "row in Fortran order": np.asfortranarray(base)[:1],
        "row of a step": base[:1, ::2], "column of a step": base[::2, :1], "one": base[:1, :1],
        "planes": np.concatenate([base] * 3).reshape(3, 4, 6),
        "no rows": base[:0], "no columns": base[:, :0], "none of a step": base[:0, ::-2],
        "no columns in Fortran order": np.asfortranarray(base)[:, :0],
        "none in the middle": np.empty((2, 0, 3), dtype),
        "none in the middle in Fortran order": np.empty((2, 0, 3), dtype, "F"),
        "none at all": np.empty(0, dtype),
        "any stride of one": strided(base, (1, 6, 1), (7, base.itemsize, -5), writeable=True),
        "read-only": locked(base), "read-only row": locked(base[:1]), "read-only 0-d": locked(base[1, 1, ...]),
    }  # fmt: skip
    return zoo(dtype) | more


def all_flags():
    subsets = itertools.chain.from_iterable(
        itertools.combinations(BITS, n) for n in range(len(BITS) + 1)
    )
    # 0x100 alone is PyBUF_READ, of which newer interpreters say that it is no request.
    return [sum(bits) for bits in subsets if sum(bits) != 0x100]


def answer(exporter, flags):
    """What a request gives; None if it is refused."""
    try:
        with request(exporter, flags) as view:
            return view.fields() | {"obj": view.obj == id(exporter)}
    except (BufferError, ValueError):
        return None


def packed_strides(a, order):
    strides, step = [], a.itemsize
    for length in reversed(a.shape) if order == "C" else a.shape:
        strides.append(step)
        step *= length
    return tuple(reversed(strides) if order == "C" else strides)


def by_the_table(a, format, flags):
    """The tables "Buffer request types" of CPython's documentation, cell by cell."""

    def wants(flag):
        return flags & flag == flag

    is_c, is_f = a.flags.c_contiguous, a.flags.f_contiguous
    refused = (
        (wants(WRITABLE) and not a.flags.writeable)
        or (wants(C) and not is_c)
        or (wants(F) and not is_f)
        or (wants(ANY) and not (is_c or is_f))
        # "PyBUF_ND: contiguity C", and PyBUF_SIMPLE "assumes C-contiguity".
        or (not wants(STRIDES) and not is_c)
        or (wants(FORMAT) and format is None)
    )
    if refused:
        return None
    # Contiguous buffers have the strides of their order, whatever stride an axis of one has.
    order = "F" if is_f and (wants(F) or not is_c) else "C" if is_c else None
    strides = packed_strides(a, order) if order else a.strides
    return {
        "buf": address(a), "obj": True, "len": a.nbytes, "itemsize": a.itemsize,
        "readonly": int(not a.flags.writeable), "suboffsets": None,
        # "Must be NULL" without axes.
        "shape": a.shape if wants(ND) and a.ndim else None,
        "strides": strides if wants(STRIDES) and a.ndim else None,
        "format": format if wants(FORMAT) else None,
        # As memoryview, bytes and CPython's _testbuffer say where there is no shape.
        "ndim": a.ndim if wants(ND) else 1,
    }  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "uint8", "complex64"])
def test_shr_1_every_request_is_answered_by_the_table_and_as_numpy_does(dtype):
    for layout, a in layouts(dtype).items():
        t, format = nd.from_numpy(a), memoryview(a).format.encode()
        for flags in all_flags():
            ours, theirs = answer(t, flags), answer(a, flags)
            assert ours == by_the_table(a, format, flags), (layout, hex(flags))
            if theirs is not None and flags & ND != ND:
                assert theirs["ndim"] == 0
                theirs["ndim"] = 1
            assert ours == theirs, (layout, hex(flags))


@pytest.mark.parametrize("name", ["bfloat16", "float8_e5m2"])
def test_dty_5_what_has_no_format_is_lent_where_none_is_asked_for(name):
    a = np.arange(6).reshape(2, 3).astype(getattr(ml_dtypes, name))
    t = nd.from_numpy(a)
    for flags in all_flags():
        ours = answer(t, flags)
        assert ours == by_the_table(a, None, flags), hex(flags)
        assert (ours is None) == (answer(a, flags) is None), hex(flags)
    assert hashlib.sha256(t).digest() == hashlib.sha256(a.tobytes()).digest()
    with pytest.raises(BufferError, match=r"no format for .*view\('uint(8|16)'\)"):
        memoryview(t)


def test_mut_2_a_refusal_names_the_call_that_works():
    t = nd.tensor(np.arange(6.0).reshape(2, 3))
    with pytest.raises(BufferError, match=r"contiguous\(\)"), request(t.T, SIMPLE):
        pass
    with pytest.raises(BufferError, match=r"contiguous\('F'\)"), request(t, F):
        pass
    with pytest.raises(BufferError, match=r"read-only.*clone\(\)"), request(nd.constant(t), 1):
        pass
    for works, flags in (
        (t.T.contiguous(), SIMPLE), (t.contiguous("F"), F), (nd.constant(t).clone(), WRITABLE)
    ):  # fmt: skip
        with request(works, flags):
            pass


def test_shr_1_what_no_buffer_can_count_is_refused():
    t = nd.zeros(1).expand(2**31, 2**29)
    assert t.nbytes == 2**63
    with pytest.raises(BufferError, match=r"9223372036854775807 bytes.*smaller view"):
        memoryview(t)
    assert memoryview(t[:-1]).nbytes == 2**63 - 2**32


# ---- consumers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "int16"])
def test_shr_1_cpython_s_own_consumers_take_what_is_lent(dtype):
    for layout, a in layouts(dtype).items():
        t = nd.from_numpy(a)
        for flags in all_flags():
            # A format without a shape is what nobody knows how to take.
            if flags & FORMAT and flags & ND != ND or answer(t, flags) is None:
                continue
            where = layout, hex(flags)
            with request(t, flags) as ours, request(a, flags) as theirs:
                for order in (b"C", b"F", b"A"):
                    if not ours.shape and a.ndim:
                        # One row of bytes: contiguous in every order.
                        assert buffers.is_contiguous(ours, order), where
                        continue
                    expected = buffers.is_contiguous(theirs, order)
                    assert buffers.is_contiguous(ours, order) == expected, (*where, order)
                    if a.ndim < 64:
                        copied = buffers.contiguous_bytes(ours, order)
                        assert copied == buffers.contiguous_bytes(theirs, order), (*where, order)
                if flags & ND == ND or ours.len % ours.itemsize == 0:
                    view = buffers.memoryview_of(ours)
                    assert view.tobytes() == a.tobytes(), where
                    view.release()


def test_shr_1_cpython_s_test_of_the_protocol_takes_every_layout():
    testbuffer = pytest.importorskip("_testbuffer")
    for layout, a in layouts("int32").items():
        t = nd.from_numpy(a)
        for order in "CFA":
            expected = testbuffer.is_contiguous(a, order)
            assert testbuffer.is_contiguous(t, order) == expected, (layout, order)
            if a.ndim < 64:
                copied = testbuffer.py_buffer_to_contiguous(t, order, testbuffer.PyBUF_FULL_RO)
                theirs = testbuffer.py_buffer_to_contiguous(a, order, testbuffer.PyBUF_FULL_RO)
                assert copied == theirs, (layout, order)
        if layout == "unaligned":
            # It cannot unpack elements of standard size.
            continue
        for flags in all_flags():
            if answer(t, flags) is None or flags & FORMAT != FORMAT or flags & STRIDES != STRIDES:
                continue
            # It checks what it is given before it walks along.
            taken = testbuffer.ndarray(t, getbuf=flags)
            assert taken.tolist() == a.tolist(), (layout, hex(flags))
            assert testbuffer.cmp_contig(taken, t) == testbuffer.cmp_contig(taken, a)


def through_a_pipe(x):
    read, write = os.pipe()
    os.write(write, x)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        return file.read()


def through_a_socket(x):
    one, other = socket.socketpair()
    with one, other:
        one.sendall(x)
        one.shutdown(socket.SHUT_WR)
        return other.recv(10000)


def written(x):
    file = io.BytesIO()
    file.write(x)
    return file.getvalue()


def filled(x):
    count = io.BytesIO(bytes(range(200))).readinto(x)
    return count, bytes(x)


STANDARD = {
    "hashlib": lambda x: hashlib.sha256(x).digest(),
    "hashlib.update": lambda x: hashlib.md5(b"a").update(x),
    "hmac": lambda x: hmac.digest(b"key", x, "sha256"),
    "hmac.new": lambda x: hmac.new(b"key", x, "sha256").digest(),
    "crc32": zlib.crc32,
    "compress": zlib.compress,
    "pipe": through_a_pipe,
    "socket": through_a_socket,
    "BytesIO": written,
    "readinto": filled,
    "struct.unpack_from": lambda x: struct.unpack_from("2h", x),
    "struct.pack_into": lambda x: (struct.pack_into("2h", x, 0, 5, 6), bytes(x)),
    "re": lambda x: re.findall(rb"[\x00-\x09]", x),
    "array.frombytes": lambda x: array.array("h").frombytes(x),
    "bytes": bytes,
    "bytearray": bytearray,
    "join": lambda x: b"-".join([x, x]),
    "concatenation": lambda x: b"" + x if isinstance(x, nd.Tensor) else b"".join([x]),
    "base64": base64.b64encode,
    "hexlify": binascii.hexlify,
    "ctypes": lambda x: bytes((ctypes.c_char * 4).from_buffer(x)),
    "ctypes copy": lambda x: bytes((ctypes.c_char * 4).from_buffer_copy(x)),
    "PickleBuffer": lambda x: bytes(pickle.PickleBuffer(x).raw()),
    "memoryview": lambda x: memoryview(x).tolist(),
    "np.frombuffer": lambda x: np.frombuffer(x, "u1").tolist(),
    "np.asarray": lambda x: np.asarray(memoryview(x)).tolist(),
}


def outcome(consume, x):
    try:
        return consume(x)
    except (BufferError, ValueError, TypeError, NotImplementedError, struct.error):
        return "refused"


@pytest.mark.parametrize("consumer", STANDARD)
def test_shr_1_the_standard_library_takes_tensors_as_it_takes_arrays(consumer):
    # Some write: two sets of the same values, which go the same ways.
    for (layout, mine), theirs in zip(layouts("int16").items(), layouts("int16").values()):
        ours = outcome(STANDARD[consumer], nd.from_numpy(mine))
        assert ours == outcome(STANDARD[consumer], theirs), layout
        assert mine.tobytes() == theirs.tobytes(), layout


def test_own_1_exports_hold_the_memory_and_are_released():
    a = np.arange(12.0).reshape(3, 4).view(Watched)
    alive, t = weakref.ref(a), nd.from_numpy(a)
    del a
    before = sys.getrefcount(t)
    views = [buffers.get(t, flags) for flags in (SIMPLE, ND, STRIDES | FORMAT, C, ANY, WRITABLE)]
    assert answer(t, F) is None and answer(t, F | WRITABLE) is None
    assert sys.getrefcount(t) == before + len(views)
    del t
    assert views[2].axes("shape") == (3, 4)
    for view in views:
        assert not is_collected(alive)
        buffers.release(view)
    assert is_collected(alive)
