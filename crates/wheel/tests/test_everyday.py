"""What libraries and people expect of whatever looks like an array."""

import pickle
import sys

import ndbridge as nd
import numpy as np
import pytest

ALL = ["bool", "int8", "uint8", "int16", "int64", "float16", "float32", "float64", "complex64", "complex128"]


class Unequal:
    """Refused by asarray, and with an answer of its own."""

    def __init__(self, answer):
        self.answer = answer

    def __eq__(self, other):
        return self.answer


@pytest.mark.parametrize("name", ALL)
def test_dty_1_a_dtype_answers_as_numpys(name):
    ours, numpys = nd.zeros(2, name).dtype, np.dtype(name)
    for attribute in (
        "name itemsize str kind char num type byteorder descr alignment isnative hasobject names fields"
        " subdtype shape"
    ).split():
        assert getattr(ours, attribute) == getattr(numpys, attribute), attribute
    assert ours.__numpy_dtype__ is numpys or ours.__numpy_dtype__ == numpys
    assert np.dtype(ours) == numpys
    if np.lib.NumpyVersion(np.__version__) >= "2.4.0":
        # Older ones do not ask for `__numpy_dtype__`.
        assert np.result_type(nd.zeros(2, name), numpys) == numpys


def test_equal_is_what_array_equal_says_and_others_are_asked_for_the_rest():
    t = nd.tensor([1.0, 2.0])
    assert t == [1, 2] and t == np.array([1.0, 2.0]) and not t == [1, 3] and not t == [1, 2, 3]
    assert t != None and t != "x" and t != object()  # noqa: E711
    assert t == pytest.approx([1.0, 2.0 + 1e-9]) and t != pytest.approx([1.0, 2.1])
    for answer in (True, False, "so"):
        assert (t == Unequal(answer)) is answer
    masked = np.ma.array([1.0, 2.0], mask=[0, 1])
    answer = t == masked
    assert isinstance(answer, np.ma.MaskedArray) and answer[0] and answer.mask.tolist() == [False, True]
    with pytest.raises(TypeError, match="mask"):
        nd.array_equal(t, masked)
    for other in (np.array([1.0, 2.0], dtype=object), np.array([1, 2], dtype=np.longdouble)):
        assert np.all(t == other)
        with pytest.raises(TypeError):
            nd.array_equal(t, other)


def test_shr_6_numpys_own_functions_take_its_shapes():
    a = np.arange(24.0).reshape(2, 1, 3, 4)
    t = nd.from_numpy(a)
    cases = [
        lambda x: np.squeeze(x, axis=1),
        lambda x: np.moveaxis(x, 0, -1),
        lambda x: np.transpose(x),
        lambda x: np.transpose(x, (3, 0, 2, 1)),
        lambda x: np.rollaxis(x, 2),
        lambda x: np.swapaxes(x, 0, 3),
    ]
    for case in cases:
        ours, numpys = np.asarray(case(t)), case(a)
        assert ours.strides == numpys.strides and np.shares_memory(ours, a)
        np.testing.assert_array_equal(ours, numpys)
    assert t.transpose(0, 3).shape == (4, 1, 3, 2)  # torch's meaning of two numbers
    assert t.transpose().shape == (4, 3, 1, 2)
    with pytest.raises(TypeError, match="dim or axis"):
        t.squeeze(1, axis=1)


def test_shr_2_copy_and_tobytes_copy():
    a = np.arange(6, dtype="i2").reshape(2, 3)[:, ::-1]
    t = nd.from_numpy(a)
    for order in ("C", "F", "K"):
        copy = t.copy(order)
        assert not nd.shares_memory(copy, t) and copy == t
        assert copy.strides == (a.copy(order).strides)
    for order in ("C", "F"):
        assert t.tobytes(order) == a.tobytes(order)
    assert nd.zeros((0, 3)).tobytes() == b"" and nd.tensor(5, dtype="u1").tobytes() == b"\x05"
    with pytest.raises(ValueError, match="order"):
        t.tobytes("K")


def test_a_tensor_is_a_sequence():
    t = nd.tensor([1, 3, 5])
    assert [int(x) for x in reversed(t)] == [5, 3, 1]
    assert len(t) == 3 and int(t[-1]) == 5
    for index in (3, -4):
        with pytest.raises(IndexError):
            t[index]
    assert (1 in t, 2 in t) == (True, False)
    assert np.asarray([t, t]).tolist() == [[1, 3, 5]] * 2


def test_numbers_are_formatted_as_pythons():
    assert f"{nd.tensor(1.2345):.2f}" == "1.23" and f"{nd.tensor(7):>4d}" == "   7"
    t = nd.tensor([1.0])
    assert f"{t}" == str(t)
    with pytest.raises(TypeError, match="tolist"):
        f"{t:.2f}"
    assert nd.tensor([True])._repr_html_().startswith("<pre>")


def test_sizeof_counts_memory_that_is_ours():
    own = nd.zeros(1000)
    assert sys.getsizeof(own) >= 8000 > sys.getsizeof(own[:10])
    assert sys.getsizeof(nd.from_numpy(np.zeros(1000))) < 8000
    assert sys.getsizeof(nd.from_buffer(bytes(8000))) < 8000
    assert sys.getsizeof(pickle.loads(pickle.dumps(own))) >= 8000


def test_paths_may_be_bytes(tmp_path):
    path = bytes(tmp_path / "x.npy")
    nd.save(path, nd.tensor([1, 2]))
    assert nd.load(path) == [1, 2]
    with pytest.raises(TypeError, match="path"):
        nd.load(7.5)


class OnlyArray:
    """Gives its elements by ``__array__`` alone, as a pandas Series does."""

    def __init__(self, array, copies=False):
        self.array, self.copies = array, copies

    def __array__(self, dtype=None, copy=None):
        if copy is False and self.copies:
            raise ValueError("cannot be had without a copy")
        return self.array.copy() if self.copies else self.array


def test_shr_1_what_has_only_an_array_method_is_shared():
    a = np.arange(4.0)
    t = nd.asarray(OnlyArray(a), copy=False)
    assert t.data_ptr() == a.ctypes.data and t.receipt.shared
    a.flags.writeable = False
    assert nd.asarray(OnlyArray(a)).readonly
    copied = nd.asarray(OnlyArray(a, copies=True))
    assert copied == a and not nd.shares_memory(copied, a)
    with pytest.raises(ValueError, match="copy"):
        nd.asarray(OnlyArray(a, copies=True), copy=False)
    with pytest.raises(TypeError):
        nd.asarray(OnlyArray(np.array(["a"])))


class FailingDlpack(OnlyArray):
    def __dlpack__(self, **options):
        raise BufferError("no bits by DLPack")

    def __dlpack_device__(self):
        return (1, 0)


def test_shr_3_a_protocol_that_fails_leaves_it_to_the_next():
    a = np.array([True, False])
    assert nd.asarray(FailingDlpack(a)).data_ptr() == a.ctypes.data
    assert nd.tensor(FailingDlpack(a, copies=True)) == a
    with pytest.raises(BufferError, match="no bits by DLPack"):
        nd.from_dlpack(FailingDlpack(a))
