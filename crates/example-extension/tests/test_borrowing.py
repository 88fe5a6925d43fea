"""Many readers or one writer over any byte, whatever library the arrays are of.

NumPy's own views, and objects of every protocol, the tests of ndbridge-python have.
"""

import re

import ndbridge as nd
import ndbridge_example as example
import numpy as np
import pytest
from conftest import aligned, of_torch
from ndbridge_example import testing


def base():
    return np.zeros((6, 6))


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
    "ndbridge": lambda x: (nd.from_numpy(x)[1:], x),
    "ndbridge's DLPack": lambda x: (nd.from_dlpack(x), x),
    "ndbridge twice": lambda x: (nd.from_numpy(x).T, nd.asarray(x)[1:]),
    "numpy of ndbridge": lambda x: (nd.from_numpy(x).numpy(), x),
    "torch": lambda x: (of_torch(x), x),
    "torch's DLPack": lambda x: (pytest.importorskip("torch").from_dlpack(x), x),
    "torch of ndbridge": torch_of_ndbridge,
    "torch views": lambda x: of_torch_views(lambda t: t[:, 1:3], lambda t: t[2:].flatten()),
    "torch, split": lambda x: of_torch_views(lambda t: t.split(2)[1], lambda t: t.narrow(0, 3, 2)),
    "jax": lambda x: jax_alias(),
    "tensorflow": lambda x: tensorflow_alias(),
}  # fmt: skip

#: Two without a common byte.
DISJOINT = {
    "rows": lambda x: (x[:3], x[3:]),
    "columns": lambda x: (x[:, :2], x[:, 2:]),
    "ndbridge": lambda x: (nd.from_numpy(x)[::2], nd.from_numpy(x)[1::2]),
    "torch": lambda x: (of_torch(x)[:, ::3], x[:, 1::3]),
    "torch views": lambda x: of_torch_views(lambda t: t[::2], lambda t: t[1::2]),
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
    testing.overlap(first, second)
    testing.both_written(first, second)


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
