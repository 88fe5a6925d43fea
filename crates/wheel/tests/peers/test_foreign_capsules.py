"""Capsules and producers as others make them: malformed, unusual, old."""

import ctypes

import ndbridge as nd
import numpy as np
import pytest

import capsules
from capsules import CPU, CUDA, Lent
from frameworks import pointer, torch

MALFORMED = {
    "another major version": dict(version=(2, 0)),
    "another major version, and nothing else right": dict(
        version=(9, 9), ndim=-5, shape=None, data=None
    ),
    "version 0 in a versioned structure": dict(version=(0, 8)),
    "no data": dict(data=None),
    "no shape": dict(shape=None),
    "no shape of two axes": dict(shape=None, ndim=2),
    "negative length": dict(shape=(-4,)),
    "one negative length of two": dict(shape=(4, -1), strides=(1, 1), ndim=2),
    "two negative lengths": dict(shape=(-2, -2), strides=(2, 1), ndim=2),
    "negative number of axes": dict(ndim=-1),
    "least number of axes": dict(ndim=-(2**31)),
    "millions of axes": dict(ndim=2**24),
    "most axes": dict(ndim=2**31 - 1),
    "a vector of 4 lanes": dict(dtype=(2, 64, 4)),
    "no lanes": dict(dtype=(2, 64, 0)),
    "unknown code": dict(dtype=(99, 64, 1)),
    "opaque": dict(dtype=(3, 64, 1)),
    "4 bits": dict(dtype=(0, 4, 1)),
    "packed float4": dict(dtype=(17, 4, 2)),
    "no bits": dict(dtype=(2, 0, 1)),
    "80 bits": dict(dtype=(2, 80, 1)),
    "float of 8 bits": dict(dtype=(2, 8, 1)),
    "bool of 1 bit": dict(dtype=(6, 1, 1)),
    "more elements than addresses": dict(shape=(2**40, 2**40), strides=(2**40, 1), ndim=2),
    "more bytes than addresses": dict(shape=(2**61,)),
    "longest axis": dict(shape=(2**63 - 1,)),
    "a stride that overflows": dict(shape=(4,), strides=(2**61,)),
    "the most negative stride": dict(shape=(4,), strides=(-(2**63),)),
    "strides that overflow together": dict(shape=(4, 4), strides=(2**60, 2**60), ndim=2),
    "an offset past the end of memory": dict(byte_offset=2**64 - 1),
    "a device of no kind": dict(device=(99, 0)),
    "a negative device": dict(device=(-1, 0)),
    "memory on CUDA": dict(device=(2, 0)),
    "no strides where they are demanded": dict(strides=None, version=(1, 2)),
    "no strides of two axes where they are demanded": dict(
        strides=None, shape=(2, 2), ndim=2, version=(1, 3)
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("version", [None, (1, 0), (1, 3)], ids=str)
def test_own_2_malformed_capsules_are_errors_and_deleted_once(name, version):
    header = dict(MALFORMED[name])
    version = header.pop("version", version)
    takings = {
        "from_dlpack": nd.from_dlpack,
        "the bare capsule": lambda x: nd.from_dlpack(x.capsule()),
        "copy": lambda x: nd.from_dlpack(x, copy=True),
        "asarray": nd.asarray,
        "share": lambda x: nd.asarray(x, copy=False),
        "tensor": nd.tensor,
        "plan": nd.plan,
        "copy_": lambda x: nd.zeros(4).copy_(x),
    }
    for call, take in takings.items():
        lent = Lent(np.arange(4.0), version=version, **header)
        with pytest.raises((BufferError, TypeError, ValueError)) as error:
            take(lent)
        assert str(error.value), call
        made = lent.made
        lent.drop_capsules()
        # A device is asked for before a capsule is.
        assert lent.deletions == made and (made == 1 or "device" in header), call


WELL_FORMED = {
    "no strides": (dict(strides=None, version=(1, 1)), [0, 1, 2, 3]),
    "no strides in the old form": (dict(strides=None), [0, 1, 2, 3]),
    "no strides of two axes": (dict(strides=None, shape=(2, 2), ndim=2), [[0, 1], [2, 3]]),
    "an offset": (dict(byte_offset=8, shape=(3,)), [1, 2, 3]),
    "no data of no elements": (dict(data=None, shape=(0,)), []),
    "no data of no elements, and an offset": (dict(data=None, shape=(0,), byte_offset=8), []),
    "rank 0 without shape": (dict(ndim=0, shape=None, strides=None, version=(1, 3)), 0.0),
    "rank 0 with a shape": (dict(ndim=0, version=(1, 0)), 0.0),
    "broadcast": (dict(shape=(2, 2), strides=(0, 1), ndim=2), [[0, 1], [0, 1]]),
    "any stride of one element": (dict(shape=(1,), strides=(2**62,)), [0]),
    "any strides of no elements": (dict(shape=(0, 3), strides=(-7, 2**50), ndim=2), []),
    "a newer minor version": (dict(version=(1, 99)), [0, 1, 2, 3]),
    "unknown flags": (dict(version=(1, 0), flags=0xFF00), [0, 1, 2, 3]),
    "pinned host memory": (dict(device=(3, 0)), [0, 1, 2, 3]),
}


@pytest.mark.parametrize("name", WELL_FORMED)
def test_shr_1_unusual_capsules_are_shared(name):
    header, values = WELL_FORMED[name]
    lent = Lent(np.arange(4.0), **header)
    t = nd.from_dlpack(lent)
    assert t.tolist() == values
    assert t.receipt.shared
    if t.size:
        assert lent.deletions == 0
        assert t.data_ptr() == pointer(lent.array) + header.get("byte_offset", 0)
    del t
    assert lent.deletions == lent.made == 1


def test_own_2_a_capsule_without_a_deleter_is_taken():
    lent = Lent(np.arange(3.0), version=(1, 0))
    capsule = lent.capsule()
    capsules.managed_of(capsule).deleter = None
    t = nd.from_dlpack(capsule)
    assert t.tolist() == [0, 1, 2]
    del t, capsule
    lent.forget()


class Producer:
    """Whatever a producer may do."""

    def __init__(self, dlpack, device=lambda: CPU):
        self.dlpack, self.device = dlpack, device

    def __dlpack__(self, **options):
        return self.dlpack(**options)

    def __dlpack_device__(self):
        return self.device()


def raises(error):
    def call(**_):
        raise error

    return call


def named(name):
    """A capsule of another name, over memory that lives for good."""
    return capsules._api.PyCapsule_New(ctypes.addressof(_SOMETHING), name, None)


_SOMETHING = (ctypes.c_uint8 * 256)()

BAD_PRODUCERS = {
    "no capsule": Producer(lambda **_: None),
    "a tensor instead of a capsule": Producer(lambda **_: nd.zeros(3)),
    "itself": Producer(lambda **_: BAD_PRODUCERS["itself"]),
    "a capsule of another name": Producer(lambda **_: named(b"other")),
    "a capsule without a name": Producer(lambda **_: named(None)),
    "a used capsule": Producer(lambda **_: named(b"used_dltensor")),
    "a capsule of CUDA": Producer(lambda **_: None, lambda: CUDA),
    "no device": Producer(lambda **_: None, lambda: None),
    "a device of one number": Producer(lambda **_: None, lambda: (1,)),
    "a device of words": Producer(lambda **_: None, lambda: ("cpu", 0)),
}


@pytest.mark.parametrize("name", BAD_PRODUCERS)
def test_dty_1_producers_that_give_no_capsule_are_errors(name):
    for take in (nd.from_dlpack, nd.asarray, nd.tensor, lambda x: nd.asarray(x, copy=False)):
        with pytest.raises((TypeError, BufferError, ValueError)):
            take(BAD_PRODUCERS[name])
    for capsule in (named(b"other"), named(None), named(b"used_dltensor")):
        with pytest.raises(BufferError, match="capsule"):
            nd.from_dlpack(capsule)


@pytest.mark.parametrize("error", [BufferError, ValueError, KeyError, RuntimeError, MemoryError])
def test_own_2_what_a_producer_raises_is_passed_on(error):
    for x in (Producer(raises(error("mine"))), Producer(None, raises(error("mine")))):
        with pytest.raises(error, match="mine"):
            nd.from_dlpack(x)


class Old:
    """A producer from before version 1: it knows no keyword but `stream`."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return CPU


class Oldest(Old):
    def __dlpack__(self):
        return self.array.__dlpack__()


class Newest(Old):
    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        assert max_version is not None and max_version >= (1, 0)
        assert stream is None and dl_device in (None, CPU) and copy in (None, False)
        return self.array.__dlpack__(max_version=max_version)


@pytest.mark.parametrize("kind", [Old, Oldest, Newest])
def test_shr_1_producers_of_every_age_are_understood(kind):
    a = np.arange(3.0)
    t = nd.from_dlpack(kind(a))
    assert (t.data_ptr(), t.tolist()) == (pointer(a), [0, 1, 2])
    # Only the newest can say that it may be written.
    assert t.numpy().flags.writeable == (kind is Newest)
    assert nd.from_dlpack(kind(a), copy=True).numpy().flags.writeable


def test_from_dlpack_knows_the_host_only():
    x = torch.arange(3.0)
    for device in (None, "cpu"):
        assert nd.from_dlpack(x, device=device).data_ptr() == x.data_ptr()
    for device in ("cuda", "cuda:0", "tpu"):
        for copy in (None, True, False):
            with pytest.raises((ValueError, TypeError, BufferError), match=device):
                nd.from_dlpack(x, device=device, copy=copy)
