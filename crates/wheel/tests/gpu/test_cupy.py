"""CuPy arrays: the same memory by DLPack and by `__cuda_array_interface__`."""

import ndbridge as nd
import numpy as np
import pytest

from on_gpu import NUMPY_DTYPES, VIEWS, bits, on_host, used_bytes

cupy = pytest.importorskip("cupy")


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_shr_1_a_tensor_is_an_array_of_cupy(dtype):
    there = on_host(dtype).cuda()
    for share in (there.cupy, lambda: cupy.asarray(there), lambda: cupy.from_dlpack(there)):
        array = share()
        assert array.data.ptr == there.data_ptr()
        assert array.dtype == np.dtype(dtype) and array.shape == there.shape
        np.testing.assert_array_equal(cupy.asnumpy(array), on_host(dtype).numpy())


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_shr_1_an_array_of_cupy_is_shared(dtype):
    array = cupy.asarray(on_host(dtype).numpy())
    for take in (nd.from_dlpack, nd.asarray):
        taken = take(array)
        assert taken.data_ptr() == array.data.ptr and taken.receipt.shared
        assert bits(taken) == bits(on_host(dtype))


class Interface:
    """Nothing but the dictionary."""

    def __init__(self, array):
        self.array = array
        self.__cuda_array_interface__ = array.__cuda_array_interface__


@pytest.mark.parametrize("view", [name for name in VIEWS if name != "broadcast"])
def test_views_keep_their_strides(view):
    there = VIEWS[view](on_host("float32").cuda())
    array = cupy.asarray(there)
    np.testing.assert_array_equal(cupy.asnumpy(array), there.cpu().numpy())
    taken = nd.asarray(Interface(array))
    assert bits(taken) == bits(there)
    if there.size:
        assert array.data.ptr == there.data_ptr() == taken.data_ptr()


def test_shr_4_writes_are_seen_on_both_sides_in_order():
    array = cupy.zeros(1 << 22, cupy.float32)
    taken = nd.asarray(array)
    array += 1
    assert taken.cpu().numpy().min() == 1
    taken.fill_(3)
    assert float(cupy.asarray(taken).sum()) == 3 << 22


def test_dev_2_cupys_stream_is_waited_for_and_waits():
    stream = cupy.cuda.Stream(non_blocking=True)
    array = cupy.zeros(1 << 24, cupy.float32)
    cupy.cuda.Device().synchronize()
    with stream:
        for _ in range(100):
            array += 1
        by_dictionary = nd.asarray(Interface(array))
        by_capsule = nd.from_dlpack(array)
    for taken in (by_dictionary, by_capsule):
        assert set(np.unique(taken.cpu().numpy())) == {100.0}
    for value in range(50):
        by_capsule.fill_(value)
    with stream:
        largest = by_capsule.cupy().max()
    stream.synchronize()
    assert float(largest) == 49


def test_own_1_memory_lives_in_cupy_and_goes_with_it():
    before = used_bytes()
    there = on_host("float32", (1 << 16,)).cuda()
    expected = there.cpu().numpy()
    array = there.cupy()[5:]
    del there
    np.testing.assert_array_equal(cupy.asnumpy(array), expected[5:])
    del array
    assert used_bytes() == before
