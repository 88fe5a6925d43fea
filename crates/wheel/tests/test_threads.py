"""Many Python threads at once."""

import io
import threading

import ndbridge as nd
import numpy as np
import pytest

from conftest import run_python


def in_threads(work, count=8):
    """Runs `work(number)` on several threads; raises the first error of any."""
    errors, start = [], threading.Barrier(count)

    def run(number):
        try:
            start.wait()
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_shr_8_no_copy_is_per_thread():
    inside, leave = threading.Event(), threading.Event()
    refused = []

    def forbidding():
        with nd.no_copy():
            inside.set()
            leave.wait(10)
            with pytest.raises(ValueError, match="forbids"):
                nd.tensor([1])
            refused.append(True)

    thread = threading.Thread(target=forbidding)
    thread.start()
    inside.wait(10)
    assert nd.tensor([1, 2]).tolist() == [1, 2]
    leave.set()
    thread.join()
    assert refused == [True]


def test_shr_8_copies_are_counted_per_thread():
    def work(number):
        before = nd.copies().copies
        for _ in range(100 + number):
            nd.tensor(np.zeros(3))
        assert nd.copies().copies - before == 100 + number

    in_threads(work)


def test_shr_8_a_scope_left_by_a_dead_thread_is_gone():
    def work(_):
        nd.no_copy().__enter__()

    in_threads(work)
    nd.tensor([1])


def test_mut_1_disjoint_writes_from_many_threads():
    a = np.zeros((8, 1000))
    t = nd.from_numpy(a)

    def work(number):
        row = t[number]
        for value in range(200):
            row.fill_(float(value))
            row[::2] = -1.0
            assert row[1].item() == value

    in_threads(work)
    assert (a[:, 1::2] == 199).all() and (a[:, ::2] == -1).all()


def test_mut_1_the_same_array_from_many_threads():
    t = nd.zeros(4096)

    def work(number):
        for _ in range(100):
            t.fill_(number)
            t.copy_(t[::-1])
            assert 0 <= t[5].item() < 8
            t.clone(), t.tolist()[:1], t.numpy().sum(), repr(t), np.asarray(t[1:]), memoryview(t)

    in_threads(work)


def test_own_1_every_call_from_many_threads(tmp_path):
    shared = np.arange(1000.0)

    def work(number):
        rng = np.random.default_rng(number)
        path = tmp_path / f"{number}.npy"
        for _ in range(30):
            t = nd.from_numpy(shared)[:: int(rng.integers(1, 9))]
            nd.save(path, t)
            assert nd.load(path) == t
            assert nd.load(path, mmap="r") == t
            out = io.BytesIO()
            nd.savez(out, t, x=t.astype("float32"))
            assert nd.load_npz(io.BytesIO(out.getvalue()))["arr_0"] == t
            assert nd.plan(t, dtype="int8").action == "copy"
            assert nd.shares_memory(t, shared)
            t.T.reshape(1, -1).squeeze().flip(0).expand(2, -1).clone()

    in_threads(work)


def test_own_1_collection_while_threads_work():
    run_python(
        """
import gc, threading, numpy as np, ndbridge as nd
gc.set_threshold(1)
a = np.arange(100.0)
def work():
    for _ in range(200):
        t = nd.from_numpy(a); l = [t, t.numpy(), memoryview(t), iter(t)]; l.append(l)
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
""",
    )


def test_own_1_after_fork_both_sides_work():
    run_python(
        """
import os, warnings, numpy as np, ndbridge as nd
warnings.simplefilter("ignore")
t = nd.from_numpy(np.arange(10.0)); u = nd.zeros(3); n = u.numpy()
child = os.fork()
t[0] = 5.0; u.fill_(2); assert t.clone().tolist()[0] == 5.0 and n[1] == 2
del t, u, n
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    )


def test_large_copies_are_right_on_any_number_of_threads():
    before = nd.get_num_threads()
    a = np.arange(3_000_000, dtype="float32").reshape(1000, 3000)
    try:
        for threads in (1, 2, 5):
            nd.set_num_threads(threads)
            assert nd.get_num_threads() == threads
            np.testing.assert_array_equal(nd.from_numpy(a.T).clone().numpy(), a.T)
            np.testing.assert_array_equal(nd.tensor(a[::-1, ::2]).numpy(), a[::-1, ::2])
            np.testing.assert_array_equal(nd.from_numpy(a).astype("float64").numpy(), a)
    finally:
        nd.set_num_threads(before)
    with pytest.raises(ValueError, match="thread"):
        nd.set_num_threads(0)


def test_large_copies_go_on_in_a_child_after_a_fork():
    run_python(
        """
import os, warnings, numpy as np, ndbridge as nd
warnings.simplefilter("ignore")
nd.set_num_threads(4)
a = np.arange(3_000_000, dtype="float32").reshape(1000, 3000)
t = nd.from_numpy(a.T)
for _ in range(30):
    assert (t.clone().numpy() == a.T).all()
    child = os.fork()
    assert (t.clone().numpy() == a.T).all()
    nd.set_num_threads(3)
    assert (t.clone().numpy() == a.T).all()
    if child == 0:
        nd.set_num_threads(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""
    )


def test_other_threads_run_python_during_large_copies_of_private_memory():
    t = nd.zeros((64, 1 << 20), "float32").T
    ticks, stop = [], threading.Event()

    def tick():
        while not stop.wait(0):
            ticks.append(None)

    ticker = threading.Thread(target=tick)
    ticker.start()
    try:
        ticks.clear()
        t.contiguous()
        assert ticks
    finally:
        stop.set()
        ticker.join()
