"""Arrays of every library as borrowed arguments of an extension module written in Rust.

Skipped unless the example extension is installed.
"""

import contextlib
import itertools
import warnings

import ndbridge as nd
import numpy as np
import pytest

from conftest import run_python
from frameworks import torch
from test_escapes import KEPT, PAIRS, TWICE, pair
from test_lazy_bits import LAZY


@pytest.fixture
def extension():
    """Functions of an extension module that borrow their arguments."""
    return pytest.importorskip("ndbridge_example").testing


@pytest.mark.parametrize("name", PAIRS)
def test_mut_1_one_call_does_not_read_and_write_one_byte(extension, name):
    first, second, memory, (a, b) = pair(name)
    before = memory.tolist()
    for x, y in itertools.product((first, a), (second, b)):
        with pytest.raises(BufferError, match="borrowed"):
            extension.overlap(x, y)
        with pytest.raises(BufferError, match="borrowed"):
            extension.both_written(x, y)
        extension.both_read(x, y)
    with pytest.raises(BufferError, match="borrowed"):
        extension.overlap(first[3], second)
    assert memory.tolist() == before
    # Released again, also after a refusal, and disjoint bytes do not conflict.
    extension.overlap(first[::2], second[1::2])
    extension.overlap(first[:6], second[6:])
    extension.overlap(first, nd.zeros(12))


@pytest.mark.parametrize("name", PAIRS)
def test_mut_1_python_does_not_write_what_rust_borrows(extension, name):
    first, second, memory, (a, b) = pair(name)
    before = memory.tolist()
    other = nd.zeros(12)
    for x in (first, a):
        for write in (
            lambda: second.fill_(9),
            lambda: second.copy_(other),
            lambda: second.__setitem__(..., 9),
            lambda: second.__setitem__(3, 9),
            lambda: second[3].fill_(9),
            lambda: nd.asarray(b, copy=False).fill_(9),
        ):
            with pytest.raises(BufferError, match="borrowed"):
                extension.call_while_reading(x, write)
            with pytest.raises(BufferError, match="borrowed"):
                extension.call_while_writing(x, write)
        for read in (second.tolist, second.clone, lambda: other.copy_(second), second[3].item):
            extension.call_while_reading(x, read)
            with pytest.raises(BufferError, match="borrowed"):
                extension.call_while_writing(x, read)
        # Half of it is borrowed, the other half is free.
        extension.call_while_writing(first[:6], lambda: second[6:].fill_(7))
        memory[...] = before
    assert memory.tolist() == before


@pytest.mark.parametrize("name", KEPT)
def test_mut_2_immutable_memory_is_no_argument_to_write(extension, name):
    x = KEPT[name]()
    for y in (x, nd.asarray(x, copy=False)):
        with pytest.raises((ValueError, BufferError, TypeError), match="read-only"):
            extension.overlap(np.zeros(3), y)
        extension.overlap(y, np.zeros(3))


@pytest.mark.parametrize("make", TWICE.values(), ids=TWICE)
def test_mut_3_memory_that_is_reached_twice_is_no_argument_to_write(extension, make):
    with pytest.raises((ValueError, BufferError), match="twice|overlap|interleave"):
        extension.overlap(np.zeros(3), make())


@pytest.mark.parametrize("lazy", LAZY)
def test_mut_6_lazy_tensors_are_no_arguments(extension, lazy):
    make, advice = LAZY[lazy]
    for call in (extension.both_read, extension.overlap, extension.both_written):
        for arguments in ((make(), np.zeros(3)), (np.zeros(3), make())):
            with pytest.raises(BufferError) as error:
                call(*arguments)
            assert any(call in str(error.value) for call in advice.split("|")), str(error.value)


def test_own_5_an_array_is_not_resized_while_rust_borrows_it(extension):
    a = np.zeros(1000)

    def resize():
        a.resize(2_000_000, refcheck=False)

    storage = bytearray(8000)
    for borrow in (extension.call_while_reading, extension.call_while_writing):
        with pytest.raises(ValueError, match="resize"):
            borrow(a, resize)
        with pytest.raises(BufferError):
            borrow(storage, lambda: storage.extend(b"more"))
    a.resize(2000, refcheck=False)
    storage.extend(b"more")


def other():
    return torch.zeros(3, dtype=torch.float64)


#: How torch puts other memory into a tensor, or moves what it has.
REPLACEMENTS = {
    "data =": lambda x: setattr(x, "data", other()),
    "set_": lambda x: x.set_(other()),
    "swap_tensors": lambda x: torch.utils.swap_tensors(x, other()),
    "resize_": lambda x: x.resize_(100_000),
    "out=": lambda x: torch.add(torch.ones(100_000, dtype=torch.float64), 1, out=x),
    "storage": lambda x: x.untyped_storage().resize_(0),
}


class Sub(torch.Tensor):
    pass


#: Tensors of 1000 ones whose storage nobody else has, contiguous or not.
TENSORS = {
    "plain": lambda: torch.ones(1000, dtype=torch.float64),
    "offset": lambda: torch.ones(1010, dtype=torch.float64)[10:],
    "stepped": lambda: torch.ones(2000, dtype=torch.float64)[::2],
    "subclass": lambda: torch.ones(1000, dtype=torch.float64).as_subclass(Sub),
}


@pytest.fixture(params=TENSORS.values(), ids=TENSORS)
def ones(request):
    return request.param()


def replaced(x, replace):
    """A callback that replaces the memory of `x`, and what is written where that was freed."""

    def meanwhile():
        with contextlib.suppress(RuntimeError), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch's, of a result that is resized
            REPLACEMENTS[replace](x)
        # What was freed would be given out again.
        return [torch.full((1000,), 7.0, dtype=torch.float64) for _ in range(50)]

    return meanwhile


@pytest.mark.parametrize("replace", REPLACEMENTS)
@pytest.mark.parametrize("call", ["sum_while", "sum_detached_while"])
def test_own_5_torch_does_not_free_what_rust_computes_with(extension, ones, replace, call):
    before, after, spoil = getattr(extension, call)(ones, replaced(ones, replace))
    assert before == after == 1000
    assert spoil


@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_own_5_torch_does_not_free_what_rust_writes(extension, ones, replace):
    total, spoil = extension.fill_after(ones, 3.0, replaced(ones, replace))
    assert total == 3000
    assert all((x == 7).all() for x in spoil), "written into memory that was freed"


@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_own_5_torch_does_not_free_what_a_tensor_keeps(extension, ones, replace):
    keeper = extension.Keeper(ones)
    spoil = replaced(ones, replace)()
    assert keeper.sum() == 1000
    keeper.fill(3.0)
    assert all((x == 7).all() for x in spoil)


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e5m2", "bool", "complex64", "int8"])
def test_own_5_a_storage_of_any_dtype_is_not_resized_after_it_was_an_argument(extension, dtype):
    x = torch.zeros(8).to(getattr(torch, dtype))
    assert x.untyped_storage().resizable()
    extension.both_read(x, x)
    assert not x.untyped_storage().resizable()
    # As with the tensor's own NumPy array, for good; a copy is as it was.
    with pytest.raises(RuntimeError, match="resiz"):
        x.resize_(100)
    x.clone().resize_(100)


def test_own_5_torch_without_a_table_of_functions_is_held_as_well(extension):
    run_python(
        """
import torch
for kind in torch.Tensor.__mro__:
    if "__dlpack_c_exchange_api__" in vars(kind):
        delattr(kind, "__dlpack_c_exchange_api__")
assert not hasattr(torch.Tensor, "__dlpack_c_exchange_api__")
from ndbridge_example import testing
x = torch.ones(1000, dtype=torch.float64)
def meanwhile():
    x.data = torch.zeros(3, dtype=torch.float64)
    return [torch.full((1000,), 7.0, dtype=torch.float64) for _ in range(50)]
assert testing.sum_while(x, meanwhile)[:2] == (1000, 1000)
"""
    )
