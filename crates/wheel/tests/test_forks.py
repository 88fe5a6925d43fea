"""Children of a process whose other threads are in the middle of something.

A child must not wait for what only threads of its parent could give back, must not be refused for
their sake, and must find the right values.
"""

import os

import pytest

from conftest import run_python

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

#: More of them for a longer look: NDBRIDGE_FORKS=5000.
FORKS = int(os.environ.get("NDBRIDGE_FORKS", 500))

#: What each program here begins with: `ask(work)` forks, and raises unless the child's `work` ends well.
CHILDREN = """
import os, signal, sys, threading, time, traceback, warnings
import numpy as np, ndbridge as nd
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 and later: of a fork beside threads
sys.setswitchinterval(1e-4)
LONGEST = 60.0

def ask(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os.write(2, traceback.format_exc().encode())
            os._exit(1)
        os._exit(0)
    until = time.monotonic() + LONGEST
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise SystemExit("the child hangs")
        time.sleep(0.0005)
    if ended[1]:
        raise SystemExit(f"the child ends with {os.waitstatus_to_exitcode(ended[1])}")

class Threads:
    \"\"\"Each work again and again while the `with` block runs.\"\"\"
    def __init__(self, *works):
        self.over, self.errors = False, []
        self.threads = [threading.Thread(target=self.run, args=(work,)) for work in works]
    def run(self, work):
        try:
            while not self.over:
                work()
        except BaseException:
            self.errors.append(traceback.format_exc())
    def __enter__(self):
        [thread.start() for thread in self.threads]
    def __exit__(self, *_):
        self.over = True
        [thread.join() for thread in self.threads]
        assert not self.errors, self.errors[0]
"""

STRESS = """
try:
    import ndbridge_example as example
except ImportError:
    example = None

forks = int(sys.argv[1])
nd.set_num_threads(2)
private = nd.full((1 << 18,), 7.0, "float32")
row = private[:1000]
array = np.full(1 << 16, 7.0)
image = np.ones((200, 200, 3), "f4")
mean, std = np.zeros(3, "f4"), np.ones(3, "f4")
mine = nd.zeros((1 << 16,), "float32")

def copy():
    assert private.clone()[-1].item() == 7
    private.astype("float64", casting="safe")

def borrow():
    mine.fill_(3.0)
    nd.zeros((1 << 15,), "float32").copy_(private[: 1 << 15])
    assert row == row

def detach():
    if example is not None:
        example.normalise(image, mean, std)
        example.total(array)
    else:
        nd.from_numpy(image).clone()

def bring():
    there = nd.from_numpy(array)
    there.clone()
    nd.from_dlpack(there.numpy())
    nd.tensor(array)
    np.asarray(nd.zeros((1 << 14,)))
    memoryview(there)

def child():
    # Each is read by some thread of the parent, which is not here.
    private.fill_(2.0)
    assert private.clone()[::4096].tolist() == [2.0] * 64
    there = nd.from_numpy(array)
    assert there[0].item() == 7 and there.clone() == there
    there.fill_(5.0)
    assert array[0] == 5 and array[-1] == 5
    mine.fill_(4.0)
    assert mine.astype("float64")[-1].item() == 4
    assert not nd.zeros((1 << 15,), "float32").numpy().any()
    if example is not None:
        assert example.total(array) == 5.0 * (1 << 16)

with Threads(copy, borrow, detach, bring):
    for _ in range(forks):
        ask(child)
assert private.clone()[::4096].tolist() == [7.0] * 64 and (array == 7).all()
"""


def test_own_1_a_child_neither_hangs_nor_is_refused_while_threads_work():
    run_python(CHILDREN + STRESS, FORKS, timeout=300 + FORKS)


def test_a_child_copies_on_threads_of_its_own():
    run_python(
        CHILDREN
        + """
nd.set_num_threads(3)
big = nd.full((8 << 20,), 7.0, "float32")

def child():
    assert (big.clone().numpy() == 7).all()
    if os.path.isdir("/proc/self/task"):
        assert len(os.listdir("/proc/self/task")) == 3
    nd.set_num_threads(1)
    assert (big.clone().numpy() == 7).all()

with Threads(big.clone):
    for _ in range(10):
        ask(child)
"""
    )


def test_own_1_workers_of_a_pool_are_forked_while_threads_work():
    run_python(
        CHILDREN
        + """
import multiprocessing

t = nd.full((1 << 18,), 7.0, "float32")
array = np.full(1 << 16, 7.0)

def work(number):
    there = nd.from_numpy(array)
    there.fill_(number)
    t.fill_(number)
    return t.clone()[-1].item() + nd.tensor(array)[0].item()

def copy():
    t.clone()
    nd.from_numpy(array).clone()

with Threads(copy, copy):
    # A worker for each task: a thread of the pool forks them.
    with multiprocessing.get_context("fork").Pool(3, maxtasksperchild=1) as pool:
        got = pool.map_async(work, range(60), chunksize=1).get(100)
assert got == [2.0 * number for number in range(60)]
""",
        timeout=200,
    )
