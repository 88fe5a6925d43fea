"""Tensors on devices: the rules DEV-1 to DEV-4 from Python."""

import threading

import emulated
import ndbridge as nd
import numpy as np
import pytest
from conftest import ML_DTYPES, NUMPY_DTYPES, zoo
from emulated import leaves_nothing  # noqa: F401

DTYPES = NUMPY_DTYPES + list(ML_DTYPES)


def test_the_machine_is_described():
    assert nd.cuda.is_available() and nd.cuda.device_count() == 2
    assert isinstance(nd.cuda.device_name(), str)
    stats = nd.cuda.memory_stats("cuda:1")
    assert set(stats) == {
        "used_bytes", "used_peak_bytes", "reserved_bytes", "reserved_peak_bytes", "free_bytes",
        "total_bytes", "pinned_kept_bytes",
    }  # fmt: skip
    assert 0 < stats["free_bytes"] <= stats["total_bytes"]


# NumPy makes no sliding windows of float8.
@pytest.mark.parametrize("dtype", [*NUMPY_DTYPES, "bfloat16"])
def test_dev_2_every_layout_crosses_and_comes_back(dtype):
    for name, array in zoo(ML_DTYPES.get(dtype, dtype)).items():
        t = nd.tensor(array) if name == "unaligned" else nd.asarray(array)
        for target in ("cuda", "cuda:0", "cuda:1"):
            there = t.to(target)
            assert there.device == ("cuda:0" if target == "cuda" else target)
            assert (there.shape, there.dtype) == (t.shape, t.dtype)
            assert there.receipt.copied_bytes == t.nbytes
            assert there.cpu().numpy().tobytes() == array.tobytes(), (name, target)
            assert there.numpy(force=True).tobytes() == array.tobytes()


def test_dev_2_what_is_there_is_returned_itself():
    t = nd.tensor([1, 2])
    there, pinned = t.cuda(), t.pin_memory()
    assert t.cpu() is t and there.cuda() is there and pinned.pin_memory() is pinned
    assert pinned.cpu() is pinned
    assert there.to("cuda:0").data_ptr() == there.data_ptr()
    assert there.cuda(1).device == "cuda:1"
    assert (t.is_pinned(), pinned.is_pinned(), pinned.device) == (False, True, "cuda_host")
    assert pinned.numpy().tolist() == [1, 2] and np.shares_memory(pinned.numpy(), pinned.numpy())


def test_dev_1_numpy_on_a_device_names_cpu():
    there = nd.tensor([1.0, 2.0]).cuda()
    for attempt in (
        there.numpy, lambda: np.asarray(there), lambda: memoryview(there),
        lambda: there == there, lambda: nd.array_equal(there, there),
    ):  # fmt: skip
        with pytest.raises((TypeError, BufferError), match=r"cpu\(\)"):
            attempt()
    assert not hasattr(there, "__array_interface__")
    copied = there.numpy(force=True)
    copied[0] = 9
    assert there.tolist() == [1.0, 2.0]


def test_values_come_out_by_name():
    there = nd.tensor([[1, 2], [3, 4]]).cuda()
    assert there.tolist() == [[1, 2], [3, 4]]
    assert there[1, 0].item() == 3 and int(there[0, 1]) == 2 and float(there[0, 0]) == 1.0
    assert bool(there[0, 0]) and repr(there).endswith("dtype=int64, device=cuda:0)")
    assert there.T.tolist() == [[1, 3], [2, 4]] and there[::-1, 1:].tolist() == [[4], [2]]
    assert [row.device for row in there] == ["cuda:0", "cuda:0"]


def test_shr_4_writes_are_seen_by_every_view():
    there = nd.zeros((3, 4), "int32").cuda()
    view = there[1:, ::2]
    view.fill_(5)
    there[0] = [1, 2, 3, 4]
    there[:, 3] = nd.tensor([7, 8, 9], "int32").cuda()
    there[2, :2].copy_(np.array([-1, -2], "int32"))
    assert there.tolist() == [[1, 2, 3, 7], [5, 0, 5, 8], [-1, -2, 5, 9]]
    host = nd.zeros((3, 4), "int32")
    host.copy_(there.flip(0))
    assert host.tolist() == there.tolist()[::-1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_dty_3_casts_equal_the_hosts(dtype):
    values = nd.tensor([0, 1, 3, 100, -1, 0.5, 300, -1e9, float("inf"), float("nan")])
    source = values.astype(dtype, casting="unsafe")
    there = source.cuda()
    for to in DTYPES:
        expected = source.astype(to, casting="unsafe")
        found = there.astype(to, casting="unsafe")
        assert found.device == "cuda:0"
        np.testing.assert_array_equal(
            np.asarray(found.cpu().astype("complex128")), np.asarray(expected.astype("complex128"))
        )


def test_dev_2_non_blocking_copies_are_waited_for():
    pinned = nd.tensor(np.arange(5000)).pin_memory()
    there = pinned.to("cuda:0", non_blocking=True)
    assert not there.is_ready(), "the emulator runs nothing before it has to"
    back = there.to("cpu", non_blocking=True)
    assert back.device == "cuda_host" and not back.is_ready()
    assert back.numpy()[4999] == 4999 and back.is_ready()
    other = nd.zeros(5000, "int64").pin_memory()
    other.copy_(there, non_blocking=True)
    there.copy_(pinned, non_blocking=True)
    pinned.fill_(3)
    assert other.tolist()[4999] == 4999 and there[4999].item() == 4999
    assert memoryview(other)[17] == 17


def test_dev_2_work_on_other_streams_waits():
    a, b = nd.cuda.Stream(), nd.cuda.Stream(0)
    assert a == a and a != b and a.device == "cuda:0" and len({a, b, a}) == 2
    with a as entered:
        assert entered == nd.cuda.current_stream() == a
        x = nd.tensor(np.arange(1000.0)).cuda()
        with b:
            y = x.astype("float32")
        assert nd.cuda.current_stream() == a
    z = y.flip(0).clone()
    assert z.tolist() == list(range(999, -1, -1))
    a.synchronize()
    assert a.query() and a.__cuda_stream__() == (0, a.handle)
    b.wait_stream(a)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(nd.cuda.current_stream() == a))
    with a:
        thread.start()
        thread.join()
    assert seen == [False]


def test_dev_3_memory_goes_where_it_came_from():
    before = nd.cuda.memory_stats()["used_bytes"]
    there = nd.zeros(1 << 16, "uint8").cuda()
    assert nd.cuda.memory_stats()["used_bytes"] >= before + (1 << 16)
    view = there[10:]
    del there
    assert nd.cuda.memory_stats()["used_bytes"] >= before + (1 << 16)
    thread = threading.Thread(target=lambda held: held.clear(), args=([view],))
    del view
    thread.start()
    thread.join()
    nd.cuda.synchronize()
    assert nd.cuda.memory_stats()["used_bytes"] == before
    nd.cuda.reset_peak_memory_stats()
    nd.cuda.set_release_threshold(0, "cuda:0")
    nd.zeros(1 << 16, "uint8").cuda()
    nd.cuda.synchronize()
    assert nd.cuda.memory_stats()["reserved_bytes"] == 0
    nd.cuda.set_release_threshold(1 << 62)


def test_dev_4_what_is_missing_is_named():
    t = nd.tensor([1])
    for attempt in (
        lambda: t.cuda(2), lambda: t.to("cuda:7"), lambda: nd.asarray([1], device="cuda:2"),
        lambda: nd.cuda.memory_stats(2), lambda: nd.cuda.Stream("cuda:2"),
        lambda: nd.from_dlpack(t, device="cuda:2"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"no device cuda:\d: this machine has 2 CUDA devices"):
            attempt()
    with pytest.raises(ValueError, match="no CUDA device"):
        nd.cuda.synchronize("cpu")
    assert nd.plan(t, device="cuda:2").action == "refuse"
    plan = nd.plan(t, device="cuda:1")
    assert (plan.action, plan.reasons, plan.copied_bytes) == ("copy", ["device"], 8)


def test_dev_4_out_of_memory_is_a_memory_error_and_work_goes_on():
    emulated.limit(0, 1 << 20)
    try:
        held = nd.zeros(300_000, "uint8").cuda()
        with pytest.raises(MemoryError, match="out of memory on cuda:0: asked for 900000 B"):
            nd.zeros(900_000, "uint8").cuda()
        assert held[-1].item() == 0
        del held
        assert nd.zeros(900_000, "uint8").cuda()[-1].item() == 0
    finally:
        emulated.limit(0, 1 << 30)


@pytest.mark.parametrize("call", ["cuMemcpyDtoHAsync_v2", "cuStreamSynchronize"])
def test_dev_4_a_failing_driver_is_a_runtime_error(call):
    there = nd.tensor([1, 2, 3]).cuda()
    emulated.fail(call)
    with pytest.raises(RuntimeError, match=call):
        there.cpu()
    assert there.tolist() == [1, 2, 3]


def test_shr_8_nothing_crosses_unasked():
    t = nd.tensor([1.0, 2.0])
    there = t.cuda()
    before = nd.copies().bytes
    names = ("cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuMemcpyDtoDAsync_v2")
    counts = [emulated.calls(name) for name in names]
    views = [there[1:], there.T, there.view("uint8"), there.reshape(2, 1), there.flip(0)]
    assert nd.shares_memory(views[0], there) and not nd.shares_memory(there, t)
    assert nd.copies().bytes == before
    assert [emulated.calls(name) for name in names] == counts
    with nd.no_copy():
        for attempt in (there.cpu, there.clone, lambda: t.cuda(1), there.tolist):
            with pytest.raises(ValueError, match="this scope forbids copies"):
                attempt()


def test_array_api_arguments_move_too():
    a = np.arange(6.0)
    there = nd.asarray(a, dtype="float32", device="cuda:1")
    assert (there.device, there.dtype, there.tolist()) == ("cuda:1", "float32", a.tolist())
    assert nd.asarray(there, device="cuda:1").data_ptr() == there.data_ptr()
    with pytest.raises(ValueError, match="device"):
        nd.asarray(there, device="cpu", copy=False)
    assert nd.from_dlpack(there, device="cpu").device == "cpu"
    with pytest.raises(ValueError, match="device"):
        nd.from_dlpack(there, device="cpu", copy=False)
