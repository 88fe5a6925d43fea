"""What other libraries refuse without need, or grant where they should refuse: see `test_traps`."""

import warnings

import ml_dtypes
import ndbridge as nd
import numpy as np
import pytest

from frameworks import (
    aligned_array, jnp, pointer, tf, tf_from_dlpack, tf_pointer, to_numpy, torch,
)  # fmt: skip
from test_traps import numbers, read_only, refuses, trap

# ---- immutable arrays that can be written --------------------------------------------------------


def test_mut_2_tensorflow_s_memory_stays_read_only():
    t = tf.constant([1.0, 2.0])
    t.__array__()[0] = 99
    trap("TensorFlow's tensors can be written through NumPy", float(t[0]) == 99)
    small = tf.constant(np.ones(3, ml_dtypes.bfloat16))
    trap("np.asarray gives a writable array", np.asarray(small).flags.writeable)

    for x in (tf.constant([1.0, 2.0]), small):
        for tensor in (nd.from_dlpack(x), nd.asarray(x), nd.asarray(x, copy=False)):
            assert tensor.readonly
            assert not tensor.numpy().flags.writeable
            assert not np.asarray(tensor).flags.writeable
            for write in (lambda: tensor.fill_(3), lambda: tensor.__setitem__(0, 3)):
                with pytest.raises(ValueError, match="read-only"):
                    write()
            with pytest.raises(BufferError, match=r"read-only.*clone"):
                tensor.torch()
            # What cannot be written may be shared with others that do not write.
            assert tf_pointer(tensor.tensorflow()) == tf_pointer(x)


def test_mut_2_torch_gets_no_read_only_memory():
    values = jnp.zeros(4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.from_dlpack(values)[0] = 99
    trap("torch writes JAX's immutable arrays", float(np.asarray(values)[0]) == 99)
    word = b"hello"

    for tensor in (
        nd.from_buffer(word),
        nd.from_numpy(np.frombuffer(word, "u1")),
        nd.from_dlpack(jnp.zeros(4)),
        nd.from_dlpack(tf.zeros(4)),
        nd.constant([1.0, 2.0]),
    ):
        with pytest.raises(BufferError, match=r"read-only.*clone\(\)"):
            tensor.torch()
        assert tensor.clone().torch().fill_(0).sum() == 0
    assert word == b"hello"


def test_mut_2_read_only_memory_goes_to_those_who_cannot_write():
    a = read_only(numbers())
    for take in (jnp.from_dlpack, lambda a: tf_from_dlpack(a.__dlpack__())):
        trap("libraries that never write get no read-only memory", refuses(take, a))

    t = nd.from_numpy(a)
    assert t.jax().unsafe_buffer_pointer() == pointer(a)
    assert tf_pointer(t.tensorflow()) == pointer(a)


# ---- refusals without need -----------------------------------------------------------------------


def test_shr_1_strides_of_axes_that_are_not_walked_do_not_matter():
    one, none = np.ones((1, 3), "f4")[::-1], np.ones((0, 3), "f4")[:, ::-1]
    trap("torch refuses the stride of an axis of length 1", refuses(torch.from_numpy, one))
    for a in (one, none):
        t = nd.from_numpy(a)
        shared = t.torch()
        assert tuple(shared.shape) == a.shape
        assert shared.tolist() == a.tolist()
        if a.size:
            assert shared.data_ptr() == pointer(a)


def test_shr_2_a_copy_of_any_layout_is_to_be_had():
    record = np.zeros(4, [("a", "u1"), ("x", "f4")])
    record["x"] = [1, 2, 3, 4]
    for a in (np.arange(4, dtype="f4")[::-1], record["x"]):
        trap("torch refuses strides even where it copies", refuses(torch.tensor, a))
        with pytest.raises(BufferError, match=r"(clone|contiguous)\(\)"):
            nd.from_numpy(a).torch()
        assert nd.tensor(a).torch().tolist() == a.tolist()
        assert nd.from_numpy(a).clone().torch().tolist() == a.tolist()


def test_shr_3_numpy_s_copy_keyword_is_understood():
    x = torch.ones(3)
    trap("torch does not know copy=False", refuses(lambda: np.array(x, copy=False)))

    t = nd.from_dlpack(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pointer(np.array(t, copy=False)) == x.data_ptr()
        assert pointer(np.asarray(t, copy=False)) == x.data_ptr()
        copy = np.array(t)
    assert pointer(copy) != x.data_ptr() and copy.tolist() == [1, 1, 1]


@pytest.mark.parametrize("dtype", [np.longlong, np.ulonglong, np.int_, np.uint])
def test_dty_1_every_name_of_a_64_bit_integer_is_taken(dtype):
    a = np.arange(3).astype(dtype)
    if dtype is np.ulonglong:
        trap("torch refuses one name of uint64", refuses(torch.from_numpy, a))
    shared = nd.from_numpy(a).torch()
    assert (shared.data_ptr(), shared.tolist()) == (pointer(a), [0, 1, 2])


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_dty_5_small_floats_cross_between_all_that_have_them(name):
    a = aligned_array((16,), getattr(ml_dtypes, name))
    a[...] = np.arange(16).astype(a.dtype)
    for take in (torch.from_numpy, torch.from_dlpack, jnp.from_dlpack):
        trap(f"NumPy's {name} goes nowhere", refuses(take, a))

    t = nd.from_numpy(a)
    there = [t.torch(), t.jax(), t.numpy()] + ([t.tensorflow()] if name == "bfloat16" else [])
    for x in there:
        assert pointer(x) == pointer(a)
        assert to_numpy(x).dtype == a.dtype
        assert to_numpy(x).tobytes() == a.tobytes()
    for x in there[:2]:
        back = nd.from_dlpack(x).numpy()
        assert (pointer(back), back.dtype) == (pointer(a), a.dtype)


def test_shr_2_copies_are_writable_and_zero_axes_are_arrays():
    x = jnp.arange(4.0)
    copy = np.from_dlpack(x, copy=True)
    trap("a fresh copy of a JAX array is read-only", not copy.flags.writeable)
    scalar = tf.constant(1.0).numpy()
    trap("TensorFlow's numpy() gives no array", not isinstance(scalar, np.ndarray))

    for copy in (nd.tensor(x), nd.asarray(x, copy=True), nd.from_dlpack(x).clone()):
        assert copy.numpy().flags.writeable
        copy.numpy()[0] = 9
        assert copy[0].item() == 9
    scalar = nd.from_dlpack(tf.constant(1.5)).numpy()
    assert type(scalar) is np.ndarray and scalar.shape == () and scalar == 1.5


def test_shr_1_buffers_keep_their_shape():
    a = np.arange(6, dtype="f4").reshape(2, 3)
    flat = torch.frombuffer(a, dtype=torch.float32)
    trap("torch.frombuffer flattens", flat.shape == (6,))
    trap("and refuses nothing", refuses(lambda: torch.frombuffer(bytearray(), dtype=torch.uint8)))

    assert tuple(nd.from_buffer(a).torch().shape) == (2, 3)
    assert tuple(nd.from_buffer(bytearray()).torch().shape) == (0,)
