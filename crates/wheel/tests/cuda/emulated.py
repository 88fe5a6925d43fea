"""The emulated driver through ctypes: its control functions, and the driver's own.

For what a library beside us does: allocate, make streams, copy, look at an address.
"""

import contextlib
import ctypes
import gc
import os

import ndbridge as nd
import numpy as np
import pytest

_library = ctypes.CDLL(os.environ["NDBRIDGE_CUDA_DRIVER"])
_size, _u64 = ctypes.c_size_t, ctypes.c_uint64

_library.ndbridge_emulator_violations.restype = _size
_library.ndbridge_emulator_calls.restype = _u64
_library.ndbridge_emulator_used.restype = _u64
_library.ndbridge_emulator_live.restype = _u64


def violations():
    """What the program did wrong since the last question."""
    _library.ndbridge_emulator_drain()
    needed = _library.ndbridge_emulator_violations(None, _size(0)) + 1
    text = ctypes.create_string_buffer(needed)
    _library.ndbridge_emulator_violations(text, _size(needed))
    return text.value.decode().splitlines()


def calls(name):
    """How often a driver function was called."""
    return _library.ndbridge_emulator_calls(name.encode())


def fail(name, nth=0, code=999):
    """Makes a call of a driver function fail."""
    _library.ndbridge_emulator_fail(name.encode(), _u64(nth), code)


def limit(device, size):
    """Sets a device's memory in bytes."""
    _library.ndbridge_emulator_limit(_size(device), _u64(size))


def live():
    """Number of live allocations."""
    return _library.ndbridge_emulator_live()


def foreign_read(address, size, item_bytes, stream=1):
    """A kernel of another library reads memory that was handed to it; its code."""
    return _library.ndbridge_emulator_foreign_read(
        _size(stream), _size(address), _size(size), _size(item_bytes)
    )


def foreign_write(address, size, item_bytes, byte, stream=1):
    """The same, and fills it."""
    return _library.ndbridge_emulator_foreign_write(
        _size(stream), _size(address), _size(size), _size(item_bytes), ctypes.c_ubyte(byte)
    )


@contextlib.contextmanager
def no_wait_with_the_interpreter():
    """Meanwhile a wait for unfinished work by a thread that holds the GIL is a violation."""
    _library.ndbridge_emulator_report_waits_under(ctypes.pythonapi.PyGILState_Check)
    try:
        yield
    finally:
        _library.ndbridge_emulator_report_waits_under(None)


class _On:
    """Runs calls of the driver with a device's context, and leaves what was there."""

    def __init__(self, device):
        self.device = device

    def __enter__(self):
        assert _library.cuInit(0) == 0
        context = ctypes.c_void_p()
        assert _library.cuDevicePrimaryCtxRetain(ctypes.byref(context), self.device) == 0
        assert _library.cuCtxPushCurrent_v2(context) == 0

    def __exit__(self, *_):
        assert _library.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p())) == 0


class Foreign:
    """Memory that another library allocated, with the bytes of an array in it."""

    def __init__(self, array, device=0):
        self.array, self.device = array, device
        self.pointer = _u64()
        with _On(device):
            assert _library.cuMemAlloc_v2(ctypes.byref(self.pointer), _size(array.nbytes)) == 0
            source = ctypes.c_void_p(array.ctypes.data)
            assert _library.cuMemcpyHtoD_v2(self.pointer, source, _size(array.nbytes)) == 0

    @property
    def address(self):
        return self.pointer.value

    def read(self):
        """The bytes now, as an array."""
        out = np.empty_like(self.array)
        with _On(self.device):
            to, size = ctypes.c_void_p(out.ctypes.data), _size(out.nbytes)
            assert _library.cuMemcpyDtoH_v2(to, self.pointer, size) == 0
        return out

    def free(self):
        with _On(self.device):
            assert _library.cuMemFree_v2(self.pointer) == 0


class Pinned:
    """Pinned memory that another library allocated; `array` lies in it."""

    def __init__(self, array):
        self.pointer = ctypes.c_void_p()
        with _On(0):
            size = _size(array.nbytes)
            assert _library.cuMemHostAlloc(ctypes.byref(self.pointer), size, 0) == 0
        memory = (ctypes.c_char * array.nbytes).from_address(self.pointer.value)
        self.array = np.frombuffer(memory, array.dtype).reshape(array.shape)
        self.array[...] = array

    def free(self):
        with _On(0):
            assert _library.cuMemFreeHost(self.pointer) == 0


class Stream:
    """A stream that another library made; it does not wait for the legacy default stream."""

    def __init__(self, device=0):
        self.device = device
        handle = ctypes.c_void_p()
        with _On(device):
            assert _library.cuStreamCreate(ctypes.byref(handle), 1) == 0
        self.handle = handle.value

    @classmethod
    def of(cls, ours):
        """One of ours, of the first device, as another library that was given its handle has it."""
        stream = cls.__new__(cls)
        stream.device, stream.handle = 0, ours.handle
        return stream

    def call(self, function, argument):
        """Enqueues a call of a C function with one pointer."""
        with _On(self.device):
            stream = ctypes.c_void_p(self.handle)
            assert _library.cuLaunchHostFunc(stream, function, argument) == 0

    def fill(self, address, byte, size):
        """Enqueues work that writes `size` bytes."""
        with _On(self.device):
            stream = ctypes.c_void_p(self.handle)
            answer = _library.cuMemsetD8Async(
                _u64(address), ctypes.c_ubyte(byte), _size(size), stream
            )
            assert answer == 0

    def copy_from_host(self, foreign, address, size):
        """Enqueues a copy of pinned host memory."""
        with _On(self.device):
            stream, source = ctypes.c_void_p(self.handle), ctypes.c_void_p(address)
            answer = _library.cuMemcpyHtoDAsync_v2(foreign.pointer, source, _size(size), stream)
            assert answer == 0

    def begin_capture(self, mode=0):
        with _On(self.device):
            assert _library.cuStreamBeginCapture_v2(ctypes.c_void_p(self.handle), mode) == 0

    def end_capture(self):
        """What the driver answers: 0 if nothing broke the capture. The graph is destroyed."""
        graph = ctypes.c_void_p()
        with _On(self.device):
            stream = ctypes.c_void_p(self.handle)
            answer = _library.cuStreamEndCapture(stream, ctypes.byref(graph))
            assert answer != 0 or _library.cuGraphDestroy(graph) == 0
            return answer

    def synchronize(self):
        with _On(self.device):
            assert _library.cuStreamSynchronize(ctypes.c_void_p(self.handle)) == 0

    def destroy(self):
        with _On(self.device):
            assert _library.cuStreamDestroy_v2(ctypes.c_void_p(self.handle)) == 0


def _settle():
    gc.collect()
    for device in range(nd.cuda.device_count()):
        nd.cuda.synchronize(device)
        nd.cuda.empty_cache(device)


@pytest.fixture(autouse=True)
def leaves_nothing():
    """Every test leaves no violation and no allocation behind; to be imported."""
    _settle()
    before = live()
    yield
    _settle()
    assert violations() == []
    assert live() == before
