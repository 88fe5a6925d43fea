"""What belongs to the host, said of a tensor on a device."""

import copy
import pickle

import ndbridge as nd
import numpy as np
import pytest

from on_gpu import DTYPES, bits, on_host


def test_dev_1_numpy_names_the_call_that_copies():
    there = on_host("float32").cuda()
    for share in (there.numpy, lambda: np.asarray(there), lambda: memoryview(there)):
        with pytest.raises(Exception, match=r"cpu\(\)"):
            share()
    assert not hasattr(there, "__array_interface__")


def test_dev_1_numpy_by_force_copies():
    host = on_host("float32")
    there = host.cuda()
    forced = there.numpy(force=True)
    np.testing.assert_array_equal(forced, host.numpy())
    forced[...] = 0
    assert bits(there) == bits(host)
    assert host.numpy(force=True).ctypes.data == host.data_ptr()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_tensor_there_prints_its_elements(dtype):
    host = on_host(dtype, (2, 3))
    there = host.cuda()
    assert "cuda:0" in repr(there)
    assert repr(host).split("]")[0] == repr(there).split("]")[0]


def test_numbers_come_out():
    host = on_host("float64", (2, 3))
    there = host.cuda()
    assert there.tolist() == host.tolist()
    assert there[1, 2].item() == float(there[1, 2]) == host[1, 2].item()
    assert [row.tolist() for row in there] == host.tolist()
    with pytest.raises(TypeError, match=r"cpu\(\)"):
        there == host  # noqa: B015
    assert there.cpu() == host


def test_copies_of_the_object_are_on_the_device_and_a_pickle_is_on_the_host():
    host = on_host("int32")
    there = host.cuda()
    assert copy.copy(there).data_ptr() == there.data_ptr()
    deep = copy.deepcopy(there)
    assert deep.device == "cuda:0" and deep.data_ptr() != there.data_ptr()
    assert bits(deep) == bits(host)
    try:
        pickled = pickle.dumps(there)
    except (BufferError, TypeError, ValueError) as error:
        assert "cpu()" in str(error)
    else:
        assert bits(pickle.loads(pickled)) == bits(host)
