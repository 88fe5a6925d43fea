"""What was once possible: found by trying to break the rules."""

import gc
import threading

import capsules
import emulated
import ndbridge as nd
import numpy as np
import pytest
from emulated import Foreign, Pinned, leaves_nothing  # noqa: F401
from test_protocols import Speaks

A = np.arange(4096, dtype="float32")


def test_dev_2_a_blocking_copy_has_read_its_source():
    theirs = Pinned(A)
    ours = nd.tensor(A).pin_memory()
    for array in (theirs.array, ours.numpy()):
        there = nd.from_numpy(array).cuda()
        array[:] = -1
        np.testing.assert_array_equal(there.numpy(force=True), A)
        array[:] = A
        strided = nd.zeros(8192, "float32").cuda()
        strided[::2].copy_(nd.from_numpy(array))
        array[:] = -1
        np.testing.assert_array_equal(strided.numpy(force=True)[::2], A)
        array[:] = A
    del array
    theirs.free()


def test_dev_2_pinned_memory_that_comes_back_is_known():
    p = nd.zeros(4096, "float32").pin_memory()
    alias = nd.from_numpy(p.numpy())
    assert alias.device == "cuda_host"
    there = nd.tensor(A).cuda()
    p.copy_(there, non_blocking=True)
    assert not alias.is_ready()
    np.testing.assert_array_equal(alias.numpy(), A)


def test_dev_2_a_blocking_copy_leaves_no_borrow_and_keeps_nothing():
    nd.cuda.empty_cache()
    p = nd.tensor(A).pin_memory()
    there = p.cuda()
    p.fill_(1)
    del p
    gc.collect()
    assert nd.cuda.memory_stats()["pinned_kept_bytes"] >= A.nbytes
    assert there.tolist()[1] == 1.0


def test_dev_2_pinned_memory_that_went_out_is_not_used_again_under_the_consumer():
    consumer, target = emulated.Stream(), Foreign(np.zeros_like(A))
    p = nd.tensor(A).pin_memory()
    managed = capsules.consume(p.__dlpack__(max_version=(1, 0)))
    consumer.copy_from_host(target, p.data_ptr(), A.nbytes)
    del p
    gc.collect()
    capsules.delete(managed)
    other = nd.full(4096, -7, "float32").pin_memory()
    consumer.synchronize()
    np.testing.assert_array_equal(target.read(), A)
    del other
    target.free()
    consumer.destroy()


def test_shr_2_a_copy_of_pinned_memory_is_one():
    p = nd.tensor(A).pin_memory()
    copied = np.from_dlpack(p, device="cpu", copy=True)
    copied[:] = -1
    assert p[1].item() == 1.0
    shared = np.from_dlpack(p, device="cpu", copy=False)
    assert np.shares_memory(shared, p.numpy())
    managed = capsules.managed_of(p.__dlpack__(dl_device=(1, 0), max_version=(1, 0)))
    assert managed.dl_tensor.device.type == 1 and not managed.flags & capsules.IS_COPIED


def test_dev_2_blocks_of_streams_end_in_whatever_order():
    first, second = nd.cuda.Stream(), nd.cuda.Stream()
    home = nd.cuda.current_stream()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert nd.cuda.current_stream() == second
    second.__exit__(None, None, None)

    def block():
        with first:
            yield

    generator = block()
    next(generator)
    with second:
        generator.close()
        assert nd.cuda.current_stream() == second
    assert nd.cuda.current_stream() == home
    with pytest.raises(RuntimeError, match="not entered on this thread"):
        first.__exit__(None, None, None)

    def left_open():
        first.__enter__()

    thread = threading.Thread(target=left_open)
    thread.start()
    thread.join()


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_dev_3_garbage_collection_ends_no_capture(mode):
    stream = emulated.Stream()
    ours = nd.cuda.Stream()
    exported = nd.tensor(A).cuda()
    assert exported.__cuda_array_interface__
    with ours:
        made_there = nd.tensor(A).cuda()
    nd.cuda.synchronize()
    stream.begin_capture(mode)
    del exported, made_there
    gc.collect()
    assert stream.end_capture() == 0
    stream.destroy()


def test_dev_3_foreign_memory_that_went_on_goes_back_after_the_next_wait():
    foreign = Foreign(A)
    producer = Speaks(foreign)
    t = nd.from_dlpack(producer)
    consumer, reuse = emulated.Stream(), emulated.Stream()
    managed = capsules.consume(t.__dlpack__(stream=consumer.handle, max_version=(1, 0)))
    del t
    gc.collect()
    consumer.fill(foreign.address, 1, 16)
    capsules.delete(managed)
    # Nothing waits here: who knows what the consumer has on which stream, and whether one is captured.
    assert producer.lent.deletions == 0
    nd.cuda.synchronize()
    assert producer.lent.deletions == 1
    reuse.fill(foreign.address, 2, 16)
    for stream in (reuse, consumer):
        stream.synchronize()
        stream.destroy()
    foreign.free()


def test_dev_2_the_exchange_table_waits_before_it_lends():
    p = nd.tensor(A).cuda().to("cpu", non_blocking=True)
    np.testing.assert_array_equal(nd.from_dlpack(p).numpy(), A)
    q = nd.tensor(A).cuda().to("cpu", non_blocking=True)
    np.testing.assert_array_equal(np.from_dlpack(q), A)


def test_dev_4_no_pinned_memory_is_a_memory_error():
    emulated.fail("cuMemHostAlloc", 0, 2)
    nd.cuda.empty_cache()
    assert nd.tensor(A).pin_memory().is_pinned(), "tried once more"
    nd.cuda.empty_cache()
    for _ in range(2):
        emulated.fail("cuMemHostAlloc", 0, 2)
    emulated.fail("cuMemHostAlloc", 1, 2)
    with pytest.raises(MemoryError, match="1234567 bytes"):
        nd.zeros(1234567, "uint8").pin_memory()


class Interface:
    """`__cuda_array_interface__` of memory that work on a stream writes."""

    def __init__(self, foreign, stream):
        self.foreign = foreign
        entries = {"shape": foreign.array.shape, "typestr": foreign.array.dtype.str, "version": 3}
        data = (foreign.address, False)
        self.__cuda_array_interface__ = {**entries, "data": data, "stream": stream.handle}


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_dev_2_memory_that_a_graph_has_not_written_is_refused(mode):
    foreign, theirs, other = Foreign(A), emulated.Stream(), nd.cuda.Stream()
    theirs.begin_capture(mode)
    theirs.fill(foreign.address, 1, A.nbytes)
    call = f"with ndbridge.cuda.Stream.external({theirs.handle:#x}):"
    with pytest.raises(BufferError, match="captured") as refused:
        nd.asarray(Interface(foreign, theirs))
    assert call in str(refused.value)
    with nd.cuda.Stream.external(theirs.handle) as named:
        taken = nd.asarray(Interface(foreign, theirs))
        taken.fill_(2)  # a part of the graph
        with pytest.raises(Exception, match="captur"):
            taken.cpu()
    for use in (taken.cpu, taken.clone, lambda: taken.fill_(3), lambda: taken.is_ready()):
        with pytest.raises(BufferError, match="captured"):
            use()
    with pytest.raises(BufferError, match="captured"):
        taken.__dlpack__(stream=other.handle)
    assert theirs.end_capture() == 0
    del named
    np.testing.assert_array_equal(taken.numpy(force=True), A)
    del taken
    nd.cuda.synchronize()
    theirs.destroy()
    foreign.free()


def test_dev_2_elements_that_kernels_cannot_load_go_nowhere():
    # A misaligned access on a device is the end of its context for the whole process.
    odd = nd.zeros(801, "uint8").cuda()[1:].view("float64")
    exports = [
        odd.torch, odd.cupy, odd.__dlpack__, lambda: odd.__cuda_array_interface__,
        lambda: odd.__dlpack__(max_version=(1, 3)), lambda: odd.__dlpack__(stream=-1),
    ]  # fmt: skip
    for export in exports:
        with pytest.raises(BufferError, match="aligned"):
            export()
    aligned = odd.clone()
    assert aligned.__cuda_array_interface__["data"][0] % 8 == 0
    assert aligned.__dlpack__(max_version=(1, 3)) is not None
    assert nd.from_dlpack(odd).tolist() == [0] * 100  # ndbridge takes them wherever they lie


@pytest.mark.parametrize("code", [3, 100, 802, 803, 999])
def test_dev_4_a_driver_that_does_not_start_says_why(code):
    emulated.fail("cuInit", 0, code)
    said = rf"no device cuda:9: cuInit: .*\(CUDA error {code}, [A-Z_]+\): "
    with pytest.raises(ValueError, match=said):
        nd.zeros(1).cuda(9)  # not the first, which is open
    assert nd.zeros(1).cuda().tolist() == [0]
