"""Order: streams of our own, copies that still run, other threads."""

import threading

import ndbridge as nd
import numpy as np
import pytest

from on_gpu import bits, on_host

LARGE = 16 << 20


def test_streams_have_names_and_order():
    stream = nd.cuda.Stream()
    assert stream.device == "cuda:0" and stream.handle > 2
    assert stream != nd.cuda.Stream() and stream == stream
    assert nd.cuda.Stream.external(stream.handle) == stream
    assert stream.__cuda_stream__() == (0, stream.handle)
    with stream as entered:
        assert entered == nd.cuda.current_stream() == stream
        with nd.cuda.Stream() as inner:
            assert nd.cuda.current_stream() == inner
        assert nd.cuda.current_stream() == stream
    assert nd.cuda.current_stream() != stream
    stream.synchronize()
    assert stream.query()


def test_dev_2_work_on_another_stream_waits_by_itself():
    first, second = nd.cuda.Stream(), nd.cuda.Stream()
    with first:
        there = nd.from_numpy(np.zeros(LARGE, np.uint8)).cuda()
        for value in range(1, 20):
            there.fill_(value)
    with second:
        copy = there.clone()
        there.fill_(99)
    with first:
        after = there.clone()
    assert set(np.unique(copy.cpu().numpy())) == {19}
    assert set(np.unique(after.cpu().numpy())) == {99}


def test_dev_3_memory_freed_on_one_stream_is_not_given_away_too_early():
    stream = nd.cuda.Stream()
    expected = np.arange(LARGE // 4, dtype=np.uint32)
    for _ in range(20):
        there = nd.from_numpy(expected).cuda()
        with stream:
            reversed_ = there[::-1].contiguous()
        # The next tensor may get the same address, after the read above.
        del there
        other = nd.from_numpy(np.zeros(LARGE // 4, np.uint32)).cuda()
        np.testing.assert_array_equal(reversed_.cpu().numpy(), expected[::-1])
        del other


@pytest.mark.parametrize("pinned", [True, False])
def test_copies_that_still_run_are_waited_for(pinned):
    array = np.random.default_rng(1).integers(0, 256, LARGE, np.uint8)
    host = nd.from_numpy(array)
    source = host.pin_memory() if pinned else host
    there = source.to("cuda:0", non_blocking=True)
    back = there.to("cpu", non_blocking=True)
    np.testing.assert_array_equal(back.numpy(), array)
    assert there.is_ready() and back.is_ready()
    assert back.is_pinned()


def test_pinned_memory_is_not_overwritten_under_a_copy():
    pinned = nd.from_numpy(np.zeros(LARGE, np.uint8)).pin_memory()
    rooms = [nd.from_numpy(np.zeros(LARGE, np.uint8)).cuda() for _ in range(4)]
    for value, room in enumerate(rooms):
        pinned.fill_(value)
        room.copy_(pinned, non_blocking=True)
    pinned.fill_(77)
    for value, room in enumerate(rooms):
        assert set(np.unique(room.cpu().numpy())) == {value}
    pinned.copy_(rooms[2], non_blocking=True)
    assert set(np.unique(pinned.numpy())) == {2}


def test_pinned_memory_lives_until_its_copy_has_run():
    array = np.random.default_rng(2).integers(0, 256, LARGE, np.uint8)
    arrivals = []
    for _ in range(8):
        pinned = nd.from_numpy(array).pin_memory()
        arrivals.append(pinned.to("cuda:0", non_blocking=True))
        del pinned
    for there in arrivals:
        np.testing.assert_array_equal(there.cpu().numpy(), array)


def test_threads_copy_and_free_beside_each_other():
    failures = []

    def work(seed):
        try:
            host = on_host("float32", (64, 65), seed)
            for turn in range(50):
                there = host.cuda().T
                if turn % 2:
                    with nd.cuda.Stream():
                        there = there.contiguous()
                assert bits(there) == bits(host.T)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
