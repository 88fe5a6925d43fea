"""Many readers or one writer over any byte, whatever library the arrays are of."""

import re

import ndbridge as nd
import ndbridge_example as example
import numpy as np
import pytest
from conftest import Dlpack, Interface, LegacyDlpack, aligned, of_torch
from ndbridge_example import testing

windows = np.lib.stride_tricks.sliding_window_view
strided = np.lib.stride_tricks.as_strided


def base():
    return np.zeros((6, 6))


def of_memoryviews(*slices):
    memory = memoryview(bytearray(64))
    return [memory[at].cast("d") for at in slices]


def of_torch_views(*views):
    tensor = of_torch(base())
    return [view(tensor) for view in views]


def torch_of_ndbridge(x):
    pytest.importorskip("torch")
    return nd.from_numpy(x).torch(), x


def jax_alias():
    jax = pytest.importorskip("jax")
    x = aligned((4, 4), "float32")
    alias = jax.dlpack.from_dlpack(x)
    if alias.unsafe_buffer_pointer() != example.describe(x)["address"]:
        pytest.skip("JAX made a copy")
    return alias, x


def tensorflow_alias():
    tensorflow = pytest.importorskip("tensorflow")
    tensor = nd.zeros((4, 4), "float32")
    return tensor.tensorflow(), tensor


#: One to read and one to write, with a byte in common.
OVERLAPPING = {
    "the same": lambda x: (x, x),
    "a view": lambda x: (x, x[1:]),
    "a view of a view": lambda x: (x[1:][:, 1:], x.T[::2]),
    "one element": lambda x: (x[:3, :3], x[2:, 2:]),
    "reversed": lambda x: (x[:3], x[::-1][3:]),
    "steps that meet": lambda x: (x.ravel()[::2], x.ravel()[::3]),
    "columns that meet": lambda x: (x[:, ::2], x[:, ::3]),
    "rank 0": lambda x: (x[1, 2, ...], x[1]),
    "rank 0 twice": lambda x: (x[1, 2, ...], x[1, 2, ...]),
    "another dtype": lambda x: (x, x.view("uint8")[0, 47:]),
    "part of an element": lambda x: (x[0].view("uint8")[4:6], x[0, :1].view("float32")[1:]),
    "as_strided": lambda x: (strided(x, (3,), (16,)), x[0, 4:]),
    "windows": lambda x: (windows(x[0], 3), x[0, 5:]),
    "broadcast": lambda x: (np.broadcast_to(x[2], (3, 6)), x[2]),
    "subclass": lambda x: (x.view(np.matrix), x),
    "real part": lambda x: (x.view("complex128").real, x[:, 4]),
    "record field": lambda x: (x.view([("a", "f8"), ("b", "f8")])["b"][..., 0], x[0]),
    "numpy's DLPack": lambda x: (np.from_dlpack(x), x),
    "ndbridge": lambda x: (nd.from_numpy(x)[1:], x),
    "ndbridge's DLPack": lambda x: (nd.from_dlpack(x), x),
    "ndbridge twice": lambda x: (nd.from_numpy(x).T, nd.asarray(x)[1:]),
    "numpy of ndbridge": lambda x: (nd.from_numpy(x).numpy(), x),
    "torch": lambda x: (of_torch(x), x),
    "torch's DLPack": lambda x: (pytest.importorskip("torch").from_dlpack(x), x),
    "torch of ndbridge": torch_of_ndbridge,
    "torch views": lambda x: of_torch_views(lambda t: t[:, 1:3], lambda t: t[2:].flatten()),
    "torch, split": lambda x: of_torch_views(lambda t: t.split(2)[1], lambda t: t.narrow(0, 3, 2)),
    "an object with DLPack": lambda x: (Dlpack(x), x),
    "an object with old DLPack": lambda x: (LegacyDlpack(x), x),
    "an object with an interface": lambda x: (Interface(x), x[5]),
    "memoryview": lambda x: (memoryview(x), x),
    "memoryviews": lambda x: of_memoryviews(slice(0, 32), slice(24, 64)),
    "jax": lambda x: jax_alias(),
    "tensorflow": lambda x: tensorflow_alias(),
}  # fmt: skip

#: Two without a common byte.
DISJOINT = {
    "rows": lambda x: (x[:3], x[3:]),
    "columns": lambda x: (x[:, :2], x[:, 2:]),
    "even and odd": lambda x: (x.ravel()[::2], x.ravel()[1::2]),
    "even and odd rows": lambda x: (x[::2], x[1::2]),
    "every third column": lambda x: (x[:, ::3], x[:, 1::3]),
    "reversed": lambda x: (x[::-1][:3], x[:3]),
    "checkerboard": lambda x: (x[::2, ::2], x[1::2, 1::2]),
    "rank 0": lambda x: (x[1, 2, ...], x[1, 3, ...]),
    "halves of elements": lambda x: (x.view("float32")[:, ::2], x.view("float32")[:, 1::2]),
    "real and imaginary": lambda x: (x.view("complex128").real, x.view("complex128").imag),
    "as_strided": lambda x: (strided(x, (3,), (16,)), strided(x[0, 1:], (3,), (16,))),
    "windows": lambda x: (windows(x[0], 3), x[1]),
    "record fields": lambda x: (
        x.view([("a", "f8"), ("b", "f8")])["a"],
        x.view([("a", "f8"), ("b", "f8")])["b"],
    ),
    "empty": lambda x: (x[:0], x),
    "empty inside": lambda x: (x, x[2:2]),
    "ndbridge": lambda x: (nd.from_numpy(x)[::2], nd.from_numpy(x)[1::2]),
    "torch": lambda x: (of_torch(x)[:, ::3], x[:, 1::3]),
    "torch views": lambda x: of_torch_views(lambda t: t[::2], lambda t: t[1::2]),
    "DLPack": lambda x: (np.from_dlpack(x)[:3], x[3:]),
    "memoryviews": lambda x: of_memoryviews(slice(0, 32), slice(32, 64)),
    "others": lambda x: (x, x.copy()),
}


@pytest.mark.parametrize("pair", OVERLAPPING.values(), ids=OVERLAPPING)
def test_mut_1_a_writer_of_common_bytes_is_refused(pair):
    keep = base()
    read, written = pair(keep)
    with pytest.raises(BufferError, match="^b: .* borrowed for reading by another argument"):
        testing.overlap(read, written)
    testing.both_read(read, written)
    testing.overlap(written, nd.tensor(read))  # nothing stays borrowed
    for first, second in ((read, written), (written, read)):
        with pytest.raises((BufferError, ValueError)) as caught:
            testing.both_written(first, second)
        assert re.match("b: .* for writing by another|[ab]: expected writable|[ab]: .*twice", str(caught.value))


@pytest.mark.parametrize("pair", DISJOINT.values(), ids=DISJOINT)
def test_mut_1_disjoint_bytes_do_not_conflict(pair):
    keep = base()
    first, second = pair(keep)
    testing.both_read(first, second)
    if "window" not in repr(pair):
        testing.overlap(first, second)
    if not (isinstance(first, np.ndarray) and not first.flags.writeable):
        testing.both_written(first, second)


def test_mut_1_of_three_arguments_too():
    image, mean = np.ones((2, 2, 3), "float32"), np.ones(3, "float32")
    for arguments in ((image, image[0, 0], mean), (image, mean, image[1, 1])):
        with pytest.raises(BufferError, match="^(mean|std): .* for writing by another argument"):
            example.normalise(*arguments)
    example.normalise(image, mean, mean)
    assert image.tolist() == np.zeros((2, 2, 3)).tolist()


def test_mut_1_the_ledger_is_one_for_both_modules():
    x = np.arange(6.0)
    tensor = nd.from_numpy(x)
    with pytest.raises(BufferError, match="borrowed"):
        testing.call_while_writing(x, lambda: tensor.fill_(1.0))
    with pytest.raises(BufferError, match="borrowed"):
        testing.call_while_writing(x, tensor.clone)
    with pytest.raises(BufferError, match="borrowed"):
        testing.call_while_reading(x[2:], lambda: nd.from_numpy(x[::2]).fill_(1.0))
    testing.call_while_reading(x, tensor.clone)
    testing.call_while_writing(x[:3], lambda: tensor[3:].fill_(1.0))
    assert x.tolist() == [0, 1, 2, 1, 1, 1]


def test_mut_1_a_kept_tensor_is_borrowed_when_it_is_used():
    x = np.arange(6.0)
    keeper = testing.Keeper(x)
    assert testing.call_while_reading(x, keeper.sum) == 15
    with pytest.raises(BufferError, match="borrowed"):
        testing.call_while_reading(x, lambda: keeper.fill(0.0))
    with pytest.raises(BufferError, match="borrowed"):
        testing.call_while_writing(x, keeper.sum)
    keeper.fill(2.0)
    assert x.tolist() == [2] * 6


def test_mut_1_a_borrow_ends_with_the_call_however_it_ends():
    x = np.arange(6.0)

    def fail():
        raise KeyError("inside")

    for call in (testing.call_while_reading, testing.call_while_writing):
        with pytest.raises(KeyError):
            call(x, fail)
        testing.both_written(x[:3], x[3:])
    with pytest.raises(TypeError, match="^std: "):  # two others were taken by then
        example.normalise(np.ones((1, 1, 3), "float32"), np.ones(3, "float32"), x)
    testing.both_written(x[:3], x[3:])


def test_mut_1_nested_calls_see_each_other():
    x = np.arange(6.0)
    inner = lambda: testing.overlap(x[:1], x[1:])  # noqa: E731
    with pytest.raises(BufferError, match="^b: "):
        testing.call_while_reading(x, inner)
    with pytest.raises(BufferError, match="^a: .*for writing"):
        testing.call_while_writing(x, inner)
    assert testing.call_while_reading(x, lambda: testing.call_while_reading(x, lambda: 5)) == 5
    inner()


def test_mut_1_of_many_regions_at_once():
    x = np.zeros(64)

    def write(rest):
        return testing.call_while_writing(rest[0], lambda: write(rest[1:])) if rest else "all"

    assert write([x[at : at + 2] for at in range(0, 64, 2)]) == "all"
    with pytest.raises(BufferError):
        write([x[at : at + 2] for at in range(0, 63)])
    testing.both_written(x[:32], x[32:])
