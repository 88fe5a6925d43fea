"""While an argument is borrowed, its memory stays where it is; afterwards all is as before."""

import array
import gc
import mmap

import numpy as np
import pytest
from conftest import Interface, of_torch
from ndbridge_example import testing

BORROWING = {"reading": testing.call_while_reading, "writing": testing.call_while_writing}


@pytest.fixture(params=BORROWING.values(), ids=BORROWING)
def borrowing(request):
    return request.param


def refused(resize):
    def call():
        with pytest.raises((ValueError, BufferError), match="resize|export"):
            resize()

    return call


VIEWS = {
    "itself": lambda a: a,
    "slice": lambda a: a[1:],
    "view of a view": lambda a: a[1:][::2],
    "reshape": lambda a: a.reshape(2, 4),
    "transpose": lambda a: a.reshape(2, 4).T,
    "other dtype": lambda a: a.view("int32"),
    "rank 0": lambda a: a[3, ...],
    "subclass": lambda a: a.view(np.matrix),
    "as_strided": lambda a: np.lib.stride_tricks.as_strided(a, (3,), (16,)),
    "memoryview": memoryview,
    "of a memoryview": lambda a: np.asarray(memoryview(a)),
    "frombuffer": np.frombuffer,
    "buffer=": lambda a: np.ndarray(8, buffer=a),
    "record field": lambda a: a.view([("x", "f4"), ("y", "f4")])["y"],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("size", [8000, 2, 0])
def test_own_5_an_array_cannot_be_resized_meanwhile(view, size, borrowing):
    a = np.arange(8.0)
    flags = str(a.flags)
    borrowing(view(a), refused(lambda: a.resize(size, refcheck=False)))
    assert str(a.flags) == flags
    assert a.tolist() == list(range(8))
    a.resize(size, refcheck=False)
    assert a.size == size


def test_own_5_with_an_exception(borrowing):
    a = np.arange(8.0)
    with pytest.raises(ValueError, match="resize"):
        borrowing(a, lambda: a.resize(80, refcheck=False))
    assert a.flags.owndata
    a.resize(80, refcheck=False)


@pytest.mark.parametrize("b_first", [False, True])
@pytest.mark.parametrize("views", [(0, 0), (0, 1), (1, 0), (1, 1)], ids=str)
def test_own_5_two_borrows_released_in_either_order(b_first, views):
    a = np.arange(8.0)
    x, y = (a[1:] if is_view else a for is_view in views)
    testing.call_between_releases(x, y, b_first, refused(lambda: a.resize(80, refcheck=False)))
    assert a.flags.owndata
    del x, y
    a.resize(80, refcheck=False)


def test_own_5_nested_borrows():
    a = np.arange(8.0)
    resize = refused(lambda: a.resize(80, refcheck=False))

    def after_the_inner():
        testing.call_while_reading(a[1:], resize)
        resize()

    testing.call_while_reading(a, after_the_inner)
    testing.call_while_reading(a[:2], after_the_inner)
    assert a.flags.owndata
    a.resize(80, refcheck=False)


def test_own_5_the_array_may_go_away_meanwhile(borrowing):
    holder = [np.arange(8.0)]

    def drop():
        holder.clear()
        gc.collect()
        return [np.zeros(8) for _ in range(100)]  # would take the memory

    def take():
        return holder[0]

    assert len(borrowing(take(), drop)) == 100


def test_own_5_a_kept_tensor_keeps_the_array_fixed():
    a = np.arange(8.0)
    keeper = testing.Keeper(a[2:])
    refused(lambda: a.resize(80, refcheck=False))()
    assert (keeper.sum(), a.flags.owndata) == (27, True)
    del keeper
    a.resize(80, refcheck=False)


BUFFERS = {
    "bytearray, extend": (lambda: bytearray(64), lambda b: b.extend(bytes(10_000))),
    "bytearray, clear": (lambda: bytearray(64), lambda b: b.clear()),
    "array.array": (lambda: array.array("d", range(8)), lambda b: b.extend(range(1000))),
    "mmap": (lambda: mmap.mmap(-1, 4096), lambda b: b.close()),
}
OVER = {
    "itself": lambda b: b,
    "memoryview": memoryview,
    "part": lambda b: memoryview(b)[8:],
    "frombuffer": lambda b: np.frombuffer(b, "uint8"),
    "buffer=": lambda b: np.ndarray(16, "uint8", b),
    "view of frombuffer": lambda b: np.frombuffer(b, "uint8")[4:],
}


@pytest.mark.parametrize("over", OVER.values(), ids=OVER)
@pytest.mark.parametrize(("make", "resize"), BUFFERS.values(), ids=BUFFERS)
def test_own_5_a_buffer_cannot_be_resized_meanwhile(make, resize, over, borrowing):
    buffer = make()
    borrowing(over(buffer), refused(lambda: resize(buffer)))
    resize(buffer)


def test_own_5_a_released_memoryview_changes_nothing(borrowing):
    buffer = bytearray(64)
    view = memoryview(buffer)

    def release():
        try:
            view.release()
        except BufferError:
            return
        refused(buffer.clear)()

    borrowing(view, release)


@pytest.mark.parametrize("calls", ["detached", "attached"])
def test_own_5_the_storage_of_a_torch_tensor_cannot_be_resized(calls):
    torch = pytest.importorskip("torch")
    tensor = torch.zeros(8)
    storage = tensor.untyped_storage()
    call = testing.call_while_detached if calls == "detached" else testing.call_while_reading
    arguments = (tensor, tensor) if calls == "detached" else (tensor,)
    with pytest.raises(RuntimeError, match="resiz"):
        call(*arguments, lambda: storage.resize_(0))
    assert tensor.tolist() == [0] * 8


BEHIND = {"torch": of_torch, "DLPack": np.from_dlpack, "interface": Interface}


@pytest.mark.parametrize("lend", BEHIND.values(), ids=BEHIND)
def test_own_5_an_array_behind_an_object_that_tells_nobody(lend):
    a = np.arange(8.0)
    lent = lend(a)
    try:
        testing.call_while_reading(lent, refused(lambda: a.resize(80, refcheck=False)))
    except pytest.fail.Exception:
        pytest.xfail("the array stands behind an object that tells nobody of it")
