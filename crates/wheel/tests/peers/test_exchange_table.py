"""DLPack's table of C functions, `Tensor.__dlpack_c_exchange_api__`, called through ctypes; and
the table for ndbridge in other modules, `Tensor.__ndbridge_exchange_api__`.
"""

import ctypes
import weakref

import ndbridge as nd
import numpy as np
import pytest

import capsules
from capsules import CPU, CUDA, READ_ONLY, Lent
from conftest import is_collected
from frameworks import numpy_dtype, torch
from test_interchange import ACCESS, watched


@pytest.fixture(scope="module")
def table():
    capsule = nd.Tensor.__dlpack_c_exchange_api__
    assert capsules.name_of(capsule) == capsules.EXCHANGE_API
    return capsules.ExchangeAPI.from_address(capsules.pointer_of(capsule))


@pytest.fixture(scope="module")
def own_table():
    capsule = nd.Tensor.__ndbridge_exchange_api__
    assert capsules.name_of(capsule) == b"ndbridge_exchange_api"
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


@pytest.mark.parametrize("access", ["writable", "private", "unknown"])
def test_mut_2_the_table_s_managed_tensors_say_what_they_hold(table, access):
    check_what_is_said(table, access)


@pytest.mark.parametrize("access", ACCESS)
def test_mut_2_ndbridge_s_table_says_so_of_all_memory(own_table, access):
    check_what_is_said(own_table, access)


def check_what_is_said(table, access):
    t = ACCESS[access]()
    managed = from_py(table, t)
    assert managed.major == 1
    assert managed.flags == (0 if access in ("writable", "private") else READ_ONLY)
    header = capsules.header_of(managed.dl_tensor)
    assert (header["data"], header["shape"]) == (t.data_ptr(), (2, 3))
    back = to_py(table, managed)
    assert type(back) is nd.Tensor and back.data_ptr() == t.data_ptr()
    assert (back.readonly, back.numpy().flags.writeable) == (
        t.readonly, access in ("writable", "private")
    )  # fmt: skip
    assert back.tolist() == t.tolist()


@pytest.mark.parametrize("access", ["read-only", "constant"])
def test_mut_2_the_table_gives_no_read_only_memory(table, access):
    t = ACCESS[access]()
    for view in (t, t[1:], t.T):
        with pytest.raises(BufferError, match=r"read-only.*clone\(\)"):
            from_py(table, view)
        capsules.delete(from_py(table, view.clone()))


def test_mut_2_who_drops_the_mark_cannot_write_read_only_memory(table):
    def torch_s(t):
        """What tvm-ffi makes of it: a structure handed on without the mark."""
        managed = from_py(table, t)
        managed.flags = 0
        theirs = capsules.pointer_of(torch.Tensor.__dlpack_c_exchange_api__)
        return to_py(capsules.ExchangeAPI.from_address(theirs), managed)

    t = nd.tensor([1.0, 2.0])
    torch_s(t)[0] = 9
    assert t.tolist() == [9, 2]
    constant = nd.constant([1.0, 2.0])
    with pytest.raises(BufferError, match="read-only"):
        torch_s(constant)[0] = 9
    assert constant.tolist() == [1, 2]


def test_mut_2_tvm_ffi_gets_no_read_only_memory():
    tvm_ffi = pytest.importorskip("tvm_ffi")
    constant, echo = nd.constant([1.0, 2.0]), tvm_ffi.get_global_func("testing.echo")
    for take in (tvm_ffi.from_dlpack, echo):
        with pytest.raises(BufferError, match=r"read-only.*clone\(\)"):
            torch.from_dlpack(take(constant))[0] = 9
        t = constant.clone()
        torch.from_dlpack(take(t))[0] = 9
        assert t.tolist() == [9, 2]
    assert constant.tolist() == [1, 2]


def test_shr_1_elements_off_their_alignment_go_to_ndbridge_alone(table, own_table):
    t = nd.from_numpy(np.frombuffer(bytearray(33), "f8", 4, offset=1))
    if t.data_ptr() % 8 == 0:
        t = nd.from_numpy(np.frombuffer(bytearray(33), "f8", 4))
    bare = function(capsules.DLTENSOR_FROM_PY, table.dltensor_from_py_object_no_sync)
    for refused in (lambda: from_py(table, t), lambda: bare(t, capsules.DLTensor())):
        with pytest.raises(BufferError, match=r"aligned.*clone\(\)"):
            refused()
    back = to_py(own_table, from_py(own_table, t))
    assert (back.data_ptr(), back.tolist()) == (t.data_ptr(), [0] * 4)
    capsules.delete(from_py(table, t.clone()))


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


def test_host_memory_has_no_stream(table):
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
