"""Device memory: counted, given back, and missed without harm."""

import threading

import ndbridge as nd
import numpy as np
import pytest

from on_gpu import bits, on_host, used_bytes


def test_own_1_memory_lives_as_long_as_a_view_of_it():
    before = used_bytes()
    there = on_host("float64", (1 << 16,)).cuda()
    assert used_bytes() >= before + there.nbytes
    view = there[5:10]
    del there
    assert used_bytes() > before
    assert bits(view) == bits(on_host("float64", (1 << 16,))[5:10])
    del view
    assert used_bytes() == before


def test_own_2_nothing_is_left_of_many_kinds_of_work():
    def work():
        there = on_host("float32", (128, 96)).cuda()
        there.T.contiguous().astype("float16").cpu()
        there[::2].fill_(1)
        there.copy_(there[::-1])
        there.pin_memory().to("cuda:0", non_blocking=True).cpu()
        nd.from_dlpack(there.__dlpack__(stream=-1)).clone()
        with nd.cuda.Stream():
            there.clone()
        with pytest.raises(Exception, match="cpu"):
            there.numpy()

    work()
    before = used_bytes()
    for _ in range(20):
        work()
    assert used_bytes() == before


def test_own_2_the_last_handle_may_go_on_another_thread():
    before = used_bytes()
    handles = [on_host("float32", (1 << 14,)).cuda() for _ in range(8)]
    threads = [threading.Thread(target=handles.pop) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not handles and used_bytes() == before


def test_dev_4_memory_that_there_is_not_is_an_error_and_work_goes_on():
    stats = nd.cuda.memory_stats()
    one = nd.zeros(1, "uint8")
    for small in (one, one.cuda()):
        large = small.expand(2 * stats["total_bytes"])
        with pytest.raises(MemoryError, match="cuda:0"):
            large.cuda().contiguous() if small.device == "cpu" else large.contiguous()
    host = on_host("float32")
    assert bits(host.cuda()) == bits(host)
    nd.cuda.synchronize()


def test_the_peak_and_the_cache_can_be_reset():
    nd.cuda.empty_cache()
    nd.cuda.reset_peak_memory_stats()
    before = nd.cuda.memory_stats()
    there = nd.from_numpy(np.zeros(8 << 20, np.uint8)).cuda()
    during = nd.cuda.memory_stats()
    assert during["used_bytes"] >= before["used_bytes"] + there.nbytes
    assert during["used_peak_bytes"] >= during["used_bytes"]
    del there
    nd.cuda.synchronize()
    kept = nd.cuda.memory_stats()
    assert kept["reserved_bytes"] >= kept["used_bytes"] + (8 << 20)
    nd.cuda.empty_cache()
    assert nd.cuda.memory_stats()["reserved_bytes"] < kept["reserved_bytes"]


def test_the_cache_can_be_told_to_keep_nothing():
    nd.cuda.empty_cache()
    nd.cuda.set_release_threshold(0)
    try:
        before = nd.cuda.memory_stats()["reserved_bytes"]
        there = nd.from_numpy(np.zeros(64 << 20, np.uint8)).cuda()
        del there
        nd.cuda.synchronize()
        assert nd.cuda.memory_stats()["reserved_bytes"] <= before
    finally:
        nd.cuda.set_release_threshold((1 << 63) - 1)
