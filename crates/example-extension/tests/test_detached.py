"""Without the GIL: Python's writers are kept out as far as they can be, and let in again after."""

import gc
import threading

import ndbridge as nd
import numpy as np
import pytest
from conftest import Dlpack, in_thread, is_writable, of_jax, of_tensorflow, of_torch
from ndbridge_example import testing


def write(target, value):
    def call():
        target[0] = value

    return call


VIEWS = {
    "itself": lambda a: a,
    "slice": lambda a: a[2:],
    "view of a view": lambda a: a[1:][::2],
    "rank 0": lambda a: a[3, ...],
    "as_strided": lambda a: np.lib.stride_tricks.as_strided(a, (3,), (16,)),
    "windows": lambda a: np.lib.stride_tricks.sliding_window_view(a, 3),
    "of a memoryview": lambda a: np.asarray(memoryview(a)),
    "buffer=": lambda a: np.ndarray(8, buffer=a),
    "ndbridge": nd.from_numpy,
    "ndbridge of a view": lambda a: nd.from_numpy(a[2:])[1:],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_mut_7_writers_of_the_bases_are_kept_out_where_that_is_asked_for(view):
    a = np.arange(8.0)
    x = view(a)
    flags = str(a.flags)
    expected = np.asarray(x).sum()
    seen = []

    def meanwhile():
        seen.append(in_thread(write(a, 100.0)))
        return is_writable(a)

    assert testing.sum_detached_while(x, meanwhile, "bases") == (expected, expected, False)
    assert isinstance(seen[0], ValueError)
    assert "read-only" in str(seen[0])
    assert str(a.flags) == flags
    a[0] = 1.0


def test_a_panic_comes_out_and_flags_come_back(capfd):
    a = np.arange(8.0)
    with pytest.raises(BaseException, match="found 7 elements") as caught:
        testing.panic_detached(a[1:])
    assert type(caught.value).__name__ == "PanicException"
    capfd.readouterr()
    assert (a.flags.writeable, a.flags.owndata) == (True, True)
    a[0] = 1.0
    del caught
    testing.both_written(a[:4], a[4:])


@pytest.mark.parametrize("first_out", ["first in", "last in"])
def test_holds_that_overlap_in_time(first_out):
    a = np.arange(8.0)
    entered = {name: threading.Event() for name in ("first in", "last in")}
    leave = {name: threading.Event() for name in entered}
    results = {}

    def hold(name, x):
        def meanwhile():
            entered[name].set()
            assert leave[name].wait(60)

        results[name] = testing.sum_detached_while(x, meanwhile, "bases")

    threads = {
        name: threading.Thread(target=hold, args=(name, x))
        for name, x in (("first in", a), ("last in", a[2:]))
    }
    for name in entered:
        threads[name].start()
        assert entered[name].wait(60)
        assert not is_writable(a)
    order = ["first in", "last in"] if first_out == "first in" else ["last in", "first in"]
    leave[order[0]].set()
    threads[order[0]].join()
    assert not is_writable(a)
    assert isinstance(in_thread(write(a, 9.0)), ValueError)
    leave[order[1]].set()
    threads[order[1]].join()
    assert (a.flags.writeable, a.flags.owndata) == (True, True)
    assert results == {"first in": (28.0, 28.0, None), "last in": (27.0, 27.0, None)}
    a[0] = 1.0


def test_the_array_may_go_away_meanwhile():
    holder = [np.arange(8.0)]

    def take():
        return holder[0]

    def drop():
        holder.clear()
        gc.collect()
        return [np.ones(8) for _ in range(100)]

    assert testing.sum_detached_while(take(), drop)[:2] == (28.0, 28.0)


def test_mut_1_writers_that_ask_the_ledger_are_refused_meanwhile():
    a = np.arange(8.0)
    tensor = nd.from_numpy(a)
    for x in (a, tensor, of_torch(a)):
        errors = []
        testing.sum_detached_while(x, lambda: errors.append(in_thread(lambda: tensor.fill_(1.0))))  # noqa: B023
        assert isinstance(errors[0], BufferError)
    assert a.sum() == 28


OTHERS = "other arrays over the memory, if there are any"
MADE = "arrays made of the tensor, if there are any"
UNBLOCKED = {
    "array": (lambda: np.zeros(2), [OTHERS]),
    "view": (lambda: np.zeros(4)[1:], [OTHERS]),
    "of bytes": (lambda: np.frombuffer(bytes(16)), []),
    "bytearray": (lambda: bytearray(8), [OTHERS, "writers of the <class 'bytearray'> behind the array"]),
    "torch": (lambda: of_torch(np.zeros(2)), ["torch tensors, which cannot be made read-only nor kept from share_memory_()"]),
    "jax": (lambda: of_jax(np.zeros(2)), []),
    "tensorflow": (lambda: of_tensorflow(np.zeros(2)), []),
    "ndbridge": (lambda: nd.zeros(2), [MADE]),
    "ndbridge of an array": (lambda: nd.from_numpy(np.zeros(2)), [OTHERS, MADE]),
    "any other": (lambda: Dlpack(np.zeros(2)), ["the library of <class 'conftest.Dlpack'>"]),
}  # fmt: skip


@pytest.mark.parametrize(("make", "expected"), UNBLOCKED.values(), ids=UNBLOCKED)
def test_what_cannot_be_kept_out_is_told(make, expected):
    assert testing.unblocked(make()) == expected


def test_work_goes_on_in_other_threads():
    a = np.arange(8.0)
    done = threading.Event()

    def meanwhile():
        worker = threading.Thread(target=done.set)
        worker.start()
        worker.join()
        return done.is_set()

    assert testing.sum_detached_while(a, meanwhile)[2] is True
