"""What the emulated driver reports beside ndbridge, and that it reports it from Python too."""

import ctypes
import os

import ndbridge as nd
import numpy as np
from emulated import (
    Foreign,
    Stream,
    foreign_read,
    foreign_write,
    leaves_nothing,  # noqa: F401
    no_wait_with_the_interpreter,
    violations,
)


def test_a_wait_that_holds_the_interpreter_is_reported():
    foreign, stream = Foreign(np.zeros(64, "uint8")), Stream()
    nd.cuda.synchronize()
    # Unlike CDLL, it keeps the GIL.
    holding = ctypes.PyDLL(os.environ["NDBRIDGE_CUDA_DRIVER"])
    stream.fill(foreign.address, 1, 64)
    with no_wait_with_the_interpreter():
        stream.synchronize()
        assert violations() == []
        stream.fill(foreign.address, 2, 64)
        context = ctypes.c_void_p()
        assert holding.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
        assert holding.cuCtxPushCurrent_v2(context) == 0
        assert holding.cuStreamSynchronize(ctypes.c_void_p(stream.handle)) == 0
        assert holding.cuCtxPopCurrent_v2(ctypes.byref(context)) == 0
        [found] = violations()
        assert found == "cuStreamSynchronize waits while its thread holds the lock"
    foreign.free()
    stream.destroy()


def test_work_of_other_libraries_on_memory_of_ours():
    ours = nd.zeros(8, "float32").cuda()
    assert foreign_write(ours.data_ptr(), 32, 4, 0) == 0
    assert foreign_read(ours.data_ptr(), 32, 4) == 0
    nd.cuda.synchronize()
    assert violations() == []
    assert ours.tolist() == [0.0] * 8
