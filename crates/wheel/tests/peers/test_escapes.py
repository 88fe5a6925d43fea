"""Ordinary Python inputs that lead past the checks of other bridges, put to ndbridge.

Two names of one memory, elements off their alignment, bools that are none, strides that divide
nothing, arrays that move, immutable arrays: aliases are recognised whatever way they came, what is
written through one is as if through a copy, and the rest is right or refused.
"""

import contextlib
import itertools

import ndbridge as nd
import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from conftest import run_python
from frameworks import (
    aligned_array, jax, jnp, on_memory, pointer, tf, tf_from_dlpack, to_numpy, torch,
)  # fmt: skip

# ---- two ways to one memory ----------------------------------------------------------------------


def one_bytearray(count):
    memory = bytearray(8 * count)
    return np.frombuffer(memory, "f8"), np.asarray(memoryview(memory).cast("d"))


def torch_twice(count):
    x = torch.zeros(count, dtype=torch.float64)
    return x, x


#: Pairs of arrays over the same float64 elements, that know nothing of each other.
PAIRS = {
    "two handles of one array": lambda n: (a := np.zeros(n), a),
    "two views by memoryview": one_bytearray,
    "an array and its DLPack alias": lambda n: (a := np.zeros(n), np.from_dlpack(a)),
    "torch and its NumPy view": lambda n: ((x := torch.zeros(n, dtype=torch.float64)), x.numpy()),
    "two NumPy views of torch": lambda n: (
        (x := torch.zeros(n, dtype=torch.float64)).numpy(),
        x.numpy(),
    ),
    "NumPy and torch of it": lambda n: (a := np.zeros(n), torch.from_numpy(a)),
    "torch and its view": lambda n: ((x := torch.zeros(n, dtype=torch.float64)), x[:]),
    "torch twice": torch_twice,
    "torch and its DLPack alias": lambda n: (
        (x := torch.zeros(n, dtype=torch.float64)),
        torch.from_dlpack(x),
    ),
    "an array and as_strided": lambda n: (a := np.zeros(n), as_strided(a, (n,), (8,))),
    "an array and a bare address": lambda n: (
        a := np.zeros(n),
        on_memory(pointer(a), (n,), (8,), "f8"),
    ),
    "a tensor and its own export": lambda n: ((t := nd.zeros(n)), t.numpy()),
    "a tensor and torch of it": lambda n: ((t := nd.zeros(n)), t.torch()),
    "a tensor and a memoryview of it": lambda n: ((t := nd.zeros(n)), memoryview(t)),
    "a tensor and NumPy's DLPack of it": lambda n: ((t := nd.zeros(n)), np.from_dlpack(t)),
    "a tensor and torch's DLPack of it": lambda n: ((t := nd.zeros(n)), torch.from_dlpack(t)),
}


def pair(name, count=12):
    """Two tensors over one memory, and an array over it to look at. The makers' objects live on."""
    a, b = PAIRS[name](count)
    first, second = nd.asarray(a, copy=False), nd.asarray(b, copy=False)
    memory = on_memory(first.data_ptr(), (count,), (8,), "f8")
    memory[...] = np.arange(count)
    return first, second, memory, (a, b)


@pytest.mark.parametrize("name", PAIRS)
def test_mut_1_aliases_are_recognised_whatever_way_they_came(name):
    first, second, _, (a, b) = pair(name)
    for x, y in itertools.product((first, a), (second, b)):
        assert nd.shares_memory(x, y)
    assert nd.shares_memory(first[::2], second[2:3])
    assert not nd.shares_memory(first[::2], second[1::2]), "interleaved, without a common byte"
    assert not nd.shares_memory(first[:6], second[6:])


@pytest.mark.parametrize("name", PAIRS)
def test_mut_1_the_view_of_one_element_is_an_alias_of_the_whole(name):
    # Of rank 0, whose range of bytes is not empty.
    first, second, memory, _ = pair(name)
    element = first[3]
    assert element.shape == () and nd.shares_memory(element, second)
    assert not nd.shares_memory(element, second[4:])
    second.fill_(element)
    assert memory.tolist() == [3.0] * 12


SIDES = {
    "shift up": (np.s_[1:], np.s_[:-1]),
    "shift down": (np.s_[:-1], np.s_[1:]),
    "reverse": (np.s_[:], np.s_[::-1]),
    "same": (np.s_[:], np.s_[:]),
    "interleaved": (np.s_[::2], np.s_[:6]),
    "overlapping backwards": (np.s_[8:2:-1], np.s_[1:7]),
}
WRITES = {
    "copy_": lambda target, source: target.copy_(source),
    "setitem": lambda target, source: target.__setitem__(..., source),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_mut_1_copies_between_aliases_are_as_if_through_a_copy(name, write):
    for side, (to, of) in SIDES.items():
        first, second, memory, _ = pair(name)
        expected = memory.copy()
        expected[to] = memory[of].copy()
        write(first[to], second[of])
        assert memory.tolist() == expected.tolist(), side


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_mut_1_the_source_may_be_the_other_library_s_array(name, write):
    first, _, memory, (_, b) = pair(name)
    expected = memory[::-1].copy()
    source = b if isinstance(b, (torch.Tensor, nd.Tensor)) else np.asarray(b)
    backwards = torch.flip(source, (0,)) if isinstance(source, torch.Tensor) else source[::-1]
    write(first, backwards)
    assert memory.tolist() == expected.tolist()


@pytest.mark.parametrize("name", PAIRS)
def test_mut_1_casting_between_aliases_is_as_if_through_a_copy(name):
    # Elements of another size, so that element i of one overlaps element i / 2 of the other.
    first, second, memory, _ = pair(name)
    small = second.view("float32")
    expected = on_memory(pointer(memory), (24,), (4,), "f4")[:12].astype("f8")
    first.copy_(small[:12])
    assert np.array_equal(memory, expected, equal_nan=True)


def test_mut_1_windows_are_aliases_of_their_array():
    a = np.arange(12.0)
    whole = nd.from_numpy(a)
    windows = nd.from_numpy(sliding_window_view(a, 3))
    assert nd.shares_memory(whole, windows) and nd.shares_memory(whole[2], windows[0, 2])
    assert not nd.shares_memory(whole[3:], windows[0])
    nd.from_numpy(as_strided(a, (2, 3), (8, 8)))[0].copy_(windows[4])
    assert a[:4].tolist() == [4, 5, 6, 3]


# ---- layouts and values --------------------------------------------------------------------------

TWICE = {
    "zero stride": lambda: as_strided(np.zeros(1), (4,), (0,)),
    "windows": lambda: sliding_window_view(np.zeros(5), 3, writeable=True),
    "half a step": lambda: as_strided(np.zeros(4), (6,), (4,)),
    "expanded torch": lambda: torch.zeros(1).expand(4),
    "unfolded torch": lambda: torch.zeros(5).unfold(0, 3, 1),
    "torch as_strided": lambda: torch.zeros(4).as_strided((3, 2), (1, 1)),
    "expanded tensor": lambda: nd.zeros(1).expand(4),
}


@pytest.mark.parametrize("make", TWICE.values(), ids=TWICE)
def test_mut_3_memory_that_is_reached_twice_is_not_written(make):
    t = nd.asarray(make(), copy=False)
    for write in (
        lambda: t.fill_(1),
        lambda: t.copy_(np.ones(t.shape)),
        lambda: t.__setitem__(..., 1),
        lambda: t.__setitem__(slice(1, None), 1),
    ):
        with pytest.raises(ValueError, match="twice|more than once|overlap"):
            write()
    assert not t.clone().numpy().any() and not np.asarray(t.tolist()).any()
    # A copy reaches every byte once.
    t.clone().fill_(1)


@pytest.mark.parametrize("dtype", ["float64", "complex128", "int16", "bfloat16"])
@pytest.mark.parametrize("offset", [1, 2, 3, 5, 7])
def test_shr_1_elements_off_their_alignment_are_read_and_written_right(dtype, offset):
    source = nd.tensor(np.arange(6), dtype).numpy()
    a = aligned_array((source.nbytes,), "u1", offset).view(source.dtype)
    a[...] = source
    t = nd.from_numpy(a)
    assert t.data_ptr() == pointer(a)
    assert t.tolist() == [0, 1, 2, 3, 4, 5]
    assert nd.array_equal(t, source) and t.clone().numpy().tobytes() == source.tobytes()
    assert t.astype("complex64").tolist() == [0, 1, 2, 3, 4, 5]
    assert t[4].item() == 4 and t[::-2].tolist() == [5, 3, 1]
    t.copy_(source[::-1])
    t[1] = 9
    t[2:4].fill_(7)
    assert a.astype("c16").tolist() == [5, 9, 7, 7, 1, 0]


def bad_bools():
    raw = np.array([0, 1, 2, 255], "u1")
    record = np.zeros(4, [("a", "u1"), ("x", "u1")])
    record["x"] = raw
    yield "numpy", raw.view(bool)
    yield "record field", record["x"].view(bool)
    yield "torch", torch.from_numpy(raw.copy()).view(torch.bool)
    yield "memoryview", memoryview(raw.tobytes()).cast("?")
    yield "jax", jnp.from_dlpack(on_bool_memory(raw))


def on_bool_memory(raw):
    memory = aligned_array((4,), "?")
    memory.view("u1")[...] = raw
    return memory


@pytest.mark.parametrize("name", [name for name, _ in bad_bools()])
def test_mut_5_bytes_that_are_no_bool_are_found(name):
    x = dict(bad_bools())[name]
    t = nd.asarray(x, copy=False)
    for read in (
        lambda: t.tolist(),
        lambda: t.astype("int8"),
        lambda: nd.array_equal(t, t),
        lambda: t[2].item(),
        lambda: nd.zeros(4).copy_(x),
        lambda: nd.tensor(x, "float32"),
    ):
        with pytest.raises(ValueError, match="byte 2.*index.*view"):
            read()
    assert t.view("uint8").tolist() == [0, 1, 2, 255]
    # Bits are carried as they are.
    assert to_numpy(t.numpy()).view("u1").tolist() == [0, 1, 2, 255]


@pytest.mark.parametrize("refcheck", [True, False])
def test_own_5_an_array_is_not_resized_while_a_tensor_has_it(refcheck):
    a = np.arange(1000.0)
    t = nd.from_dlpack(a)
    for size in (0, 8, 2_000_000):
        with pytest.raises(ValueError, match="cannot resize"):
            a.resize(size, refcheck=refcheck)
    t.fill_(1)
    t.copy_(t[::-1])
    assert a.sum() == 1000


def test_shr_1_fields_of_records_give_their_own_numbers():
    record = np.zeros(4, [("a", "u1"), ("b", "<f8"), ("c", "<c8"), ("d", "<i2", (2, 3))])
    record["b"], record["c"] = [1, 2, 3, 4], [1j, 2, 3, 4 + 1j]
    record["d"] = np.arange(24).reshape(4, 2, 3)
    for name in "abcd":
        a = record[name]
        for view in (a, a[::2], a[::-1], a.T):
            for call in (nd.from_numpy, nd.from_dlpack, nd.asarray, nd.from_buffer):
                t = call(view)
                assert (t.data_ptr(), t.strides) == (pointer(view), view.strides)
                assert t.tolist() == view.tolist()
                assert np.sum(t.astype("complex128").numpy()) == view.sum()
    nd.from_numpy(record["b"]).copy_([5, 6, 7, 8])
    nd.from_numpy(record["d"])[1:, 0].fill_(-1)
    assert record["b"].tolist() == [5, 6, 7, 8]
    assert record["d"][0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert record["d"][1].tolist() == [[-1, -1, -1], [9, 10, 11]]


@pytest.mark.parametrize("axes", [0, 1, 32, 33, 63, 64])
def test_shr_1_any_number_of_axes_that_numpy_has(axes):
    a = np.arange(2.0 if axes else 1).reshape((1,) * (axes - 1) + (2,) if axes else ())
    x = torch.from_numpy(a)
    for t in (nd.from_numpy(a), nd.from_dlpack(x), nd.asarray(a), nd.tensor(x)):
        assert t.ndim == axes
        assert t.numpy().tolist() == a.tolist() == t.torch().tolist()
        assert np.from_dlpack(t).shape == np.asarray(t).shape == a.shape
        assert t.clone().fill_(3).numpy().flatten().tolist() == [3] * a.size


@pytest.mark.parametrize("axes", [65, 70, 200])
def test_dty_4_more_axes_than_numpy_has_are_no_panic(axes):
    x = torch.zeros((1,) * axes)
    with contextlib.suppress(ValueError, TypeError, BufferError):
        t = nd.from_dlpack(x)
        assert t.ndim == axes
        with pytest.raises((ValueError, BufferError)):
            t.numpy()
        with pytest.raises((ValueError, BufferError)):
            memoryview(t)
        assert t.torch().shape == x.shape


# ---- memory that must not change, and memory that others may not have ----------------------------

KEPT = {
    "jax": lambda: jnp.arange(16, dtype="float32"),
    "tensorflow": lambda: tf.range(16, dtype="float32"),
    "locked array": lambda: locked(np.arange(16, dtype="f4")),
    "bytes": lambda: np.frombuffer(np.arange(16, dtype="f4").tobytes(), "f4"),
    "memoryview": lambda: memoryview(np.arange(16, dtype="f4")).toreadonly(),
    "torch read-only": lambda: torch.utils.dlpack.ReadOnlyTensorWrapper(torch.arange(16.0)),
    "constant": lambda: nd.constant(np.arange(16, dtype="f4")),
}


def locked(array):
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("make", KEPT.values(), ids=KEPT)
def test_mut_2_immutable_memory_is_not_written_by_any_way(make):
    x = make()
    t = nd.asarray(x, copy=False)
    assert t.readonly
    others = [t, t[::2], t.flip(0), t.view("int32"), nd.asarray(t.numpy(), copy=False)]
    others += [nd.from_buffer(memoryview(t)), nd.from_dlpack(np.from_dlpack(t))]
    for other in others:
        assert other.readonly
        for write in (
            lambda: other.fill_(5),
            lambda: other.copy_(np.zeros(other.shape, other.dtype.name)),
            lambda: other.__setitem__(0, 5),
            lambda: other.numpy().__setitem__(0, 5),
            lambda: np.asarray(other).__setitem__(0, 5),
            lambda: np.from_dlpack(other).__setitem__(0, 5),
            lambda: other.torch(),
        ):
            with pytest.raises((ValueError, BufferError), match="read-only|readonly"):
                write()
        with pytest.raises(TypeError):
            memoryview(other)[0] = 5
        for legacy in (lambda: other.__dlpack__(), lambda: other.__dlpack__(max_version=(0, 8))):
            with pytest.raises(BufferError, match="read-only"):
                legacy()
    assert t.tolist() == list(range(16))


def test_mut_2_jax_keeps_an_alias_only_where_it_was_asked_for():
    a = aligned_array((16,), "float32")
    a[...] = 1
    shared = nd.from_numpy(a).jax()
    kept, apart = nd.tensor(a).jax(), jax.block_until_ready(nd.from_numpy(a).clone().jax())
    a[0] = 99
    assert pointer(shared) == pointer(a)
    assert [float(np.asarray(x)[0]) for x in (shared, kept, apart)] == [99, 1, 1]


def test_shr_1_tensorflow_computes_with_all_that_it_gets():
    run_python(
        """
import os
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="")
import ndbridge as nd, numpy as np, tensorflow as tf
refused = 0
for offset in range(0, 132, 4):
    a = np.zeros(4096, "u1")[offset:][:400].view("f4")
    try:
        x = nd.from_numpy(a).tensorflow()
    except BufferError:
        refused += 1
        x = nd.tensor(a).tensorflow()
    y = tf.matmul(tf.reshape(x, (10, 10)), tf.reshape(x + 1, (10, 10))) + tf.reshape(x, (10, 10))
    assert float(tf.reduce_sum(tf.concat([y, y], 0))) == 0
    assert x[3:9].shape == (6,) and float(tf.cast(x, "float64")[0]) == 0
assert refused >= 20
"""
    )


def test_shr_1_legacy_capsules_go_on_as_they_came():
    """JAX and TensorFlow give and take nothing else, so what came so may leave so."""
    for x in (jnp.arange(16, dtype="float32"), tf.range(16, dtype="float32")):
        # By the bare capsule nobody knows whose memory it is.
        t = nd.from_dlpack(x.__dlpack__())
        assert not t.numpy().flags.writeable
        with pytest.raises(ValueError, match="writable|written"):
            t.fill_(0)
        for onward in (jnp.from_dlpack(t), tf_from_dlpack(t.__dlpack__())):
            assert pointer(onward) == pointer(x)
