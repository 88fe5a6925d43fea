"""The protocols of arrays: what a tensor says in them, who frees what, and when."""

import ctypes
import gc
import itertools
import threading
import weakref

import ndbridge as nd
import numpy as np
import pytest

import capsules
from capsules import CPU, CUDA, IS_COPIED, LEGACY, READ_ONLY, VERSIONED, Lent
from conftest import Watched, address, is_collected, run_python, same_bits, zoo
from frameworks import (
    DTYPES, NUMPY_DTYPES, aligned_array, jnp, numpy_dtype, on_memory, pointer, torch,
)  # fmt: skip

#: Said nothing of an argument.
ABSENT = object()


def watched(values=(1.0, 2.0, 3.0)):
    return np.asarray(values).copy().view(Watched)


def locked(array):
    array.flags.writeable = False
    return array


def keywords(**options):
    return {name: value for name, value in options.items() if value is not ABSENT}


# ---- what a capsule says -------------------------------------------------------------------------

ACCESS = {
    "writable": lambda: nd.from_numpy(np.arange(6.0).reshape(2, 3)),
    "private": lambda: nd.tensor(np.arange(6.0).reshape(2, 3)),
    "read-only": lambda: nd.from_numpy(locked(np.arange(6.0).reshape(2, 3))),
    "constant": lambda: nd.constant(np.arange(6.0).reshape(2, 3)),
    "unknown": lambda: nd.from_dlpack(Lent(np.arange(6.0).reshape(2, 3))),
}


@pytest.mark.parametrize("access", ACCESS)
@pytest.mark.parametrize("max_version", [ABSENT, None, (0, 8), (1, 0), (1, 3), (7, 0)], ids=str)
@pytest.mark.parametrize("copy", [ABSENT, None, True, False], ids=str)
def test_mut_2_a_capsule_says_what_it_holds(access, max_version, copy):
    t = ACCESS[access]()
    is_versioned = max_version not in (ABSENT, None) and max_version[0] >= 1
    is_kept = access in ("read-only", "constant") and copy is not True
    for dl_device, stream in itertools.product((ABSENT, None, CPU), (ABSENT, None)):
        options = keywords(max_version=max_version, copy=copy, dl_device=dl_device, stream=stream)
        if is_kept and not is_versioned:
            with pytest.raises(BufferError, match="read-only"):
                t.__dlpack__(**options)
            continue
        before = nd.copies().bytes
        capsule = t.__dlpack__(**options)
        assert nd.copies().bytes - before == (48 if copy is True else 0)
        assert capsules.name_of(capsule) == (VERSIONED if is_versioned else LEGACY)
        managed = capsules.managed_of(capsule)
        header = capsules.header_of(managed.dl_tensor)
        assert (header["data"] == t.data_ptr()) == (copy is not True)
        assert managed.dl_tensor.byte_offset == 0
        assert (header["shape"], header["strides"]) == ((2, 3), (3, 1))
        assert (header["device"], header["dtype"]) == (CPU, (capsules.FLOAT, 64, 1))
        if is_versioned:
            assert managed.major == 1
            # What may not be written, or may be memory that may not.
            is_locked = copy is not True and access in ("read-only", "constant", "unknown")
            flags = (READ_ONLY if is_locked else 0) | (IS_COPIED if copy is True else 0)
            assert managed.flags == flags


@pytest.mark.parametrize("access", ACCESS)
def test_another_device_or_stream_is_refused(access):
    t = ACCESS[access]()
    assert t.__dlpack_device__() == CPU
    for dl_device in (CUDA, (2, 1), (3, 0), (1, 1), (99, 0)):
        for max_version, copy in itertools.product((ABSENT, (1, 0)), (ABSENT, True, False)):
            with pytest.raises(BufferError, match="device"):
                t.__dlpack__(**keywords(max_version=max_version, copy=copy, dl_device=dl_device))
    for stream in (0, 1, 2, -1, 12345, "x"):
        with pytest.raises((ValueError, BufferError, TypeError), match="stream"):
            t.__dlpack__(stream=stream, max_version=(1, 0))


def test_dty_1_arguments_of_other_kinds_are_type_errors():
    t = nd.zeros(3)
    for options in (
        {"max_version": "1"},
        {"max_version": (1,)},
        {"max_version": 1},
        {"dl_device": 1},
        {"dl_device": "cpu"},
        {"copy": "yes"},
        {"wait": True},
    ):
        with pytest.raises((TypeError, ValueError)):
            t.__dlpack__(**options)
    with pytest.raises(TypeError):
        t.__dlpack__(None)
    for version in ((-1, 0), (2**40, 0)):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            t.__dlpack__(max_version=version)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dty_1_every_data_type_has_its_code(dtype):
    t = nd.zeros((2, 3), dtype)
    for max_version in (None, (1, 0)):
        capsule = t.__dlpack__(max_version=max_version)
        header = capsules.header_of(capsules.managed_of(capsule).dl_tensor)
        assert header["dtype"] == capsules.dlpack_dtype(numpy_dtype(dtype))
    back = nd.from_dlpack(Lent(t.numpy(), version=(1, 0)))
    assert (str(back.dtype), back.data_ptr()) == (dtype, t.data_ptr())


@pytest.mark.parametrize("dtype", ["float64", "uint8", "complex128"])
def test_shr_1_every_layout_is_described_as_it_is(dtype):
    for layout, a in zoo(dtype).items():
        t = nd.from_numpy(a)
        walked = [axis for axis, length in enumerate(a.shape) if length > 1 and a.size]
        has_odd_strides = any(a.strides[axis] % a.itemsize for axis in walked)
        if has_odd_strides or a.size and address(a) % a.itemsize:
            reason = "multiple" if has_odd_strides else "aligned"
            with pytest.raises(BufferError, match=rf"{reason}.*clone\(\)"):
                t.__dlpack__(max_version=(1, 0))
            t = t.clone()
            a = t.numpy()
        capsule = t.__dlpack__(max_version=(1, 0))
        tensor = capsules.managed_of(capsule).dl_tensor
        header = capsules.header_of(tensor)
        assert header["shape"] == a.shape, layout
        assert header["data"] == (address(a) if a.size else 0), layout
        assert bool(tensor.strides) or a.ndim == 0, layout
        for axis in walked:
            assert header["strides"][axis] * a.itemsize == a.strides[axis], layout
        back = nd.from_dlpack(capsule)
        assert same_bits(back.numpy(), a), layout
        assert same_bits(np.from_dlpack(t), a), layout


# ---- capsules are used once ----------------------------------------------------------------------


def capsule_of(t, is_versioned):
    return t.__dlpack__(max_version=(1, 0) if is_versioned else None)


CONSUMERS = {"ndbridge": nd.from_dlpack, "torch": torch.from_dlpack}


@pytest.mark.parametrize("is_versioned", [False, True])
@pytest.mark.parametrize("first", CONSUMERS)
def test_own_2_a_capsule_is_consumed_once(first, is_versioned):
    a = watched()
    alive = weakref.ref(a)
    t = nd.from_numpy(a)
    capsule = capsule_of(t, is_versioned)
    taken = CONSUMERS[first](capsule)
    assert capsules.name_of(capsule).startswith(b"used_")
    with pytest.raises(BufferError, match="used"):
        nd.from_dlpack(capsule)
    with pytest.raises(RuntimeError):
        torch.from_dlpack(capsule)
    del a, t
    assert taken.tolist() == [1, 2, 3] and not is_collected(alive)
    del capsule
    assert taken.tolist() == [1, 2, 3] and not is_collected(alive)
    del taken
    # torch frees without the GIL: what is to be let go with it waits for the next call.
    nd.zeros(1)
    assert is_collected(alive)


@pytest.mark.parametrize("options", [{}, {"max_version": (1, 0)}, {"copy": True}])
def test_own_2_a_capsule_that_nobody_takes_frees_once(options):
    a = watched()
    alive = weakref.ref(a)
    t = nd.from_numpy(a)
    dropped = [t.__dlpack__(**options) for _ in range(10)]
    del a, t
    assert is_collected(alive) == ("copy" in options)
    del dropped
    assert is_collected(alive)


@pytest.mark.parametrize("is_versioned", [False, True])
def test_own_2_the_error_on_its_way_is_not_lost_when_a_capsule_is_dropped(is_versioned):
    def fails():
        capsule = capsule_of(nd.from_numpy(watched()), is_versioned)
        assert capsule
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fails()


@pytest.mark.parametrize("version", [None, (1, 0), (1, 1), (1, 3)])
def test_own_2_what_others_lend_is_deleted_once(version):
    for take in (
        nd.from_dlpack,
        lambda x: nd.from_dlpack(x.capsule()),
        lambda x: nd.asarray(x, copy=False),
        nd.tensor,
        lambda x: nd.from_dlpack(x, copy=True),
        lambda x: nd.zeros((4,)).copy_(x),
        lambda x: nd.array_equal(x, [1]),
        lambda x: nd.shares_memory(x, np.zeros(1)),
        nd.plan,
    ):
        lent = Lent(np.arange(4.0), version=version)
        alive = weakref.ref(lent)
        t = take(lent)
        if getattr(t, "receipt", None) and t.receipt.call != "zeros" and t.receipt.shared:
            assert lent.deletions == 0 and t.data_ptr() == pointer(lent.array)
            view = t[1:]
            del t
            assert lent.deletions == 0 and view.tolist() == [1, 2, 3]
            del view
        t = None
        gc.collect()
        made = lent.made
        lent.drop_capsules()
        assert lent.deletions == made
        del lent
        assert is_collected(alive)


def test_mut_2_versioned_capsules_are_believed():
    for flags, is_locked in ((0, False), (READ_ONLY, True), (IS_COPIED, False), (3, True)):
        t = nd.from_dlpack(Lent(np.arange(3.0), version=(1, 0), flags=flags))
        assert t.readonly == is_locked
        assert t.numpy().flags.writeable != is_locked
    # Nobody says whether this may be written: it is not, and leaves as it came.
    a = np.arange(3.0)
    t = nd.from_dlpack(Lent(a))
    with pytest.raises(ValueError, match="writable|read-only"):
        t.fill_(3)
    assert not t.numpy().flags.writeable and memoryview(t).readonly
    assert capsules.name_of(t.__dlpack__()) == LEGACY
    managed = capsules.managed_of(capsule := t.__dlpack__(max_version=(1, 0)))
    assert managed.flags == READ_ONLY and capsule
    with pytest.raises(ValueError, match="writable|read-only"):
        t[1:].copy_([1, 2])
    t.clone().fill_(3)
    assert a.tolist() == [0, 1, 2]


# ---- deleters on other threads -------------------------------------------------------------------

libc = ctypes.CDLL(None)
LETS_THE_GIL_GO = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def on_a_thread_without_python(function, argument):
    """Calls a C function on a thread that Python has never seen, which has no GIL."""
    thread = ctypes.c_ulong()
    start = ctypes.c_void_p(function), ctypes.c_void_p(argument)
    assert libc.pthread_create(ctypes.byref(thread), None, *start) == 0
    assert libc.pthread_join(thread, None) == 0


def call_deleter(managed):
    LETS_THE_GIL_GO(managed.deleter)(ctypes.addressof(managed))


@pytest.mark.parametrize("is_versioned", [False, True])
@pytest.mark.parametrize("where", ["here", "a Python thread", "a thread of C"])
def test_own_1_a_deleter_runs_on_any_thread_without_the_gil(where, is_versioned):
    a = watched(np.arange(1000.0))
    alive = weakref.ref(a)
    capsule = capsule_of(nd.from_numpy(a)[::2], is_versioned)
    managed = capsules.consume(capsule)
    # Everything else is gone.
    del a, capsule
    assert not is_collected(alive)
    header = capsules.header_of(managed.dl_tensor)
    seen = on_memory(header["data"], header["shape"], [16], "f8")
    assert seen.sum() == np.arange(0, 1000, 2).sum()
    if where == "here":
        call_deleter(managed)
    elif where == "a Python thread":
        thread = threading.Thread(target=call_deleter, args=(managed,))
        thread.start()
        thread.join()
    else:
        on_a_thread_without_python(managed.deleter, ctypes.addressof(managed))
    nd.zeros(1)
    assert is_collected(alive)


class DeletesWithoutGil:
    """Calls a deleter without the GIL when it dies."""

    def __init__(self, managed):
        self.managed = managed

    def __del__(self):
        call_deleter(self.managed)


def test_own_2_a_deleter_runs_without_the_gil_inside_a_call_of_ours():
    # As JAX does it, which lets the GIL go while it frees an array.
    script = """
import sys
sys.path[:0] = {path!r}
import gc, weakref
import ndbridge as nd
from test_interchange import *
alive = []
for work in (lambda t: None, lambda t: t.fill_(3), lambda t: nd.tensor([t, t])):
    for _ in range(20):
        a = watched(np.zeros(100))
        a.more = [object() for _ in range(100)]
        alive.append(weakref.ref(a))
        capsule = nd.from_numpy(a).__dlpack__()
        holder = watched()
        holder.deletes = DeletesWithoutGil(capsules.consume(capsule))
        t = nd.from_numpy(holder)
        del a, capsule, holder
        work(t)
        del t
nd.zeros(1)
gc.collect()
assert not any(array() for array in alive)
"""
    run_python(script.format(path=[path for path in __import__("sys").path if "tests" in path]))


def test_own_2_jax_and_ndbridge_hold_each_other():
    for dtype in ("float32", "bfloat16") * 3:
        a = aligned_array((16,), numpy_dtype(dtype)).view(Watched)
        alive = weakref.ref(a)
        x = nd.from_numpy(a).jax()
        y = nd.from_dlpack(x)
        z = nd.from_dlpack(y.jax()).numpy()
        del a, x, y
        assert z.shape == (16,) and not is_collected(alive)
        del z
        jnp.zeros(3).block_until_ready()
        assert is_collected(alive)


# ---- the array API's meaning ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_shr_3_from_dlpack_and_asarray_mean_what_the_array_api_says(dtype):
    a = zoo(dtype)["C"]
    for x in (a, torch.from_numpy(a), nd.from_numpy(a)):
        for call in (nd.from_dlpack, nd.asarray):
            for must_copy in (None, False, True):
                y = call(x, copy=must_copy)
                np.testing.assert_array_equal(np.from_dlpack(y), a)
                assert np.shares_memory(np.from_dlpack(y), a) == (must_copy is not True)
                assert y.shape == a.shape and y.device == "cpu"
    with pytest.raises(ValueError, match="copy"):
        nd.asarray([1, 2, 3], copy=False)
    with pytest.raises(ValueError):
        nd.asarray(a, dtype="complex128" if dtype != "complex128" else "complex64", copy=False)


def test_dty_1_array_interfaces_say_what_they_hold():
    for layout, a in zoo("float32").items():
        t = nd.from_numpy(a)
        interface = t.__array_interface__
        assert interface["typestr"] == "<f4" and interface["shape"] == a.shape, layout
        assert interface["data"] == (address(a), not a.flags.writeable), layout
        assert interface.get("strides") in (None, a.strides), layout
        assert interface["version"] == 3
    for t in (nd.zeros(3), nd.constant([1])):
        assert not hasattr(t, "__cuda_array_interface__")
    assert not hasattr(nd.zeros(3, "bfloat16"), "__array_interface__")
