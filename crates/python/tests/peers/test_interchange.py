"""The protocols themselves: what capsules, tables and pickles say, who frees what, and when."""

import contextlib
import copy
import ctypes
import gc
import itertools
import pickle
import threading
import weakref

import ml_dtypes
import ndbridge as nd
import numpy as np
import pytest

import capsules
from capsules import CPU, CUDA, IS_COPIED, LEGACY, READ_ONLY, VERSIONED, Lent
from conftest import Watched, address, copied_bytes, is_collected, run_python, same_bits, zoo
from frameworks import (
    DTYPES, NUMPY_DTYPES, aligned_array, jnp, numpy_dtype, on_memory, pointer, tf, torch,
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


# ---- __dlpack__ --------------------------------------------------------------------------------

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
        options = keywords(
            max_version=max_version, copy=copy, dl_device=dl_device, stream=stream
        )
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
def test_dev_1_another_device_or_stream_is_refused(access):
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
        if any(a.strides[axis] % a.itemsize for axis in walked):
            with pytest.raises(BufferError, match=r"multiple.*clone\(\)"):
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


# ---- capsules are used once --------------------------------------------------------------------


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


# ---- deleters on other threads -----------------------------------------------------------------

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


# ---- the table of C functions ------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    capsule = nd.Tensor.__dlpack_c_exchange_api__
    assert capsules.name_of(capsule) == capsules.EXCHANGE_API
    return capsules.ExchangeAPI.from_address(capsules.pointer_of(capsule))


def function(kind, address):
    assert address
    return kind(address)


def from_py(table, t):
    out = ctypes.c_void_p()
    call = function(capsules.FROM_PY, table.managed_tensor_from_py_object_no_sync)
    assert call(t, ctypes.byref(out)) == 0
    return capsules.DLManagedTensorVersioned.from_address(out.value)


def to_py(table, managed):
    out = ctypes.c_void_p()
    call = function(capsules.TO_PY, table.managed_tensor_to_py_object_no_sync)
    assert call(ctypes.addressof(managed), ctypes.byref(out)) == 0
    taken = ctypes.cast(out, ctypes.py_object).value
    # The reference that came is ours, besides the one that ctypes took.
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(taken))
    return taken


def test_shr_1_the_table_is_whole_and_stays(table):
    assert (table.major, table.prev_api) == (1, None)
    for name, _ in capsules.ExchangeAPI._fields_[3:]:
        assert getattr(table, name), name
    again = capsules.pointer_of(nd.Tensor.__dlpack_c_exchange_api__)
    assert again == ctypes.addressof(table)
    assert capsules.pointer_of(nd.zeros(1).__dlpack_c_exchange_api__) == again


@pytest.mark.parametrize("access", ACCESS)
def test_mut_2_the_table_s_managed_tensors_say_what_they_hold(table, access):
    t = ACCESS[access]()
    managed = from_py(table, t)
    assert managed.major == 1
    assert managed.flags == (0 if access in ("writable", "private") else READ_ONLY)
    header = capsules.header_of(managed.dl_tensor)
    assert (header["data"], header["shape"]) == (t.data_ptr(), (2, 3))
    back = to_py(table, managed)
    assert type(back) is nd.Tensor and back.data_ptr() == t.data_ptr()
    assert back.readonly == (access not in ("writable", "private"))
    assert back.tolist() == t.tolist()


def test_own_2_the_table_s_tensors_are_freed_once(table):
    a = watched()
    alive = weakref.ref(a)
    managed = from_py(table, nd.from_numpy(a))
    del a
    assert not is_collected(alive)
    capsules.delete(managed)
    assert is_collected(alive)

    lent = Lent(np.arange(4.0), version=(1, 3))
    managed = capsules.consume(lent.capsule())
    taken = to_py(table, managed)
    assert taken.tolist() == [0, 1, 2, 3] and lent.deletions == 0
    del taken
    assert lent.deletions == 1


def test_mut_2_a_bare_dltensor_cannot_say_read_only(table):
    call = function(capsules.DLTENSOR_FROM_PY, table.dltensor_from_py_object_no_sync)
    out = capsules.DLTensor()
    for access in ("writable", "private"):
        t = ACCESS[access]()
        assert call(t, ctypes.byref(out)) == 0
        header = capsules.header_of(out)
        assert (header["data"], header["shape"], header["strides"]) == (
            t.data_ptr(), (2, 3), (3, 1)
        )  # fmt: skip
    for access in ("read-only", "constant", "unknown"):
        t = ACCESS[access]()
        with pytest.raises(BufferError, match="read-only|writable"):
            call(t, ctypes.byref(out))


def test_dty_1_the_table_s_functions_refuse_other_objects(table):
    out, tensor = ctypes.c_void_p(), capsules.DLTensor()
    managed = function(capsules.FROM_PY, table.managed_tensor_from_py_object_no_sync)
    bare = function(capsules.DLTENSOR_FROM_PY, table.dltensor_from_py_object_no_sync)
    for other in (None, 3, np.zeros(3), torch.zeros(3), nd.Tensor, object()):
        with pytest.raises(TypeError):
            managed(other, ctypes.byref(out))
        with pytest.raises(TypeError):
            bare(other, ctypes.byref(tensor))
    odd = np.zeros(3, [("a", "u1"), ("x", "f8")])["x"]
    with pytest.raises(BufferError, match="multiple"):
        managed(nd.from_numpy(odd), ctypes.byref(out))
    with pytest.raises(BufferError, match="multiple"):
        bare(nd.from_numpy(odd), ctypes.byref(tensor))


def allocate(table, shape, dtype, device=CPU):
    errors = []
    set_error = capsules.SET_ERROR(lambda _, kind, text: errors.append((kind, text)))
    lengths = (ctypes.c_int64 * max(len(shape), 1))(*shape)
    prototype = capsules.DLTensor(
        None, capsules.DLDevice(*device), len(shape), capsules.DLDataType(*dtype), lengths, None, 0
    )
    out = ctypes.c_void_p()
    call = function(capsules.ALLOCATE, table.managed_tensor_allocator)
    code = call(ctypes.byref(prototype), ctypes.byref(out), None, set_error)
    assert (code == 0) == (not errors)
    if code:
        return errors
    return capsules.DLManagedTensorVersioned.from_address(out.value)


def test_shr_7_the_table_allocates_memory_fit_for_all(table):
    for shape, dtype in (((2, 3), "float32"), ((), "bool"), ((0, 3), "bfloat16"), ((5,), "int8")):
        managed = allocate(table, shape, capsules.dlpack_dtype(numpy_dtype(dtype)))
        header = capsules.header_of(managed.dl_tensor)
        assert header["shape"] == shape and header["data"] % 64 == 0
        t = to_py(table, managed)
        assert (t.shape, str(t.dtype), t.readonly) == (shape, dtype, False)
        t.fill_(1)
    for shape, dtype, device in (
        ((2,), (99, 32, 1), CPU),
        ((2,), (2, 32, 4), CPU),
        ((-1,), (2, 32, 1), CPU),
        ((2**40, 2**40), (2, 32, 1), CPU),
        ((2,), (2, 32, 1), CUDA),
    ):
        errors = allocate(table, shape, dtype, device)
        assert isinstance(errors, list), (shape, dtype, device)
        [(kind, text)] = errors
        assert kind and text


def test_dev_2_host_memory_has_no_stream(table):
    call = function(capsules.STREAM, table.current_work_stream)
    out = ctypes.c_void_p(1)
    assert call(*CPU, ctypes.byref(out)) == 0
    assert out.value is None
    with pytest.raises(BufferError):
        call(*CUDA, ctypes.byref(out))


def test_own_2_malformed_tensors_given_to_the_table_are_deleted(table):
    call = function(capsules.TO_PY, table.managed_tensor_to_py_object_no_sync)
    for header in (dict(ndim=-1), dict(dtype=(99, 32, 1)), dict(data=None), dict(shape=(-1,))):
        lent = Lent(np.arange(3.0), version=(1, 3), **header)
        managed = capsules.consume(lent.capsule())
        out = ctypes.c_void_p()
        with pytest.raises((BufferError, TypeError, ValueError)):
            call(ctypes.addressof(managed), ctypes.byref(out))
        assert lent.deletions == 1, header


# ---- malformed capsules ------------------------------------------------------------------------

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


def test_dev_1_from_dlpack_knows_the_host_only():
    x = torch.arange(3.0)
    for device in (None, "cpu"):
        assert nd.from_dlpack(x, device=device).data_ptr() == x.data_ptr()
    for device in ("cuda", "cuda:0", "tpu"):
        for copy in (None, True, False):
            with pytest.raises((ValueError, TypeError, BufferError), match=device):
                nd.from_dlpack(x, device=device, copy=copy)


# ---- pickle ------------------------------------------------------------------------------------


def pickled(dtype):
    """Tensors of many layouts, and whether each may be written."""
    for layout, a in zoo(numpy_dtype(dtype)).items() if dtype in NUMPY_DTYPES else small(dtype):
        yield layout, nd.from_numpy(a)
        yield f"{layout}, locked", nd.from_numpy(locked(a.copy("K")))


def small(dtype):
    base = np.arange(24).reshape(4, 6).astype(numpy_dtype(dtype))
    return {
        "C": base, "F": np.asfortranarray(base), "reversed": base[::-1], "column": base[:, 2],
        "rank 0": base[1, 1, ...], "empty": base[:0],
    }.items()  # fmt: skip


def assert_same(back, t, case):
    assert type(back) is nd.Tensor, case
    assert (back.shape, str(back.dtype), back.readonly) == (t.shape, str(t.dtype), t.readonly), case
    assert same_bits(back.numpy(), t.numpy()), case
    assert back.size == 0 or back.data_ptr() % 64 == 0, case


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", DTYPES)
def test_shr_2_pickling_makes_an_equal_tensor(dtype, protocol):
    for case, t in pickled(dtype):
        back = pickle.loads(pickle.dumps(t, protocol))
        assert_same(back, t, case)
        assert not nd.shares_memory(back, t)
        if not t.readonly:
            back.fill_(1)
        for order in "CF":
            assert back.is_contiguous(order) or not t.is_contiguous(order), case


@pytest.mark.parametrize("dtype", DTYPES)
def test_shr_1_buffers_out_of_band_are_shared(dtype):
    for case, t in pickled(dtype):
        buffers = []
        stream = pickle.dumps(t, 5, buffer_callback=buffers.append)
        assert len(stream) < 1000
        is_plain = t.is_contiguous("C") or t.is_contiguous("F")
        _, copied = copied_bytes(lambda: pickle.dumps(t, 5, buffer_callback=buffers.append))
        assert copied == (0 if is_plain else t.nbytes), case
        back, copied = copied_bytes(lambda: pickle.loads(stream, buffers=buffers[:1]))
        assert_same(back, t, case)
        if is_plain and t.size and t.data_ptr() % 64 == 0:
            assert (back.data_ptr(), copied) == (t.data_ptr(), 0), case


def test_shr_4_a_tensor_from_a_buffer_out_of_band_writes_into_it():
    t, buffers = nd.full((16,), 1.0), []
    stream = pickle.dumps(t, 5, buffer_callback=buffers.append)
    back = pickle.loads(stream, buffers=buffers)
    back[3] = 7
    assert t[3].item() == 7


def received(raw, kind, offset=0):
    """A buffer as it may come from elsewhere."""
    memory = aligned_array((len(raw),), "u1", offset)
    memory[...] = np.frombuffer(raw, "u1")
    return locked(memory) if kind is bytes else memory


@pytest.mark.parametrize("offset", [0, 1, 8, 16, 32])
@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize("make", [nd.tensor, nd.constant])
@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "bool"])
def test_mut_2_writability_and_alignment_survive_any_buffer(kind, make, dtype, offset):
    t = make(np.arange(12).reshape(3, 4) % 2, dtype)
    buffers = []
    stream = pickle.dumps(t, 5, buffer_callback=buffers.append)
    raw = received(buffers[0].raw().tobytes(), kind, offset)
    back, copied = copied_bytes(lambda: pickle.loads(stream, buffers=[raw]))
    assert_same(back, t, kind)
    # Read-only bytes will do for a read-only tensor; memory off its alignment will not.
    is_fit = offset == 0 and (kind is bytearray or t.readonly)
    assert (back.data_ptr() == pointer(raw)) == is_fit
    assert (copied == 0) == is_fit
    if not t.readonly:
        back.fill_(1)


def test_shr_2_a_pickled_view_is_only_itself():
    t = nd.zeros((1000, 1000))
    assert len(pickle.dumps(t[:2, :3])) < 1000
    for protocol in (4, 5):
        assert len(pickle.dumps(t[5], protocol)) < 9000


def test_shr_2_a_pickled_tensor_of_others_stands_alone():
    for x in (torch.arange(6.0), jnp.arange(6.0), tf.range(6.0), np.arange(6.0)):
        t = nd.from_dlpack(x)
        back = pickle.loads(pickle.dumps(t, 5))
        assert_same(back, t, type(x))


def test_fil_1_a_pickle_that_lies_is_an_error():
    t = nd.tensor(np.arange(6.0))
    function, (buffer, dtype, shape, order, is_read_only) = t.__reduce_ex__(4)
    assert function(buffer, dtype, shape, order, is_read_only).tolist() == t.tolist()
    lies = [
        (buffer[:-1], dtype, shape, order, is_read_only),
        (buffer, dtype, (7,), order, is_read_only),
        (buffer, dtype, (2**40, 2**40), order, is_read_only),
        (buffer, "complex128", shape, order, is_read_only),
        (buffer, "object", shape, order, is_read_only),
        (buffer, dtype, (-6,), order, is_read_only),
        (None, dtype, shape, order, is_read_only),
    ]
    for lie in lies:
        with pytest.raises((ValueError, TypeError, OverflowError, BufferError)):
            function(*lie)


# ---- copy --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_shr_1_copy_copy_shares_and_deepcopy_copies(dtype):
    for case, t in pickled(dtype):
        shared, copied = copied_bytes(lambda: copy.copy(t))
        assert (shared.data_ptr(), shared.strides, shared.readonly, copied) == (
            t.data_ptr(), t.strides, t.readonly, 0
        ), case  # fmt: skip
        apart, copied = copied_bytes(lambda: copy.deepcopy(t))
        assert copied == t.nbytes, case
        assert not nd.shares_memory(apart, t) and same_bits(apart.numpy(), t.numpy()), case
        assert apart.size == 0 or apart.data_ptr() % 64 == 0, case


def test_shr_2_deepcopy_keeps_what_was_one_object_one():
    t = nd.ones(3)
    first, second = copy.deepcopy([t, t])
    assert first is second and not nd.shares_memory(first, t)


# ---- plans, receipts and the ban on copies -------------------------------------------------------

SOURCES = {
    "torch": lambda: torch.arange(16.0),
    "torch, strided": lambda: torch.arange(16.0).repeat_interleave(2)[::2],
    "torch, bfloat16": lambda: torch.arange(16).to(torch.bfloat16),
    "jax": lambda: jnp.arange(16, dtype="float32"),
    "jax, bfloat16": lambda: jnp.arange(16).astype("bfloat16"),
    "tensorflow": lambda: tf.range(16, dtype="float32"),
    "tensorflow, bfloat16": lambda: tf.cast(tf.range(16), "bfloat16"),
    "ml_dtypes": lambda: np.arange(16).astype(ml_dtypes.bfloat16),
    "legacy": lambda: Lent(np.arange(16, dtype="f4")),
    "versioned": lambda: Lent(np.arange(16, dtype="f4"), version=(1, 0)),
}


@pytest.mark.parametrize("name", SOURCES)
def test_shr_3_plans_tell_what_happens_to_arrays_of_others(name):
    x = SOURCES[name]()
    size = 2 if "bfloat16" in name or name == "ml_dtypes" else 4
    for dtype, must_copy in itertools.product((None, "float64", "int8"), (None, True, False)):
        plan = nd.plan(x, dtype=dtype, copy=must_copy)
        before = nd.copies().copies
        if plan.action == "refuse":
            assert dtype is not None and must_copy is False
            with pytest.raises(ValueError):
                nd.asarray(x, dtype=dtype, copy=must_copy)
            continue
        t = nd.asarray(x, dtype=dtype, copy=must_copy)
        is_copy = dtype is not None or must_copy is True
        assert plan.action == ("copy" if is_copy else "share")
        assert nd.copies().copies - before == is_copy
        assert t.receipt.shared != is_copy
        assert t.receipt.copied_bytes == plan.copied_bytes
        assert plan.copied_bytes == (np.dtype(dtype or "f4").itemsize * 16 if dtype else 16 * size if is_copy else 0)  # fmt: skip
        assert t.receipt.reasons == plan.reasons
        assert t.tolist() == list(range(16))


@pytest.mark.parametrize("name", SOURCES)
def test_shr_8_no_copy_forbids_copies_of_others_arrays(name):
    x = SOURCES[name]()
    with nd.no_copy():
        t = nd.from_dlpack(x) if name != "ml_dtypes" else nd.from_numpy(x)
        assert nd.asarray(x).data_ptr() == t.data_ptr()
        for forbidden in (
            lambda: nd.tensor(x),
            lambda: nd.asarray(x, copy=True),
            lambda: nd.asarray(x, dtype="float64"),
            lambda: t.clone(),
            lambda: copy.deepcopy(t),
            lambda: t.__dlpack__(max_version=(1, 0), copy=True),
        ):
            with pytest.raises(ValueError, match="forbids"):
                forbidden()
        for allowed in (t.numpy, t.__array__, lambda: t.__dlpack__(max_version=(1, 0))):
            allowed()
        if "bfloat16" not in name and name != "ml_dtypes":
            memoryview(t)
        with contextlib.suppress(BufferError):
            t.torch()
        with contextlib.suppress(BufferError):
            t.jax()
        with contextlib.suppress(BufferError):
            t.tensorflow()


@pytest.mark.parametrize("name", SOURCES)
def test_shr_8_shares_memory_looks_at_others_arrays_in_place(name):
    x = SOURCES[name]()
    t = nd.asarray(x, copy=False)
    assert nd.shares_memory(x, t) and nd.shares_memory(x, x) and nd.shares_memory(t[3:], x)
    assert not nd.shares_memory(x, t.clone()) and not nd.shares_memory(x, SOURCES[name]())
    assert nd.array_equal(x, t.clone()) and nd.array_equal(x, x)
    assert not nd.array_equal(x, t.clone().fill_(3))


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
