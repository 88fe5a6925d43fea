"""Threads that compute beside each other with parts of one array: the ledger decides, not a flag."""

import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import ndbridge as nd
import ndbridge_example as example
import numpy as np
import pytest
from conftest import in_thread, is_writable, of_torch, run_python
from ndbridge_example import testing

ROWS = 16


def meet(count=ROWS):
    """What each of `count` threads calls to go on when all are there."""
    return threading.Barrier(count, timeout=60).wait


def test_mut_7_rows_of_one_array_in_a_pool():
    batch = np.random.default_rng(1).random((ROWS, 48, 64, 3), "f4")
    m = s = np.float32([0.5, 0.5, 0.5])
    expected = (batch - m) / s
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: example.normalise(batch[i], m, s), range(ROWS)))
    assert np.array_equal(batch, expected)
    assert batch.flags.writeable and m.flags.writeable


#: Row i of an array, as lent by some library.
ROW = {
    "array": lambda a: a.__getitem__,
    "ndbridge": lambda a: nd.from_numpy(a).__getitem__,
    "torch": lambda a: of_torch(a).__getitem__,
    "memoryview": lambda a: lambda i: memoryview(a[i]),
}


@pytest.mark.parametrize("made", ["before", "in the pool"])
@pytest.mark.parametrize("rows", ROW.values(), ids=ROW)
def test_mut_7_sixteen_threads_write_disjoint_rows_at_once(rows, made):
    batch = np.zeros((ROWS, 8))
    row = rows(batch)
    before = [row(i) for i in range(ROWS)] if made == "before" else None
    everybody = meet()

    def write(i):
        return testing.fill_detached_while(before[i] if before else row(i), float(i), everybody)

    with ThreadPoolExecutor(ROWS) as pool:
        came = list(pool.map(write, range(ROWS)))
    assert sorted(came) == list(range(ROWS)), "all were at work at once"
    assert batch.tolist() == [[float(i)] * 8 for i in range(ROWS)]
    assert (batch.flags.writeable, batch.flags.owndata) == (True, True)


def test_mut_7_sixteen_threads_read_one_array_at_once():
    a = np.arange(8.0)
    everybody = meet()
    with ThreadPoolExecutor(ROWS) as pool:
        sums = list(pool.map(lambda _: testing.sum_detached_while(a, everybody)[:2], range(ROWS)))
    assert sums == [(28.0, 28.0)] * ROWS
    assert (a.flags.writeable, a.flags.owndata) == (True, True)
    a.resize(20, refcheck=False)


def set_first(array, value):
    array[0] = value


def test_mut_7_numpy_writes_other_rows_meanwhile():
    batch = np.zeros((4, 8))

    def meanwhile():
        assert in_thread(lambda: set_first(batch[1], 5.0)) is None
        assert in_thread(lambda: np.add(batch[2:], 1.0, out=batch[2:])) is None

    testing.fill_detached_while(batch[0], 3.0, meanwhile)
    assert batch[:, 0].tolist() == [3.0, 5.0, 1.0, 1.0]


@pytest.mark.parametrize(("is_row", "is_kept_out"), [(False, True), (True, False)])
def test_mut_7_a_tensor_that_is_all_of_an_array_is_that_array(is_row, is_kept_out):
    a = np.ones((2, 4))
    seen = []
    testing.sum_of_tensor_detached_while(a, is_row, lambda: seen.append(is_writable(a)))
    tensor = nd.from_numpy(a)
    testing.sum_detached_while(tensor[0] if is_row else tensor, lambda: seen.append(is_writable(a)))
    assert seen == [not is_kept_out] * 2
    assert a.flags.writeable


MADE = {
    "from_numpy": nd.from_numpy,
    "asarray": nd.asarray,
    "from_dlpack": nd.from_dlpack,
    "from_buffer": nd.from_buffer,
    "from_numpy, numpy": lambda a: nd.from_numpy(a).numpy(),
    "from_numpy, torch": lambda a: nd.from_numpy(a).torch(),
    "Keeper": testing.Keeper,
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_mut_7_what_is_made_meanwhile_is_writable_afterwards(make):
    a = np.ones(8)
    made = []
    testing.sum_detached_while(a, lambda: made.append(make(a)))
    (x,) = made
    if isinstance(x, testing.Keeper):
        x.fill(3.0)
    else:
        x[...] = 3.0
    assert a.tolist() == [3.0] * 8


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_mut_7_what_is_made_meanwhile_of_a_locked_array_stays_read_only(make):
    a = np.ones(8)
    a.flags.writeable = False
    made = []

    def call():
        try:
            made.append(make(a))
        except BufferError:  # torch has no read-only tensors
            made.append(None)

    testing.sum_detached_while(a, call)
    (x,) = made
    if isinstance(x, testing.Keeper):
        with pytest.raises(ValueError, match="read-only"):
            x.fill(3.0)
    elif x is not None:
        with pytest.raises(ValueError, match="read-only"):
            x[...] = 3.0


def test_mut_7_a_second_writer_is_told_of_the_first_by_the_ledger():
    a = np.zeros((2, 8))
    for first, second in [(a, a), (a[0], a[0]), (a[0], a), (a, a[1]), (nd.from_numpy(a), a), (of_torch(a), a)]:
        errors = []

        def write():
            testing.fill_detached_while(second, 2.0, lambda: None)  # noqa: B023

        testing.fill_detached_while(first, 1.0, lambda: errors.append(in_thread(write)))  # noqa: B023
        (error,) = errors
        assert isinstance(error, BufferError), repr(error)
        text = str(error)
        assert text.startswith("x: numpy float64 [") and "borrowed for writing by" in text, text
    assert 2.0 not in a
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert a.flags.writeable


def test_own_5_a_call_that_ends_first_leaves_the_base_pinned_for_the_others():
    base = np.zeros((2, 8))
    entered, leave = threading.Event(), threading.Event()

    def first():
        entered.set()
        assert leave.wait(60)

    thread = threading.Thread(target=testing.sum_detached_while, args=(base[0], first))
    thread.start()
    assert entered.wait(60)

    def second():
        leave.set()
        thread.join()
        with pytest.raises(ValueError, match="cannot resize"):
            base.resize(200_000, refcheck=False)

    testing.sum_detached_while(base[1], second)
    base.resize(200, refcheck=False)


def test_mut_7_holding_leaves_nothing_behind():
    a = np.ones(8)
    before = str(a.flags)
    testing.hold_again(a, 1000)
    assert str(a.flags) == before
    testing.both_written(a[:4], a[4:])


FORK = """
import os, threading
import ndbridge as nd, numpy as np
from ndbridge_example import testing

def in_child(check):
    pid = os.fork()
    if pid == 0:
        try:
            check()
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

# One array as its own, one as a row of another, each held by a thread when this one forks.
whole, base = np.zeros(8), np.zeros((2, 8))
row = base[0]
leave, entered = threading.Event(), threading.Barrier(4)
def meanwhile():
    entered.wait(60)
    leave.wait(60)
held = [whole, row, base[1]]
threads = [threading.Thread(target=testing.fill_detached_while, args=(x, 1.0, meanwhile)) for x in held]
for thread in threads:
    thread.start()
entered.wait(60)

def lost():
    assert [x.flags.writeable for x in (whole, row, base)] == [True] * 3
    assert [x.flags.owndata for x in (whole, base)] == [True] * 2
    testing.both_written(whole, base)
    nd.from_numpy(whole).fill_(2.0)
    row[0] = whole[0] = 3.0
    testing.sum_detached_while(whole, lambda: None)
    assert whole.flags.writeable

in_child(lost)
assert not whole.flags.owndata, "the parent's thread computes still"
leave.set()
for thread in threads:
    thread.join()
lost()

# The thread that forks takes its own hold along, and ends it in both processes.
def fork_inside():
    def check():
        assert whole.__array_interface__["data"][1], "read-only"
        try:
            testing.both_written(whole, base)
        except BufferError:
            inside.append(True)
    inside = []
    pid = os.fork()
    check()
    assert inside == [True]
    return pid

pid = testing.fill_detached_while(whole, 1.0, fork_inside)
lost()
if pid == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mut_7_a_child_has_its_arrays_as_they_were_before_the_call():
    run_python(FORK)
