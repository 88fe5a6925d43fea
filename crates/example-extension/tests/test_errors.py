"""Each error names the argument, what was expected, what came, and a call that works."""

import re

import ndbridge as nd
import ndbridge_example as example
import numpy as np
import pytest
from conftest import aligned, of_jax, of_tensorflow, of_torch, remedy
from ndbridge_example import testing

ZEROS, ONES = np.zeros(3, "float32"), np.ones(3, "float32")


def read_only(array):
    array.flags.writeable = False
    return array


def unaligned(array):
    raw = np.zeros(array.nbytes + 1, "uint8")[1:].view(array.dtype).reshape(array.shape)
    raw[...] = array
    return raw


def ones(*shape, dtype="float64"):
    return np.ones(shape, dtype)


def record_field(dtype):
    return np.ones(3, [("a", "uint8"), ("x", dtype)])["x"]


# The call, its argument, what the text says of the demand, what of the array.
REFUSED = {
    "dtype": (example.total, ones(3, dtype="int32"), "float32 or float64 [..]", "numpy int32 [3]"),
    "torch dtype": (example.total, lambda: of_torch(ones(3, dtype="int32")), "float32 or", "torch int32 [3]"),
    "jax dtype": (example.total, lambda: of_jax(ones(3, dtype="int32")), "float32 or", "jax int32 [3]"),
    "jax to 64 bit": (testing.c_order, lambda: of_jax(ones(3, dtype="float32")), "float64 [..] on cpu, C order", "jax float32 [3]"),
    "tensorflow dtype": (example.total, lambda: of_tensorflow(ones(3, dtype="int32")), "float32 or", "tensorflow int32 [3]"),
    "buffer dtype": (testing.c_order, bytearray(8), "float64 [..]", "array uint8 [8]"),
    "byte order": (testing.c_order, ones(3, dtype=">f8"), "float64 [..]", "numpy float64 [3] in big-endian byte order"),
    "C order": (testing.c_order, ones(2, 3).T, "float64 [..] on cpu, C order", "[3, 2] with strides [8, 24] B"),
    "F order": (testing.f_order, ones(2, 3), "float64 [..] on cpu, Fortran order", "numpy float64 [2, 3]"),
    "C order of torch": (testing.c_order, lambda: of_torch(ones(2, 3)).T, "C order", "torch float64 [3, 2]"),
    "F order of torch": (testing.f_order, lambda: of_torch(ones(2, 3)), "Fortran order", "torch float64 [2, 3]"),
    "F order of tensorflow": (testing.f_order, lambda: of_tensorflow(ones(2, 3)), "Fortran order", "tensorflow float64 [2, 3] (read-only)"),
    "no gaps": (testing.contiguous, ones(4, 3)[::2], "contiguous, aligned to 8 B", "with strides [48, 8] B"),
    "dtype and C order": (testing.c_order, ones(2, 3, dtype="int32").T, "C order", "numpy int32 [3, 2]"),
    "dtype and F order": (testing.f_order, ones(2, 3, dtype="int32"), "Fortran order", "numpy int32 [2, 3]"),
    "torch dtype and C order": (testing.c_order, lambda: of_torch(ones(2, 3, dtype="int32")).T, "C order", "torch int32 [3, 2]"),
    "byte order and F order": (testing.f_order, ones(2, 3, dtype=">f8"), "Fortran order", "big-endian"),
    "alignment": (testing.aligned64, aligned(3, offset=8), "aligned to 64 B", "numpy float64 [3]"),
    "alignment of torch": (testing.aligned64, lambda: of_torch(aligned(3, offset=8)), "aligned to 64 B", "torch float64 [3]"),
    "alignment and dtype": (testing.aligned64, aligned(3, "float32", 4), "aligned to 64 B", "numpy float32 [3]"),
    "any alignment": (testing.c_order, unaligned(ones(3)), "float64 [..]", "whose address 0x"),
    "read-only": (testing.any_axes, read_only(ones(3)), "writable float64 [..]", "numpy float64 [3] (read-only)"),
    "read-only bytes": (testing.any_axes, np.frombuffer(bytes(16)), "writable float64", "(read-only)"),
    "jax to be written": (testing.any_axes, lambda: of_jax(ones(3)), "writable float64", "jax float64 [3] (read-only)"),
    "jax to be written, dtype": (testing.any_axes, lambda: of_jax(ones(3, dtype="float32")), "writable float64", "jax float32 [3] (read-only)"),
    "tensorflow to be written": (testing.any_axes, lambda: of_tensorflow(ones(3)), "writable float64", "tensorflow float64 [3] (read-only)"),
    "tensorflow to be written, dtype": (testing.any_axes, lambda: of_tensorflow(ones(3, dtype="float32")), "writable float64", "(read-only)"),
    "broadcast": (testing.any_axes, np.broadcast_to(ones(3), (2, 3)), "writable float64", "(read-only) with strides [0, 8] B"),
    "overlapping": (testing.any_axes, np.lib.stride_tricks.as_strided(ones(4), (2, 2), (8, 8)), "writable float64", "with strides [8, 8] B"),
    "expanded torch": (testing.any_axes, lambda: of_torch(ones(3)).expand(2, 3), "writable float64", "torch float64 [2, 3]"),
    "record field": (testing.any_axes, record_field("float64"), "writable float64", "with strides [9] B"),
    "bytes of bools": (testing.bools, np.array([[0, 1], [1, 255]], "uint8").view("bool"), "byte 255 at index [1, 1] is not a bool", ""),
    "bytes of torch bools": (testing.bools, lambda: of_torch(np.array([2, 1], "uint8").view("bool")), "byte 2 at index [0]", ""),
}  # fmt: skip


@pytest.mark.parametrize(("call", "x", "expected", "found"), REFUSED.values(), ids=REFUSED)
def test_the_call_that_an_error_names_works(call, x, expected, found):
    x = x() if callable(x) else x
    with pytest.raises((TypeError, ValueError)) as caught:
        call(x)
    text = str(caught.value)
    assert text.startswith("x: ")
    assert expected in text
    assert found in text
    better = remedy(text, x=x)
    if call is testing.bools:
        assert str(better.dtype).endswith("uint8")  # the values, for the caller to look at
        return
    with np.errstate(all="ignore"):
        call(better)


def test_who_follows_the_advice_for_a_written_argument_sees_what_is_written():
    image = np.ones((2, 2, 3))
    with pytest.raises(TypeError) as caught:
        example.normalise(image, ZEROS, ONES * 2)
    y = remedy(caught.value, image=image)
    example.normalise(y, ZEROS, ONES * 2)
    assert (y == 0.5).all()


WRITTEN = {
    "masked": (np.ma.ones(3), "make y = a.filled(value) (copies), pass y, use y, or a.data and a.mask (share)"),
    "list": ([1.0], "make y = numpy.asarray(a) (copies), pass y, use y"),
    "sparse": (lambda: of_torch(np.ones(3)).to_sparse(), "make y = a.to_dense() (copies), pass y, use y"),
    "conjugate": (lambda: of_torch(np.ones(3) + 0j).conj(), "make y = a.resolve_conj() (copies), pass y, use y"),
    "twice": (np.lib.stride_tricks.as_strided(ones(1), (2,), (0,)), "make y = a.copy() (copies 16 B), pass y, use y"),
    "in use": (ONES, "make y = a.copy(), pass y, use y"),
}  # fmt: skip


@pytest.mark.parametrize(("x", "advice"), WRITTEN.values(), ids=WRITTEN)
def test_the_advice_for_what_is_written_is_to_keep_it(x, advice):
    x = x() if callable(x) else x
    with pytest.raises((TypeError, ValueError, BufferError)) as caught:
        testing.call_while_reading(ONES, lambda: testing.both_written(x, np.zeros(3)))
    assert str(caught.value).endswith(advice)


def test_no_error_shows_a_path_of_the_machine_it_was_built_on():
    a = np.zeros(4)
    tensor, keeper = nd.from_numpy(a), testing.Keeper(a)

    class File:
        """Calls back while the elements that are written to it are borrowed."""

        def write(self, data):
            keeper.fill(1.0)

    calls = [
        lambda: testing.call_while_reading(a, lambda: tensor.fill_(1.0)),
        lambda: testing.call_while_reading(a, lambda: keeper.fill(1.0)),
        lambda: testing.call_while_writing(a, lambda: tensor.tolist()),
        lambda: testing.call_while_writing(a, lambda: testing.both_read(a, a)),
        lambda: nd.save(File(), tensor),
    ]
    texts = []
    for call in calls:
        with pytest.raises(BufferError) as caught:
            call()
        texts.append(str(caught.value))
    reading = "already borrowed for reading by an argument of a running call, wanted for writing"
    assert texts[:2] == [reading] * 2
    assert texts[2] == "already borrowed for writing by an argument of a running call, wanted for reading"
    assert texts[3].startswith("a: numpy float64 [4] shares memory that is borrowed for writing by another argument")
    assert re.fullmatch(r"already borrowed for reading by Rust code \(\w+\.rs, line \d+\), wanted for writing", texts[4])
