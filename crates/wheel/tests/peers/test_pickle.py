"""Pickle, within and out of band, and the copy module."""

import copy
import pickle

import ndbridge as nd
import numpy as np
import pytest

from conftest import copied_bytes, same_bits, zoo
from frameworks import (
    DTYPES, NUMPY_DTYPES, aligned_array, jnp, numpy_dtype, pointer, tf, torch,
)  # fmt: skip
from test_interchange import locked


def pickled(dtype):
    """Tensors of many layouts, and whether each may be written."""
    for layout, a in zoo(numpy_dtype(dtype)).items() if dtype in NUMPY_DTYPES else small(dtype):
        yield layout, nd.from_numpy(a)
        yield f"{layout}, locked", nd.from_numpy(locked(a.copy("K")))


def small(dtype):
    base = np.arange(24).reshape(4, 6).astype(numpy_dtype(dtype))
    return {
        "C": base, "F": np.asfortranarray(base), "reversed": base[::-1], "column": base[:, 2],
        "rank 0": base[1, 1, ...], "empty": base[:0],
    }.items()  # fmt: skip


def assert_same(back, t, case):
    assert type(back) is nd.Tensor, case
    assert (back.shape, str(back.dtype), back.readonly) == (t.shape, str(t.dtype), t.readonly), case
    assert same_bits(back.numpy(), t.numpy()), case
    assert back.size == 0 or back.data_ptr() % 64 == 0, case


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", DTYPES)
def test_shr_2_pickling_makes_an_equal_tensor(dtype, protocol):
    for case, t in pickled(dtype):
        back = pickle.loads(pickle.dumps(t, protocol))
        assert_same(back, t, case)
        assert not nd.shares_memory(back, t)
        if not t.readonly:
            back.fill_(1)
        for order in "CF":
            assert back.is_contiguous(order) or not t.is_contiguous(order), case


@pytest.mark.parametrize("dtype", DTYPES)
def test_shr_1_buffers_out_of_band_are_shared(dtype):
    for case, t in pickled(dtype):
        buffers = []
        stream = pickle.dumps(t, 5, buffer_callback=buffers.append)
        assert len(stream) < 1000
        is_plain = t.is_contiguous("C") or t.is_contiguous("F")
        _, copied = copied_bytes(lambda: pickle.dumps(t, 5, buffer_callback=buffers.append))
        assert copied == (0 if is_plain else t.nbytes), case
        back, copied = copied_bytes(lambda: pickle.loads(stream, buffers=buffers[:1]))
        assert_same(back, t, case)
        if is_plain and t.size and t.data_ptr() % 64 == 0:
            assert (back.data_ptr(), copied) == (t.data_ptr(), 0), case


def test_shr_4_a_tensor_from_a_buffer_out_of_band_writes_into_it():
    t, buffers = nd.full((16,), 1.0), []
    stream = pickle.dumps(t, 5, buffer_callback=buffers.append)
    back = pickle.loads(stream, buffers=buffers)
    back[3] = 7
    assert t[3].item() == 7


def received(raw, kind, offset=0):
    """A buffer as it may come from elsewhere."""
    memory = aligned_array((len(raw),), "u1", offset)
    memory[...] = np.frombuffer(raw, "u1")
    return locked(memory) if kind is bytes else memory


@pytest.mark.parametrize("offset", [0, 1, 8, 16, 32])
@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize("make", [nd.tensor, nd.constant])
@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "bool"])
def test_mut_2_writability_and_alignment_survive_any_buffer(kind, make, dtype, offset):
    t = make(np.arange(12).reshape(3, 4) % 2, dtype)
    buffers = []
    stream = pickle.dumps(t, 5, buffer_callback=buffers.append)
    raw = received(buffers[0].raw().tobytes(), kind, offset)
    back, copied = copied_bytes(lambda: pickle.loads(stream, buffers=[raw]))
    assert_same(back, t, kind)
    # Read-only bytes will do for a read-only tensor; memory off its alignment will not.
    is_fit = offset == 0 and (kind is bytearray or t.readonly)
    assert (back.data_ptr() == pointer(raw)) == is_fit
    assert (copied == 0) == is_fit
    if not t.readonly:
        back.fill_(1)


def test_shr_2_a_pickled_view_is_only_itself():
    t = nd.zeros((1000, 1000))
    assert len(pickle.dumps(t[:2, :3])) < 1000
    for protocol in (4, 5):
        assert len(pickle.dumps(t[5], protocol)) < 9000


def test_shr_2_a_pickled_tensor_of_others_stands_alone():
    for x in (torch.arange(6.0), jnp.arange(6.0), tf.range(6.0), np.arange(6.0)):
        t = nd.from_dlpack(x)
        back = pickle.loads(pickle.dumps(t, 5))
        assert_same(back, t, type(x))


def test_a_pickle_that_lies_is_an_error():
    t = nd.tensor(np.arange(6.0))
    function, (buffer, dtype, shape, order, is_read_only) = t.__reduce_ex__(4)
    assert function(buffer, dtype, shape, order, is_read_only).tolist() == t.tolist()
    lies = [
        (buffer[:-1], dtype, shape, order, is_read_only),
        (buffer, dtype, (7,), order, is_read_only),
        (buffer, dtype, (2**40, 2**40), order, is_read_only),
        (buffer, "complex128", shape, order, is_read_only),
        (buffer, "object", shape, order, is_read_only),
        (buffer, dtype, (-6,), order, is_read_only),
        (None, dtype, shape, order, is_read_only),
    ]
    for lie in lies:
        with pytest.raises((ValueError, TypeError, OverflowError, BufferError)):
            function(*lie)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_shr_1_copy_copy_shares_and_deepcopy_copies(dtype):
    for case, t in pickled(dtype):
        shared, copied = copied_bytes(lambda: copy.copy(t))
        assert (shared.data_ptr(), shared.strides, shared.readonly, copied) == (
            t.data_ptr(), t.strides, t.readonly, 0
        ), case  # fmt: skip
        apart, copied = copied_bytes(lambda: copy.deepcopy(t))
        assert copied == t.nbytes, case
        assert not nd.shares_memory(apart, t) and same_bits(apart.numpy(), t.numpy()), case
        assert apart.size == 0 or apart.data_ptr() % 64 == 0, case


def test_shr_2_deepcopy_keeps_what_was_one_object_one():
    t = nd.ones(3)
    first, second = copy.deepcopy([t, t])
    assert first is second and not nd.shares_memory(first, t)
