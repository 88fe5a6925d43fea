"""What a GPU punishes: graphs, streams beside ours, other allocators, forks, functions of the host.

Much of this the emulated driver cannot show, as torch and CuPy do not run on it. What may end a
context or a process runs in one of its own.
"""

import os
import subprocess
import sys
import threading

import ndbridge as nd
import numpy as np
import pytest

torch = pytest.importorskip("torch")

#: Clocks of a GPU: 0.1 s or more.
LONG = 200_000_000


def alone(code, **environment):
    """Runs code in a process of its own, with ndbridge, NumPy and torch."""
    code = "import ndbridge as nd, numpy as np, torch\n" + code
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-800:] + done.stderr[-1500:]


def graph():
    return torch.cuda.CUDAGraph(), torch.cuda.Stream()


def test_memory_that_a_graph_has_not_written_is_refused():
    x = torch.zeros(4, device="cuda")
    captured, stream = graph()
    with torch.cuda.graph(captured, stream=stream):
        y = x + 1
        with pytest.raises(BufferError, match=r"Stream\.external"):
            nd.from_dlpack(y)
    captured.replay()
    torch.cuda.synchronize()
    assert y.tolist() == [1.0] * 4


def test_shared_memory_that_went_on_may_end_in_a_capture():
    x = torch.zeros(4, device="cuda")
    captured, stream = graph()
    with torch.cuda.graph(captured, stream=stream), nd.cuda.Stream.external(stream.cuda_stream):
        nd.from_dlpack(x).torch().add_(1)
    captured.replay()
    torch.cuda.synchronize()
    assert x.tolist() == [1.0] * 4


def test_an_allocation_with_much_late_memory_spares_a_capture():
    x = torch.zeros(4, device="cuda")
    captured, stream = graph()
    with torch.cuda.stream(torch.cuda.Stream()):
        for _ in range(300):
            nd.zeros(64, "float32").cuda().torch()
    with torch.cuda.graph(captured, stream=stream):
        x.add_(1)
        nd.zeros(64, "float32").cuda()
    captured.replay()
    torch.cuda.synchronize()
    assert x.tolist() == [1.0] * 4


def test_the_first_kernel_may_be_in_a_capture():
    alone(
        "x, y = torch.ones(6, 8, device='cuda'), torch.zeros(8, 6, device='cuda')\n"
        "s, g = torch.cuda.Stream(), torch.cuda.CUDAGraph()\n"
        "with torch.cuda.graph(g, stream=s), nd.cuda.Stream.external(s.cuda_stream):\n"
        "    nd.from_dlpack(y).copy_(nd.from_dlpack(x).T)\n"
        "g.replay(); torch.cuda.synchronize(); assert y.sum().item() == 48"
    )


def test_unaligned_elements_go_to_nobody():
    pytest.importorskip("cupy")
    # A misaligned access would end the context, and the sum with it.
    alone(
        "import cupy\n"
        "u = nd.zeros(801, 'uint8').cuda()[1:].view('float64')\n"
        "for take in (u.cupy, lambda: cupy.asarray(u), lambda: cupy.from_dlpack(u)):\n"
        "    try: taken = take()\n"
        "    except (BufferError, AttributeError, ValueError): continue\n"
        "    float((taken + 1).sum())"
    )


def test_late_memory_is_freed_after_a_wait_that_covers_it():
    side, done, wrong = torch.cuda.Stream(), threading.Event(), 0

    def keep_freeing():
        while not done.is_set():
            nd.cuda.empty_cache()

    waiter = threading.Thread(target=keep_freeing)
    waiter.start()
    try:
        for number in range(200):
            with torch.cuda.stream(side):
                there = nd.from_numpy(np.full(1 << 20, number % 251, np.uint8)).cuda()
                given = there.torch()
                torch.cuda._sleep(2_000_000)
                copy = given.clone()
                del there, given
            nd.from_numpy(np.full(1 << 20, 255, np.uint8)).cuda()
            side.synchronize()
            wrong += not (copy == number % 251).all().item()
    finally:
        done.set()
        waiter.join()
    assert wrong == 0


def test_memory_used_on_the_legacy_stream_is_not_given_away():
    side = torch.cuda.Stream()
    for _ in range(5):
        there = nd.from_numpy(np.full(1 << 24, 1, np.uint8)).cuda()
        torch.cuda.synchronize()
        torch.cuda._sleep(LONG)
        copy = there.torch().clone()
        del there
        with nd.cuda.Stream.external(side.cuda_stream):
            other = nd.from_numpy(np.full(1 << 24, 2, np.uint8)).cuda()
        torch.cuda.synchronize()
        assert (copy == 1).all().item()
        del other


@pytest.mark.parametrize(
    "allocator",
    ["expandable_segments:True", "backend:cudaMallocAsync", "pinned_use_cuda_host_register:True"],
)
def test_torchs_other_allocators(allocator):
    alone(
        "x = torch.arange(40_000_000., device='cuda'); t = nd.from_dlpack(x)[1:]\n"
        "assert t.data_ptr() == x.data_ptr() + 4\n"
        "p = torch.arange(1000.).pin_memory()\n"
        "assert nd.from_dlpack(p).cuda().tolist() == p.tolist()\n"
        "assert t[-1].item() == x[-1].item()",
        PYTORCH_CUDA_ALLOC_CONF=allocator,
    )


def test_a_process_ends_with_everything_alive():
    alone(
        "import builtins\n"
        "s = nd.cuda.Stream(); s.__enter__(); a = nd.zeros(1 << 24, 'uint8').pin_memory()\n"
        "b = a.to('cuda:0', non_blocking=True); c = b.torch(); d = nd.from_dlpack(c)\n"
        "builtins.kept = (a, b, c, d, s)"
    )


def test_a_forked_child_is_told_and_lives():
    alone(
        "import os\n"
        "t = nd.zeros(9).cuda(); child = os.fork()\n"
        "if child == 0:\n"
        "    try: nd.zeros(3).cuda(); os._exit(3)\n"
        "    except Exception as error: os._exit(0 if 'fork' in str(error) else 4)\n"
        "assert os.waitpid(child, 0)[1] == 0; assert t.cpu().tolist() == [0] * 9"
    )


def test_waits_let_go_of_the_interpreter():
    pytest.importorskip("cupy")
    # The function that the stream calls needs the interpreter: a wait that holds it never ends.
    alone(
        "import cupy, time\n"
        "s = cupy.cuda.Stream(non_blocking=True); x = cupy.zeros(1 << 20)\n"
        "with s:\n"
        "    s.launch_host_func(lambda _: time.sleep(.2), None); x += 1; t = nd.from_dlpack(x)\n"
        "t.copy_(nd.zeros(1 << 20).pin_memory()); r = nd.zeros(1 << 20); r.copy_(t)\n"
        "u = t.torch(); del t, u"
    )
