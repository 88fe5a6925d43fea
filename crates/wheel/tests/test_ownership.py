"""Memory lives as long as any handle, view or export of it, and cannot be moved meanwhile."""

import gc
import itertools
import os
import sys
import threading
import weakref

import ndbridge as nd
import numpy as np
import pytest

from conftest import Watched, is_collected, run_python


def watched(values):
    array = np.asarray(values).copy()
    return array.view(Watched)


def test_own_1_a_tensor_keeps_the_array_alive():
    a = watched([1.0, 2.0, 3.0])
    alive = weakref.ref(a)
    t = nd.from_numpy(a)
    del a
    assert not is_collected(alive)
    assert t.tolist() == [1.0, 2.0, 3.0]
    del t
    assert is_collected(alive)


def test_own_1_a_view_of_a_tensor_keeps_the_array_alive():
    a = watched(np.arange(12.0))
    alive = weakref.ref(a)
    view = nd.from_numpy(a)[2:8].reshape(2, 3).T[::-1]
    del a
    assert not is_collected(alive)
    assert view.tolist() == [[4.0, 7.0], [3.0, 6.0], [2.0, 5.0]]
    del view
    assert is_collected(alive)


EXPORTS = {
    "numpy()": lambda t: t.numpy(),
    "numpy.asarray": np.asarray,
    "memoryview": memoryview,
    "view of numpy()": lambda t: t.numpy()[1:],
    "memoryview of numpy()": lambda t: memoryview(t.numpy()),
    "tensor of numpy()": lambda t: nd.from_numpy(t.numpy()),
    "tensor of memoryview": lambda t: nd.from_buffer(memoryview(t)),
    "row": lambda t: t[0:1],
    "iterator": iter,
}


@pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS)
def test_own_1_an_export_keeps_the_array_alive(export):
    a = watched([1.0, 2.0, 3.0])
    alive = weakref.ref(a)
    exported = export(nd.from_numpy(a))
    del a
    assert not is_collected(alive)
    del exported
    assert is_collected(alive)


@pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS)
def test_own_1_an_export_keeps_rust_memory_alive(export):
    rest = [export(nd.full(1000, float(i))) for i in range(50)]
    gc.collect()
    others = [nd.zeros(1000) for _ in range(50)]
    for i, exported in enumerate(rest):
        first = next(exported).item() if hasattr(exported, "__next__") else np.asarray(exported)[0]
        assert first == float(i)
    del others


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_own_1_any_order_of_deletion(order):
    a = watched([1.0, 2.0, 3.0, 4.0])
    alive = weakref.ref(a)
    t = nd.from_numpy(a)
    holders = [a, t, t[1:], t.numpy()]
    del a, t
    for index in order[:-1]:
        holders[index] = None
        assert not is_collected(alive)
        last = [holder for holder in holders if holder is not None][-1]
        assert np.asarray(last)[-1] == 4.0
    holders[order[-1]] = None
    # A failed assertion would hold `last`.
    del last
    assert is_collected(alive)


def test_own_2_the_leak_check_can_fail():
    kept = []
    assert leaks(lambda: kept.append(object()), rounds=3)


def test_own_2_one_reference_is_taken_and_given_back():
    a = np.arange(6.0)
    before = sys.getrefcount(a)
    t = nd.from_numpy(a)
    assert sys.getrefcount(a) == before + 1
    views = [t[i:] for i in range(5)] + [t.numpy() for _ in range(5)]
    assert sys.getrefcount(a) == before + 1, "views share the one reference"
    del t, views
    gc.collect()
    assert sys.getrefcount(a) == before


def refused(call, *arguments):
    with pytest.raises((TypeError, ValueError, IndexError, BufferError, OverflowError)):
        call(*arguments)


def test_own_2_refusals_give_every_reference_back():
    a = np.arange(6.0)
    t = nd.from_numpy(a)
    before = sys.getrefcount(a), sys.getrefcount(t)
    foreign = a.astype(">f8")
    counts = sys.getrefcount(foreign)
    for _ in range(200):
        refused(nd.from_numpy, foreign)
        refused(lambda: nd.asarray(a, dtype="float32", copy=False))
        refused(lambda: t[9])
        refused(lambda: t[[0]])
        refused(lambda: t.reshape(7))
        refused(lambda: t.fill_("x"))
        refused(lambda: t.copy_(np.zeros(5)))
        refused(lambda: t.astype("int8"))
        refused(lambda: memoryview(nd.zeros(3, "bfloat16")))
    gc.collect()
    assert (sys.getrefcount(a), sys.getrefcount(t)) == before
    assert sys.getrefcount(foreign) == counts


def leaks(work, rounds=20, times=500):
    """Whether calls leave objects behind in every round; caches fill up in the first ones."""
    for _ in range(rounds):
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(times):
            work()
        gc.collect()
        if sys.getallocatedblocks() < before + times // 10:
            return False
    return True


def test_own_2_conversions_do_not_leak_objects():
    a, b = np.arange(6.0), b"abcdefgh"

    def work():
        t = nd.from_numpy(a)
        np.asarray(t), memoryview(t), t.numpy(), list(t), repr(t), t.tolist(), t.receipt, t.shape
        nd.from_buffer(b), nd.tensor([1, 2]), nd.plan(a), t.dtype, nd.copies(), t == a
        with nd.no_copy():
            t[::2].T.reshape(-1, 1).squeeze()

    work()
    before = sys.getrefcount(a), sys.getrefcount(b)
    assert not leaks(work)
    assert (sys.getrefcount(a), sys.getrefcount(b)) == before


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux")
def test_own_2_native_memory_is_not_leaked():
    run_python(
        """
import io, zlib, numpy as np, ndbridge as nd
a = np.arange(256.0).reshape(2, 2, 2, 2, 2, 2, 2, 2)
t, file = nd.from_numpy(a), io.BytesIO()
nd.save(file, a)
def refused(call):
    try: call()
    except (BufferError, TypeError, ValueError): pass
# A leak of the elements would be 2 KiB a call, one of the shape's eight lengths 64 bytes.
calls = [(2_500, call) for call in (
    lambda: nd.tensor(a), lambda: t.T.clone(), lambda: nd.load(io.BytesIO(file.getvalue())),
    lambda: refused(lambda: nd.load(io.BytesIO(file.getvalue()[:-1]))), lambda: t.astype("int8", "unsafe"),
)] + [(50_000, call) for call in (
    lambda: memoryview(t), lambda: zlib.crc32(t), lambda: t.numpy(), lambda: nd.from_numpy(a), lambda: t[0],
    lambda: iter(t), lambda: refused(lambda: zlib.crc32(t[..., ::2])),
    lambda: refused(lambda: t.reshape(7)), lambda: refused(lambda: t.astype("int8")),
)]
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
for times, call in calls:
    for _ in range(times // 5): call()
    before = resident()
    for _ in range(times): call()
    assert resident() - before < 2 << 20, (call.__code__.co_firstlineno, resident() - before)
"""
    )


ROUND_TRIPS = {
    "numpy()": lambda t: nd.from_numpy(t.numpy()),
    "numpy.asarray": lambda t: nd.from_numpy(np.asarray(t)),
    "memoryview": lambda t: nd.from_buffer(memoryview(t)),
    "asarray": lambda t: nd.asarray(t.numpy()[...]),
    "as_strided": lambda t: nd.from_numpy(np.lib.stride_tricks.as_strided(t.numpy())),
}


@pytest.mark.parametrize("trip", ROUND_TRIPS.values(), ids=ROUND_TRIPS)
def test_own_1_round_trips_do_not_pile_up_owners(trip):
    a = np.arange(6.0)
    t = nd.from_numpy(a)

    def work():
        nonlocal t
        t = trip(t)

    assert not leaks(work)
    assert t.data_ptr() == a.ctypes.data
    assert t.owner is a


def test_own_1_a_hundred_thousand_round_trips_end_well():
    run_python(
        """
import numpy as np, ndbridge as nd
for t in (nd.from_numpy(np.arange(3.0)), nd.zeros(3), nd.zeros(0)):
    for _ in range(100_000):
        t = nd.from_numpy(t.numpy())
    del t
"""
    )


def test_own_1_threads_take_and_drop_handles():
    a = watched(np.arange(1000.0))
    alive = weakref.ref(a)
    wrong = []

    def work(t):
        for _ in range(300):
            handles = [t[i:] for i in range(10)] + [t.numpy(), memoryview(t)]
            if np.asarray(handles[3])[0] != 3.0:
                wrong.append(handles)

    threads = [threading.Thread(target=work, args=(nd.from_numpy(a),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    del a, threads, thread
    assert is_collected(alive)


def test_own_1_the_last_handle_dropped_on_another_thread():
    a = watched(np.arange(10.0))
    alive = weakref.ref(a)
    holders = [nd.from_numpy(a)]
    del a
    thread = threading.Thread(target=holders.clear)
    thread.start()
    thread.join()
    assert is_collected(alive)


ENDS = {
    "tensor of an array": "t = nd.from_numpy(np.arange(1000.0))",
    "array of a tensor": "a = nd.zeros(1000).numpy()",
    "memoryview": "m = memoryview(nd.zeros(1000))",
    "iterator": "i = iter(nd.from_numpy(np.arange(1000.0)))",
    "round trip": "t = nd.from_numpy(nd.from_numpy(np.arange(9.0)).numpy()); a = np.asarray(t)",
    "cycle": "l = [nd.from_numpy(np.arange(9.0))]; l.append(l)",
    "in a module": "import math; math.t = nd.from_numpy(np.arange(9.0)); np.t = math.t",
    "no_copy scope left open": "scope = nd.no_copy(); scope.__enter__()",
    "daemon thread": (
        "import threading, time\n"
        "def work():\n"
        "    while True: nd.from_numpy(np.arange(9.0)).numpy()\n"
        "threading.Thread(target=work, daemon=True).start(); time.sleep(0.05)"
    ),
    "thread local": "import threading; l = threading.local(); l.t = nd.from_numpy(np.arange(9.0))",
    "exit handler": "import atexit; t = nd.zeros(3); t.numpy(); atexit.register(t.clone)",
    "finalizer": (
        "class Late:\n"
        "    def __init__(self): self.t = nd.from_numpy(np.arange(9.0))\n"
        # As late as it is, plain arrays still work.
        "    def __del__(self):\n"
        "        self.t[0] = 5.0\n"
        "        assert self.t.tolist()[:2] == [5.0, 1.0] and self.t.numpy()[2] == 2.0\n"
        "late = Late(); late.cycle = late"
    ),
}


@pytest.mark.parametrize("code", ENDS.values(), ids=ENDS)
def test_own_2_the_interpreter_ends_with_live_memory(code):
    run_python(f"import numpy as np, ndbridge as nd\n{code}")


ROUND_TRIPS = {
    "numpy": lambda t: nd.from_numpy(t.numpy()),
    "asarray": lambda t: nd.asarray(np.asarray(t)),
    "DLPack": lambda t: nd.from_dlpack(np.from_dlpack(t)),
    "capsule": lambda t: nd.from_dlpack(t.__dlpack__(max_version=(1, 0))),
    "array interface": lambda t: nd.asarray(Interface(t)),
}


class Interface:
    def __init__(self, tensor):
        self.tensor = tensor
        self.__array_interface__ = tensor.__array_interface__


@pytest.mark.parametrize("go", ROUND_TRIPS.values(), ids=ROUND_TRIPS)
def test_own_1_round_trips_do_not_pile_up_owners(go):
    a = np.arange(6.0)
    for t in (nd.zeros(6), nd.from_numpy(a)):
        back = t[1:]
        for _ in range(20_000):
            back = go(back)
        assert back.owner is t.owner
        assert back.data_ptr() == t.data_ptr() + 8
        t.fill_(3.0)
        assert back.tolist() == [3.0] * 5
        del t
        assert back.tolist() == [3.0] * 5
