"""Arrays of every library as borrowed arguments of an extension module written in Rust.

Skipped unless the example extension is installed.
"""

import contextlib
import itertools

import ndbridge as nd
import numpy as np
import pytest

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


REPLACEMENTS = {
    "data =": lambda x: setattr(x, "data", torch.zeros(3, dtype=torch.float64)),
    "set_": lambda x: x.set_(torch.zeros(3, dtype=torch.float64)),
    "resize_": lambda x: x.resize_(100_000),
    "storage": lambda x: x.untyped_storage().resize_(0),
}


@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_own_5_torch_does_not_free_what_rust_computes_with(extension, replace):
    x = torch.ones(1000, dtype=torch.float64)

    def meanwhile():
        with contextlib.suppress(RuntimeError):
            REPLACEMENTS[replace](x)
        # What was freed would be given out again.
        return [torch.full((1000,), 7.0, dtype=torch.float64) for _ in range(50)]

    before, after, spoil = extension.sum_detached_while(x, meanwhile)
    assert before == after == 1000
    assert spoil
