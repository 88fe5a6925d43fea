"""The structures of others with each field at its extremes: an error, the deleter once, nothing read.

Where an address is asked for, it is one where there is no memory: a read ends the process.
"""

import ctypes
import itertools
import types

import ndbridge as nd
import numpy as np
import pytest

import capsules
from capsules import CPU, Lent
from conftest import run_python

#: There is never any memory in the first page.
NOWHERE = 0x100
REFUSED = (BufferError, TypeError, ValueError, OverflowError, AttributeError)


def calls(make):
    """Every public call that takes an array in."""
    return {
        "asarray": lambda: nd.asarray(make()),
        "share": lambda: nd.asarray(make(), copy=False),
        "tensor": lambda: nd.tensor(make()),
        "constant": lambda: nd.constant(make()),
        "convert_to_tensor": lambda: nd.convert_to_tensor(make()),
        "plan": lambda: nd.plan(make()),
        "copy_": lambda: nd.zeros(3).copy_(make()),
        "setitem": lambda: nd.zeros(3).__setitem__(slice(None), make()),
        "shares_memory": lambda: nd.shares_memory(make(), make()),
    }


# Python's __array_interface__ ------------------------------------------------------------------


def interface(**fields):
    whole = dict(version=3, shape=(3,), typestr="<f8", data=(NOWHERE, False))
    whole.update(fields)
    whole = {name: value for name, value in whole.items() if value is not ...}
    return types.SimpleNamespace(__array_interface__=whole)


#: Each of these is refused, whatever else is right.
BAD_FIELDS = {
    "shape": [..., None, (-3,), (2**63,), (2**62,), (2**31, 2**31), "3", (3.0,), ("3",), (None,),
              (1,) * 65, 3.5],
    "typestr": [..., None, "", "<", "<f3", "|O", "<U1", "|S1", "<M8[ns]", "|V8", "f8" * 50, 8, "<f16"],
    "data": [(-1, False), (-NOWHERE, False), (2**64, False), (2**64 - 8, False), (2**63, False),
             (2**56, False), (0, False), (NOWHERE,), NOWHERE, ("0", False), (None, False), b"", b"ab",
             bytearray(23), memoryview(bytes(40))[::2], (), "text", (1.5, False)],
    "strides": [(2**62,), (-(2**63),), (2**63,), (8, 8), (), ("8",), (-NOWHERE,), 8, (8.0,)],
    "mask": [[True, False, True], np.ones(3, bool), 0],
}  # fmt: skip


@pytest.mark.parametrize("field", BAD_FIELDS)
def test_own_2_an_interface_with_a_bad_field_is_refused(field):
    for value in BAD_FIELDS[field]:
        for call, run in calls(lambda value=value: interface(**{field: value})).items():
            with pytest.raises(REFUSED) as error:
                run()
            assert str(error.value), (field, value, call)


def test_own_2_an_interface_with_bad_fields_in_pairs_is_refused():
    for one, other in itertools.combinations(BAD_FIELDS, 2):
        for values in itertools.product(BAD_FIELDS[one], BAD_FIELDS[other]):
            with pytest.raises(REFUSED):
                nd.asarray(interface(**dict(zip((one, other), values, strict=True))), copy=False)


BUFFER = np.arange(4.0)


def test_shr_1_an_interface_within_its_buffer_is_shared():
    for data in (BUFFER.data, bytearray(BUFFER.tobytes()), BUFFER):
        start = np.frombuffer(data).ctypes.data
        for fields, at, values in (
            (dict(), 0, [0, 1, 2]),
            (dict(offset=8), 8, [1, 2, 3]),
            (dict(offset=24, strides=(-8,)), 24, [3, 2, 1]),
            (dict(strides=(8,), version=99), 0, [0, 1, 2]),
            (dict(shape=(2,), strides=(24,)), 0, [0, 3]),
            (dict(mask=None, descr=[("", "<f8")]), 0, [0, 1, 2]),
        ):
            t = nd.asarray(interface(data=data, **fields), copy=False)
            assert (t.data_ptr(), t.tolist()) == (start + at, values), fields
    assert nd.asarray(interface(shape=(0,), data=(2**64 - 1, False))).size == 0


@pytest.mark.parametrize("data", [bytes(32), bytearray(32), BUFFER.data], ids=type)
def test_own_2_an_interface_does_not_reach_out_of_its_buffer(data):
    for fields in (
        dict(shape=(5,)), dict(shape=(2**40,)), dict(offset=9), dict(offset=-8), dict(offset=2**62),
        dict(offset=-(2**62)), dict(strides=(13,)), dict(strides=(-8,)), dict(strides=(2**40,)),
        dict(shape=(3, 2), strides=(8, 16)), dict(offset=2**63 - 1), dict(offset=32, shape=(1,)),
    ):  # fmt: skip
        for call, run in calls(lambda fields=fields: interface(data=data, **fields)).items():
            with pytest.raises(REFUSED, match="buffer|address space|large|convert"):
                run()
            assert call


# __cuda_array_interface__, where there is no device --------------------------------------------


def test_dev_4_a_cuda_interface_without_a_device_is_refused_unread():
    fields = {
        "shape": [(3,), (-3,), (2**63,), None, "3", (1,) * 65],
        "typestr": ["<f8", "|O", None, 8],
        "data": [(NOWHERE, False), (2**64, False), (-1, False), None, (0, False)],
        "strides": [None, (2**62,), (8, 8)],
        "version": [2, 3, -1, 99],
        "stream": [None, 0, 1, -1, 2**64, "1"],
        "mask": [None, [1]],
    }
    for values in itertools.islice(itertools.product(*fields.values()), 0, None, 7):
        whole = dict(zip(fields, values, strict=True))
        with pytest.raises(REFUSED):
            nd.asarray(types.SimpleNamespace(__cuda_array_interface__=whole))


# DLPack ------------------------------------------------------------------------------------------

#: Nothing of these can be memory, whatever is added to them.
BAD_OFFSETS = [2**56, 2**62, 2**63 - 1, 2**63, 2**63 + 8, 2**64 - 0x1000, 2**64 - 1]
BAD_HEADERS = {
    **{f"offset {offset:#x}": dict(byte_offset=offset) for offset in BAD_OFFSETS},
    **{f"data {data:#x}": dict(data=data) for data in (2**56, 2**63, 2**64 - 24, 2**64 - 1)},
    "axes walked below address 0": dict(data=16, strides=(-8,)),
    "a length of all memory": dict(shape=(2**61 - 1,)),
    "strides over all memory": dict(strides=(2**60 - 1,)),
    "two axes over all memory": dict(shape=(3, 3), strides=(2**58, 2**58), ndim=2),
}


@pytest.mark.parametrize("name", BAD_HEADERS)
@pytest.mark.parametrize("version", [None, (1, 0), (1, 1), (1, 3)], ids=str)
def test_own_2_dlpack_headers_that_no_memory_can_have_are_deleted_unread(name, version):
    for call in calls(None):
        lent = Lent(np.zeros(3), version=version, **{"data": NOWHERE, **BAD_HEADERS[name]})
        with pytest.raises(REFUSED) as error:
            calls(lambda lent=lent: lent)[call]()
        assert str(error.value), call
        made = lent.made
        lent.drop_capsules()
        assert (lent.deletions, made > 0) == (made, True), call


# The exchange table --------------------------------------------------------------------------------

_KEPT = []


def with_table(dlpack=None, **fields):
    """An object of a new type with a table of its own."""
    table = capsules.ExchangeAPI(1, 3)
    for name, value in fields.items():
        setattr(table, name, value)
    _KEPT.append(table)
    capsule = capsules._api.PyCapsule_New(ctypes.addressof(table), capsules.EXCHANGE_API, None)
    body = {"__dlpack_c_exchange_api__": capsule}
    if dlpack is not None:
        body["__dlpack__"] = lambda self, **_: dlpack.capsule()
        body["__dlpack_device__"] = lambda self: CPU
    return type("Foreign", (), body), table


def c_function(name):
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value


#: Answers 0 and gives nothing, -1 with an exception, 1 without one: as `__bool__` of the object is.
TRUTH = c_function("PyObject_IsTrue")
#: Answers 0 and raises TypeError.
RAISES = c_function("PyErr_BadArgument")


def raising(self):
    raise ZeroDivisionError("mine")


@pytest.mark.parametrize(
    "truth, error, words",
    [
        (lambda self: False, BufferError, "null"),
        (lambda self: True, BufferError, "raised no exception"),
        (raising, ZeroDivisionError, "mine"),
    ],
)
def test_own_2_a_table_s_function_that_gives_nothing_is_an_error(truth, error, words):
    kind, _ = with_table(managed_tensor_from_py_object_no_sync=TRUTH)
    kind.__bool__ = truth
    for call, run in calls(kind).items():
        with pytest.raises(error, match=words):
            run()
        assert call


def test_own_2_a_table_s_function_that_succeeds_and_raises_is_an_error():
    kind, _ = with_table(managed_tensor_from_py_object_no_sync=RAISES)
    for call, run in calls(kind).items():
        with pytest.raises(TypeError):
            run()
        assert call


def given_by_table(lent):
    @capsules.FROM_PY
    def from_py(_, out):
        out[0] = ctypes.addressof(capsules.consume(lent.capsule()))
        return 0

    _KEPT.append(from_py)
    address = ctypes.cast(from_py, ctypes.c_void_p).value
    return with_table(managed_tensor_from_py_object_no_sync=address)[0]


def test_own_2_structures_of_a_table_are_taken_or_deleted_unread():
    lent = Lent(np.arange(3.0), version=(1, 3))
    t = nd.asarray(given_by_table(lent)())
    assert t.tolist() == [0, 1, 2]
    del t
    assert (lent.deletions, lent.made) == (1, 1)
    versions = dict(zip("abcd", [(0, 0), (2, 0), (2**32 - 1, 2**32 - 1), (0, 9)], strict=True))
    headers = BAD_HEADERS | {name: dict(version=version) for name, version in versions.items()}
    for name, header in headers.items():
        lent = Lent(np.zeros(3), **{"version": (1, 3), "data": NOWHERE, **header})
        with pytest.raises(REFUSED):
            nd.asarray(given_by_table(lent)())
        assert (lent.deletions, lent.made) == (1, 1), name


def test_shr_1_a_table_without_functions_leaves_the_capsule():
    lent = Lent(np.arange(3.0), version=(1, 0))
    kind, _ = with_table(lent)
    assert nd.asarray(kind(), copy=False).data_ptr() == lent.array.ctypes.data
    kind, _ = with_table()
    with pytest.raises(REFUSED):
        nd.asarray(kind())


@pytest.mark.parametrize("version", [(0, 0), (2, 0), (2**32 - 1, 0)], ids=str)
def test_shr_1_a_table_of_another_version_is_not_used(version):
    lent = Lent(np.arange(3.0), version=(1, 0))
    nowhere = dict(managed_tensor_from_py_object_no_sync=NOWHERE)
    kind, table = with_table(lent, **nowhere)
    table.major, table.minor = version
    assert nd.asarray(kind()).tolist() == [0, 1, 2]
    # The list of older tables may be a circle, or lead nowhere.
    circle, table = with_table(lent, **nowhere)
    table.major, table.minor, table.prev_api = *version, ctypes.addressof(table)
    assert nd.asarray(circle()).tolist() == [0, 1, 2]
    unaligned, table = with_table(lent, **nowhere)
    table.major, table.minor, table.prev_api = *version, 2**64 - 1
    assert nd.asarray(unaligned()).tolist() == [0, 1, 2]
    older, table = with_table(lent, **nowhere)
    _, understood = with_table()
    table.major, table.minor, table.prev_api = *version, ctypes.addressof(understood)
    assert nd.asarray(older()).tolist() == [0, 1, 2]


# The buffer protocol, by an exporter in C ----------------------------------------------------------

EXPORTER = r"""
import ctypes
import ndbridge as nd

class View(ctypes.Structure):
    _fields_ = [("buf", ctypes.c_void_p), ("obj", ctypes.c_void_p), ("len", ctypes.c_ssize_t),
                ("itemsize", ctypes.c_ssize_t), ("readonly", ctypes.c_int), ("ndim", ctypes.c_int),
                ("format", ctypes.c_char_p), ("shape", ctypes.c_void_p),
                ("strides", ctypes.c_void_p), ("suboffsets", ctypes.c_void_p),
                ("internal", ctypes.c_void_p)]

class Slot(ctypes.Structure):
    _fields_ = [("slot", ctypes.c_int), ("function", ctypes.c_void_p)]

class Spec(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("basicsize", ctypes.c_int), ("itemsize", ctypes.c_int),
                ("flags", ctypes.c_uint), ("slots", ctypes.POINTER(Slot))]

fields = {}

@ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(View), ctypes.c_int)
def get(exporter, view, flags):
    ctypes.pythonapi.Py_IncRef(ctypes.c_void_p(exporter))
    ctypes.memset(view, 0, ctypes.sizeof(View))
    view[0].obj = exporter
    for name, value in fields.items():
        setattr(view[0], name, value)
    return 0

slots = (Slot * 2)((1, ctypes.cast(get, ctypes.c_void_p)))
spec = Spec(b"exporter.Exporter", 16, 0, 0, slots)
ctypes.pythonapi.PyType_FromSpec.restype = ctypes.py_object
Exporter = ctypes.pythonapi.PyType_FromSpec(ctypes.byref(spec))

def sizes(*values):
    return ctypes.addressof(keep(( ctypes.c_ssize_t * max(len(values), 1))(*values)))

kept = []
def keep(value):
    kept.append(value)
    return value

NOWHERE = 0x100
plain = dict(buf=NOWHERE, len=24, itemsize=8, ndim=1, format=b"d", shape=sizes(3), strides=sizes(8))
bad = [
    dict(buf=2**63), dict(buf=2**64 - 8), dict(buf=2**56), dict(buf=0),
    dict(ndim=-1), dict(ndim=65), dict(ndim=2**31 - 1), dict(ndim=-(2**31)),
    dict(shape=2**64 - 8), dict(strides=2**64 - 8), dict(suboffsets=2**64 - 8),
    dict(shape=sizes(-3)), dict(shape=sizes(2**62)), dict(shape=sizes(2**63 - 1)),
    dict(shape=sizes(-(2**63))), dict(strides=sizes(2**62)), dict(strides=sizes(-(2**63))),
    dict(strides=sizes(-0x1000)), dict(ndim=2, shape=0), dict(ndim=2, shape=sizes(2**31, 2**31), strides=0),
    dict(shape=0, itemsize=0), dict(itemsize=0), dict(itemsize=-8), dict(itemsize=2**62),
    dict(format=b"O"), dict(format=b"x" * 1000), dict(format=b"T{d:a:}"), dict(format=b">d", itemsize=3),
    dict(len=-24, shape=0), dict(len=2**62, shape=0),
]
for change in bad:
    fields = {**plain, **change}
    for call in (nd.asarray, nd.tensor, nd.from_buffer, nd.plan, lambda x: nd.asarray(x, copy=False)):
        try:
            call(Exporter())
        except (BufferError, TypeError, ValueError, RuntimeError) as error:
            assert str(error), change
        else:
            raise AssertionError(f"believed: {change}")

import array
good = array.array("d", [1, 2, 3])
address, length = good.buffer_info()
fields = {**plain, "buf": address}
t = nd.from_buffer(Exporter())
assert (t.tolist(), t.data_ptr()) == ([1, 2, 3], address)
fields = {**plain, "buf": address, "shape": 0, "strides": 0}
assert nd.from_buffer(Exporter()).tolist() == [1, 2, 3]
"""


def test_own_2_buffers_that_no_memory_can_be_are_refused_unread():
    run_python(EXPORTER)
