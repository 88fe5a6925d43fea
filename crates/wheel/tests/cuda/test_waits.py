"""Whoever waits for a device lets other threads run Python.

A function that a stream calls may need the interpreter, as CuPy's and JAX's callbacks do: a thread that
held it and waited for the stream would wait for ever.
"""

import os
import pathlib
import subprocess
import sys

import pytest

CHILD = """
import ctypes, io, sys, threading, time
import emulated, ndbridge as nd, numpy as np
from emulated import Foreign
from test_protocols import Speaks

libc = ctypes.CDLL(None)
A = np.arange(24, dtype="float32").reshape(4, 6)


KEPT = []  # what a stream still looks at


def holds_up(stream):
    \"\"\"What is on the stream from now on waits for a thread that runs Python after somebody waits.\"\"\"
    begun, end = (ctypes.create_string_buffer(64) for _ in range(2))
    KEPT.extend((begun, end))
    for semaphore in (begun, end):
        assert libc.sem_init(semaphore, 0, 0) == 0
    stream = emulated.Stream.of(stream)
    stream.call(libc.sem_post, begun)
    stream.call(libc.sem_wait, end)

    def help_on():
        while libc.sem_trywait(begun):
            time.sleep(0.001)
        libc.sem_post(end)

    threading.Thread(target=help_on, daemon=True).start()


def in_flight(there):
    return there.to("cpu", non_blocking=True)


there = nd.tensor(A).cuda()
plain, pinned = nd.tensor(A), nd.tensor(A).pin_memory()
foreign = Foreign(A)

WAIT = {
    "copy_ to the host": lambda: nd.zeros((4, 6), "float32").copy_(there),
    "copy_ from the host": lambda: there.copy_(plain),
    "copy_ from pinned memory": lambda: there.copy_(pinned),
    "copy_ to pinned memory": lambda: pinned.copy_(there),
    "copy_ from the host, non_blocking": lambda: there.copy_(plain, non_blocking=True),
    "setitem": lambda: there.__setitem__(..., A),
    "cpu": lambda: there.cpu(),
    "numpy": lambda: there.numpy(force=True),
    "tolist": lambda: there.tolist(),
    "repr": lambda: repr(there),
    "cuda": lambda: plain.cuda(),
    "cuda, non_blocking": lambda: plain.to("cuda:0", non_blocking=True),
    "another device": lambda: there.cuda(1),
    "__dlpack__": lambda: there.__dlpack__(dl_device=(1, 0), max_version=(1, 0)),
    "asarray": lambda: nd.asarray(there, device="cpu"),
    "from_dlpack": lambda: nd.from_dlpack(there, device="cpu"),
    "an array of others": lambda: nd.asarray(Speaks(foreign), device="cpu"),
    "synchronize": lambda: nd.cuda.synchronize(),
    "empty_cache": lambda: nd.cuda.empty_cache(),
}
WAIT_FOR_A_COPY = {
    "numpy": lambda p: p.numpy(),
    "asarray": lambda p: np.asarray(p),
    "memoryview": lambda p: memoryview(p),
    "__dlpack__": lambda p: p.__dlpack__(max_version=(1, 0)),
    "fill_": lambda p: p.fill_(1),
    "setitem": lambda p: p.__setitem__(0, 1),
    "clone": lambda p: p.clone(),
    "tolist": lambda p: p.tolist(),
    "copy_": lambda p: p.copy_(plain),
    "copy_ from": lambda p: nd.zeros((4, 6), "float32").copy_(p),
    "save": lambda p: nd.save(io.BytesIO(), p),
    "equal": lambda p: p == plain,
}

for name, wait in WAIT.items():
    print(name, flush=True)
    with nd.cuda.Stream() as stream:
        holds_up(stream)
        wait()
for name, wait in WAIT_FOR_A_COPY.items():
    print("a copy:", name, flush=True)
    with nd.cuda.Stream() as stream:
        holds_up(stream)
        p = in_flight(there)
        wait(p)

# The end of memory waits for nothing at all.
print("the end", flush=True)
producer, stream = Speaks(foreign), nd.cuda.Stream()
with stream:
    t = nd.from_dlpack(producer)
    holds_up(stream)
    t.fill_(7), there.fill_(7), pinned.copy_(there, non_blocking=True)
WAITS = ["cuCtxSynchronize", "cuStreamSynchronize", "cuEventSynchronize"]
before = [emulated.calls(name) for name in WAITS]
del t, there, pinned, p
assert [emulated.calls(name) for name in WAITS] == before
nd.cuda.synchronize()
assert producer.lent.deletions == 1
foreign.free()
assert emulated.violations() == []
print("done", flush=True)
"""


def test_dev_2_whoever_waits_for_a_device_lets_others_run_python():
    folder = pathlib.Path(__file__).parent
    path = os.pathsep.join([str(folder), str(folder.parent), os.environ.get("PYTHONPATH", "")])
    try:
        child = subprocess.run(
            [sys.executable, "-c", CHILD], env={**os.environ, "PYTHONPATH": path},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    except subprocess.TimeoutExpired as hung:
        pytest.fail(f"waits for ever: {hung.stdout.decode().splitlines()[-1]}")
    assert child.returncode == 0, child.stdout[-500:] + child.stderr[-2000:]
    assert child.stdout.splitlines()[-1] == "done"
