"""Device memory in and out: DLPack with streams, `__cuda_array_interface__`."""

import gc
import threading
import weakref

import capsules
import emulated
import ndbridge as nd
import numpy as np
import pytest
from emulated import Foreign, leaves_nothing  # noqa: F401

A = np.arange(24.0, dtype="float32").reshape(4, 6)
CUDA, CUDA_HOST, CUDA_MANAGED = 2, 3, 13


class Speaks:
    """A library's array with DLPack; remembers what it was asked."""

    def __init__(self, foreign, version=(1, 0), kind=CUDA, **header):
        self.asked = []
        device = (kind, foreign.device)
        self.lent = capsules.Lent(
            foreign.array, version=version, data=foreign.address, device=device, **header
        )

    def __dlpack_device__(self):
        return self.lent.header["device"]

    def __dlpack__(self, **options):
        self.asked.append(options)
        return self.lent.capsule()


@pytest.fixture
def foreign():
    made = Foreign(A)
    yield made
    gc.collect()
    nd.cuda.synchronize()
    made.free()


@pytest.mark.parametrize("version", [None, (1, 0)])
@pytest.mark.parametrize("kind", [CUDA, CUDA_MANAGED])
def test_dev_2_dlpack_in_asks_for_our_stream(foreign, version, kind):
    producer = Speaks(foreign, version, kind)
    stream = nd.cuda.Stream()
    with stream:
        t = nd.from_dlpack(producer)
    assert producer.asked == [{"max_version": (1, 3), "stream": stream.handle}]
    assert (t.device, t.data_ptr(), t.shape) == ("cuda:0", foreign.address, (4, 6))
    assert t.receipt.shared
    np.testing.assert_array_equal(t.numpy(force=True), A)
    np.testing.assert_array_equal(t[::2, 1:].flip(1).numpy(force=True), A[::2, 1:][:, ::-1])
    if version is None:
        with pytest.raises(ValueError, match="writable"):
            t.fill_(1)
    else:
        t[0].fill_(7)
        assert t.tolist()[0] == [7.0] * 6
    assert producer.lent.deletions == 0
    del t
    gc.collect()
    nd.cuda.synchronize()
    assert producer.lent.deletions == 1


def test_dev_2_memory_is_not_given_back_under_running_work(foreign):
    producer = Speaks(foreign)
    streams = [nd.cuda.Stream() for _ in range(2)]
    with streams[0]:
        t = nd.from_dlpack(producer)
    with streams[1]:
        copy = t.T.clone()
    del t
    gc.collect()
    assert producer.lent.deletions == 0, "the copy has not run"
    nd.cuda.synchronize()
    assert producer.lent.deletions == 1
    # The producer reuses it at once, without waiting.
    other = emulated.Stream()
    other.fill(foreign.address, 0, A.nbytes)
    other.synchronize()
    np.testing.assert_array_equal(copy.numpy(force=True), A.T)
    other.destroy()


def test_dev_1_a_lie_is_refused(foreign):
    host = np.arange(4.0)
    lies = [
        dict(data=host.ctypes.data),
        dict(device=(CUDA, 1)),
        dict(shape=(400, 6), strides=(6, 1)),
        dict(data=foreign.address + 4),
    ]
    for lie in lies:
        producer = Speaks(foreign)
        producer.lent.header.update(lie)
        with pytest.raises(BufferError, match="the driver finds"):
            nd.from_dlpack(producer)
        assert producer.lent.deletions == 1
    producer = Speaks(foreign)
    producer.lent.header.update(device=(CUDA, 9))
    with pytest.raises((ValueError, BufferError), match="cuda:9"):
        nd.from_dlpack(producer)


def test_pinned_memory_of_others_is_host_memory():
    pinned = nd.tensor(A).pin_memory()
    assert pinned.__dlpack_device__() == (CUDA_HOST, 0)
    t = nd.from_dlpack(capsule := pinned.__dlpack__(max_version=(1, 0)))
    assert capsule is not None and t.data_ptr() == pinned.data_ptr()
    assert t.device == "cuda_host" and t.numpy()[3, 5] == 23
    producer = capsules.Lent(A, version=(1, 0), device=(CUDA_HOST, 0))
    with pytest.raises(BufferError, match="the driver finds"):
        nd.from_dlpack(producer)


def test_dev_2_dlpack_out_makes_the_consumers_stream_wait():
    foreign_stream = emulated.Stream()
    stream = nd.cuda.Stream()
    for consumer in (None, 1, 2, foreign_stream.handle, stream.handle, -1):
        with stream:
            t = nd.tensor(A).cuda()
        waits = emulated.calls("cuStreamWaitEvent")
        capsule = t.__dlpack__(stream=consumer, max_version=(1, 0))
        # Its own stream needs none, and -1 asks for none.
        expected = 0 if consumer in (-1, stream.handle) else 1
        assert emulated.calls("cuStreamWaitEvent") - waits == expected, consumer
        managed = capsules.managed_of(capsule)
        assert capsules.header_of(managed.dl_tensor) == {
            "data": t.data_ptr(), "device": (CUDA, 0), "dtype": (capsules.FLOAT, 32, 1),
            "shape": (4, 6), "strides": (6, 1),
        }  # fmt: skip
        if consumer == foreign_stream.handle:
            # Without the wait this would race with the copy to the device.
            foreign_stream.fill(t.data_ptr(), 0, 4)
            foreign_stream.synchronize()
            assert t[0, 0].item() == 0.0
        del capsule, managed
    with pytest.raises(ValueError, match="ambiguous"):
        t.__dlpack__(stream=0)
    for wrong in (-2, "1", 1.5):
        with pytest.raises((ValueError, TypeError)):
            t.__dlpack__(stream=wrong)
    del t
    foreign_stream.destroy()


def test_dev_3_a_deleter_on_any_thread_frees_after_the_consumer():
    consumer = emulated.Stream()
    t = nd.tensor(A).cuda()
    address, alive = t.data_ptr(), weakref.ref(t)
    managed = capsules.consume(t.__dlpack__(stream=consumer.handle, max_version=(1, 0)))
    del t
    gc.collect()
    assert alive() is None
    consumer.fill(address, 1, 16)  # still runs when the memory is let go of
    thread = threading.Thread(target=capsules.delete, args=(managed,))
    thread.start()
    thread.join()
    again = nd.tensor(A).cuda()
    np.testing.assert_array_equal(again.numpy(force=True), A)
    consumer.destroy()


def test_memory_that_comes_back_is_known_and_waited_for():
    consumer = emulated.Stream()
    t = nd.tensor(A).cuda()

    class Library:
        """Takes our memory, works on a stream of its own, hands it on."""

        def __dlpack_device__(self):
            return (CUDA, 0)

        def __dlpack__(self, *, stream=None, max_version=None):
            capsule = t.__dlpack__(stream=consumer.handle, max_version=max_version)
            consumer.fill(t.data_ptr(), 0, 8)
            ours = nd.cuda.Stream.external(stream)
            ours.wait_stream(nd.cuda.Stream.external(consumer.handle))
            return capsule

    with nd.cuda.Stream():
        back = nd.from_dlpack(Library())
    assert back.data_ptr() == t.data_ptr() and nd.shares_memory(back, t)
    # On yet another stream: our notes know that it came back on that one.
    with nd.cuda.Stream():
        assert back.tolist()[0] == [0, 0, 2, 3, 4, 5]
    del back, t
    gc.collect()
    nd.cuda.synchronize()
    consumer.destroy()


def test_dlpack_moves_only_when_asked():
    t = nd.tensor(A).cuda()
    managed = capsules.managed_of(t.__dlpack__(dl_device=(1, 0), max_version=(1, 0)))
    assert managed.dl_tensor.device.type == 1 and managed.flags & capsules.IS_COPIED
    host = nd.tensor(A)
    capsule = host.__dlpack__(dl_device=(CUDA, 1), stream=1, max_version=(1, 0))
    there = nd.from_dlpack(capsule)
    assert there.device == "cuda:1" and there.numpy(force=True).tolist() == A.tolist()
    for attempt in (
        lambda: t.__dlpack__(dl_device=(1, 0), copy=False),
        lambda: t.__dlpack__(dl_device=(CUDA, 7)),
        lambda: t.__dlpack__(dl_device=(8, 0)),
    ):
        with pytest.raises(BufferError):
            attempt()
    with pytest.raises(ValueError, match="stream must be None"):
        host.__dlpack__(stream=1)
    copied = capsules.managed_of(t.__dlpack__(stream=1, copy=True, max_version=(1, 0)))
    assert copied.dl_tensor.data != t.data_ptr() and copied.flags & capsules.IS_COPIED


class Interface:
    """A library's array with `__cuda_array_interface__` alone."""

    def __init__(self, foreign, **entries):
        self.__cuda_array_interface__ = {
            "shape": foreign.array.shape, "typestr": foreign.array.dtype.str,
            "data": (foreign.address, False), "version": 3,
        } | entries  # fmt: skip


def test_cuda_array_interface_in(foreign):
    source = Interface(foreign)
    alive = weakref.ref(source)
    t = nd.asarray(source)
    assert (t.device, t.data_ptr(), t.receipt.shared) == ("cuda:0", foreign.address, True)
    assert t.owner is source
    np.testing.assert_array_equal(t.numpy(force=True), A)
    t[0, 0] = 5
    view = nd.asarray(Interface(foreign, shape=(6, 4), strides=(4, 24), version=2))
    assert view.tolist() == nd.asarray(source).T.tolist()
    del source
    gc.collect()
    assert alive() is not None
    del t, view
    gc.collect()
    assert alive() is None
    read_only = nd.asarray(Interface(foreign, data=(foreign.address, True)))
    assert read_only.readonly
    with pytest.raises(ValueError, match="read-only"):
        read_only.fill_(0)


def test_dev_2_cuda_array_interface_in_waits_for_its_stream(foreign):
    producer = emulated.Stream()
    producer.fill(foreign.address, 0, 8)
    t = nd.asarray(Interface(foreign, stream=producer.handle))
    assert t.tolist()[0] == [0, 0, 2, 3, 4, 5]
    for stream in (1, 2, None):
        assert nd.asarray(Interface(foreign, stream=stream)).shape == (4, 6)
    with pytest.raises(ValueError, match="ambiguous"):
        nd.asarray(Interface(foreign, stream=0))
    del t
    gc.collect()
    producer.destroy()


def test_cuda_array_interface_in_refuses_what_cannot_be(foreign):
    host = np.arange(4.0)
    for entries, error in [
        (dict(data=(host.ctypes.data, False)), "the driver finds"),
        (dict(shape=(400, 6)), "the driver finds"),
        (dict(typestr=">f4"), "expected '<'"),
        (dict(typestr="|O"), "object"),
        (dict(mask=object()), "mask"),
        (dict(data=(0, False)), "null"),
        (dict(strides=(4,)), "strides"),
        (dict(shape=(1 << 62, 1 << 62)), "bytes"),
    ]:
        with pytest.raises((BufferError, ValueError, TypeError), match=error):
            nd.asarray(Interface(foreign, **entries))
    empty = nd.asarray(Interface(foreign, shape=(0, 3), data=(0, False)))
    assert empty.shape == (0, 3) and empty.device == "cuda:0"
    broken = Interface(foreign)
    del broken.__cuda_array_interface__["shape"]
    with pytest.raises(KeyError):
        nd.asarray(broken)


def test_dev_2_cuda_array_interface_out_names_a_stream_that_waits():
    with nd.cuda.Stream():
        t = nd.tensor(A).cuda()
    stream = nd.cuda.Stream()
    with stream:
        interface = t[1:, ::2].__cuda_array_interface__
    assert interface == {
        "version": 3, "typestr": "<f4", "shape": (3, 3), "strides": (24, 8),
        "data": (t.data_ptr() + 24, False), "stream": stream.handle,
    }  # fmt: skip
    assert t.__cuda_array_interface__["strides"] is None
    frozen = nd.constant(A).cuda()
    assert not frozen.readonly, "a copy is writable"
    assert not hasattr(nd.tensor(A), "__cuda_array_interface__")
    assert not hasattr(nd.tensor(A).astype("bfloat16").cuda(), "__cuda_array_interface__")
    back = nd.asarray(type("Holder", (), {"__cuda_array_interface__": interface})())
    assert nd.shares_memory(back, t) and back.tolist() == A[1:, ::2].tolist()


def test_the_exchange_table_knows_devices():
    t = nd.tensor(A).cuda()
    api = capsules.ExchangeAPI.from_address(
        capsules.pointer_of(type(t).__dlpack_c_exchange_api__)
    )
    import ctypes

    stream = nd.cuda.Stream()
    out = ctypes.c_void_p()
    current = capsules.STREAM(api.current_work_stream)
    with stream:
        assert current(CUDA, 0, ctypes.byref(out)) == 0
    assert out.value == stream.handle
    with pytest.raises(BufferError, match="cuda:5"):
        current(CUDA, 5, ctypes.byref(out))
    managed = ctypes.c_void_p()
    assert capsules.FROM_PY(api.managed_tensor_from_py_object_no_sync)(t, ctypes.byref(managed)) == 0
    made = ctypes.c_void_p()
    assert capsules.TO_PY(api.managed_tensor_to_py_object_no_sync)(managed, ctypes.byref(made)) == 0
    back = ctypes.cast(made, ctypes.py_object).value
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(back))
    assert (back.device, back.data_ptr(), back.tolist()) == ("cuda:0", t.data_ptr(), A.tolist())


def test_other_libraries_are_named_where_they_are_missing():
    t = nd.tensor(A).cuda()
    for call in (t.tensorflow,):
        with pytest.raises((TypeError, BufferError, ImportError)):
            call()
    with pytest.raises(BufferError, match="bfloat16"):
        t.astype("bfloat16").cupy()
    with pytest.raises(BufferError, match="CUDA memory only"):
        t.cpu().cupy()
