"""Protocols without a library: `__cuda_array_interface__` by hand, `__dlpack__` and its streams."""

import ndbridge as nd
import numpy as np
import pytest

from on_gpu import bits, on_host, used_bytes


class Interface:
    """Whatever it is told to be."""

    def __init__(self, owner=None, **entries):
        self.owner = owner
        self.__cuda_array_interface__ = entries


def honest(tensor, **changes):
    entries = {
        "shape": tensor.shape,
        "typestr": "<f4",
        "data": (tensor.data_ptr(), False),
        "strides": tensor.strides,
        "version": 3,
    }
    return Interface(tensor, **{**entries, **changes})


def test_an_honest_dictionary_is_shared():
    there = on_host("float32").cuda()
    for stream in (None, 1, 2, nd.cuda.current_stream().handle):
        taken = nd.asarray(honest(there, stream=stream), copy=False)
        assert taken.data_ptr() == there.data_ptr()
        assert bits(taken) == bits(there)
    view = there[::2, 1:]
    taken = nd.asarray(honest(view))
    assert (taken.data_ptr(), taken.strides) == (view.data_ptr(), view.strides)
    assert bits(taken) == bits(view)
    assert nd.asarray(honest(there, data=(there.data_ptr(), True))).readonly


def lies():
    elsewhere = np.zeros(4096, np.float32)
    return {
        "no memory": {"data": (0xDEAD_0000_0000, False)},
        "null": {"data": (0, False)},
        "host memory": {"data": (elsewhere.ctypes.data, False), "owner": elsewhere},
        "too long": {"shape": (1 << 40,), "strides": None},
        "before the start": {"shape": (1 << 40,), "strides": (-4,)},
        "the default stream's old name": {"stream": 0},
        "other byte order": {"typestr": ">f4"},
        "no type": {"typestr": "|V4"},
        "a mask": {"mask": np.zeros(4)},
        "too few strides": {"strides": (4,)},
    }


@pytest.mark.parametrize("lie", lies())
def test_a_lie_is_refused(lie):
    there = on_host("float32").cuda()
    entries = lies()[lie]
    entries.pop("owner", None)
    with pytest.raises((BufferError, TypeError, ValueError)):
        nd.asarray(honest(there, **entries))
    assert bits(there) == bits(on_host("float32"))


def test_the_dictionary_of_a_tensor_says_what_it_is():
    there = on_host("float32").cuda()
    interface = there.__cuda_array_interface__
    assert interface["version"] == 3
    assert (interface["shape"], interface["typestr"]) == ((6, 8, 4), "<f4")
    assert interface["data"] == (there.data_ptr(), False)
    assert interface["strides"] is None
    assert interface["stream"] not in (0, None)
    view = there[:, ::2]
    assert view.__cuda_array_interface__["strides"] == view.strides
    assert there[:0].__cuda_array_interface__["data"][0] == 0
    with pytest.raises(AttributeError):
        on_host("float32").__cuda_array_interface__
    with pytest.raises(AttributeError):
        on_host("bfloat16").cuda().__cuda_array_interface__


def test_a_capsule_is_given_for_every_name_of_a_stream():
    there = on_host("float32").cuda()
    own = nd.cuda.Stream()
    for stream in (None, -1, 1, 2, own.handle, nd.cuda.current_stream().handle):
        for max_version in (None, (1, 0)):
            capsule = there.__dlpack__(stream=stream, max_version=max_version)
            taken = nd.from_dlpack(capsule)
            assert taken.data_ptr() == there.data_ptr(), stream
    assert there.__dlpack_device__() == (2, 0)
    assert bits(taken) == bits(there)


def test_no_stream_and_what_is_none_are_refused():
    there = on_host("float32").cuda()
    for stream in (0, -2):
        with pytest.raises(ValueError):
            there.__dlpack__(stream=stream)
    with pytest.raises(ValueError):
        on_host("float32").__dlpack__(stream=1)
    with pytest.raises(ValueError):
        nd.cuda.Stream.external(0)


def test_a_capsule_for_the_host_is_a_copy():
    there = on_host("float32").cuda()
    capsule = there.__dlpack__(dl_device=(1, 0))
    assert bits(nd.from_dlpack(capsule)) == bits(there)
    with pytest.raises(BufferError):
        there.__dlpack__(dl_device=(1, 0), copy=False)


def test_own_2_a_capsule_that_nobody_takes_frees_its_memory():
    before = used_bytes()
    there = on_host("float32", (1 << 16,)).cuda()
    capsules = [there.__dlpack__(), there.__dlpack__(stream=2, max_version=(1, 0))]
    del there
    assert used_bytes() > before
    del capsules
    assert used_bytes() == before
