"""DLPack through ctypes: the C structures, capsules with any header, and what a capsule says."""

import ctypes

import ml_dtypes
import numpy as np

READ_ONLY, IS_COPIED = 1, 2
CPU, CUDA = (1, 0), (2, 0)
LEGACY, VERSIONED = b"dltensor", b"dltensor_versioned"
EXCHANGE_API = b"dlpack_exchange_api"

INT, UINT, FLOAT, BFLOAT, COMPLEX, BOOL, FLOAT8_E4M3FN, FLOAT8_E5M2 = 0, 1, 2, 4, 5, 6, 10, 12
_CODES = {"i": INT, "u": UINT, "f": FLOAT, "c": COMPLEX, "b": BOOL}
_ML_CODES = {
    np.dtype(ml_dtypes.bfloat16): BFLOAT,
    np.dtype(ml_dtypes.float8_e4m3fn): FLOAT8_E4M3FN,
    np.dtype(ml_dtypes.float8_e5m2): FLOAT8_E5M2,
}


class DLDevice(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("id", ctypes.c_int32)]


class DLDataType(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("device", DLDevice), ("ndim", ctypes.c_int32),
        ("dtype", DLDataType), ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64),
    ]  # fmt: skip


class DLManagedTensor(ctypes.Structure):
    _fields_ = [
        ("dl_tensor", DLTensor), ("manager_ctx", ctypes.c_void_p), ("deleter", ctypes.c_void_p)
    ]  # fmt: skip


class DLManagedTensorVersioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("manager_ctx", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), ("dl_tensor", DLTensor),
    ]  # fmt: skip


FROM_PY = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(ctypes.c_void_p))
TO_PY = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p))
DLTENSOR_FROM_PY = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(DLTensor))
STREAM = ctypes.PYFUNCTYPE(
    ctypes.c_int, ctypes.c_int32, ctypes.c_int32, ctypes.POINTER(ctypes.c_void_p)
)
SET_ERROR = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p)
ALLOCATE = ctypes.PYFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(DLTensor), ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p,
    SET_ERROR,
)  # fmt: skip


class ExchangeAPI(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("prev_api", ctypes.c_void_p),
        ("managed_tensor_allocator", ctypes.c_void_p),
        ("managed_tensor_from_py_object_no_sync", ctypes.c_void_p),
        ("managed_tensor_to_py_object_no_sync", ctypes.c_void_p),
        ("dltensor_from_py_object_no_sync", ctypes.c_void_p),
        ("current_work_stream", ctypes.c_void_p),
    ]  # fmt: skip


_DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_DELETER_WITH_GIL = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
_api = ctypes.pythonapi
_api.PyCapsule_New.restype = ctypes.py_object
_api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_api.PyCapsule_GetName.restype = ctypes.c_char_p
_api.PyCapsule_GetName.argtypes = [ctypes.py_object]
_api.PyCapsule_GetPointer.restype = ctypes.c_void_p
_api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_api.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]


def name_of(capsule):
    return _api.PyCapsule_GetName(capsule)


def pointer_of(capsule):
    return _api.PyCapsule_GetPointer(capsule, name_of(capsule))


_USED = {LEGACY: b"used_dltensor", VERSIONED: b"used_dltensor_versioned"}


def consume(capsule):
    """Takes the managed tensor out as a consumer does; the caller has to `delete` it."""
    managed = managed_of(capsule)
    _api.PyCapsule_SetName(capsule, _USED[name_of(capsule)])
    return managed


def managed_of(capsule):
    """The structure a capsule points to, legacy or versioned."""
    kind = DLManagedTensor if name_of(capsule) == LEGACY else DLManagedTensorVersioned
    return kind.from_address(pointer_of(capsule))


def delete(managed):
    """Calls the deleter with the GIL."""
    _DELETER_WITH_GIL(managed.deleter)(ctypes.addressof(managed))


def header_of(tensor):
    """What the consumer of a DLTensor reads: pointer, shape, strides in elements, data type."""
    shape = tuple(tensor.shape[: tensor.ndim]) if tensor.ndim else ()
    strides = tuple(tensor.strides[: tensor.ndim]) if tensor.ndim and tensor.strides else None
    dtype = (tensor.dtype.code, tensor.dtype.bits, tensor.dtype.lanes)
    return {
        "data": (tensor.data or 0) + tensor.byte_offset,
        "device": (tensor.device.type, tensor.device.id),
        "dtype": dtype,
        "shape": shape,
        "strides": strides if tensor.ndim else (),
    }


def dlpack_dtype(dtype):
    """(code, bits, lanes) of a NumPy data type."""
    dtype = np.dtype(dtype)
    code = _ML_CODES.get(dtype)
    return (_CODES[dtype.kind] if code is None else code, 8 * dtype.itemsize, 1)


_lent = {}


@_DELETER
def _count_deletion(address):
    # One function for all: it outlives every capsule, and what it frees is not itself.
    _lent[address].deletions += 1
    _lent.pop(address)


def _int64s(values):
    return None if values is None else (ctypes.c_int64 * max(len(values), 1))(*values)


class Lent:
    """An object that lends an array by `__dlpack__` alone.

    A capsule of it is legacy, or versioned if `version` is given. Any field of the header can be
    replaced by name: `data`, `device`, `ndim`, `dtype`, `shape`, `strides`, `byte_offset`.
    """

    def __init__(self, array, *, version=None, flags=0, **header):
        self.array, self.version, self.flags, self.header = array, version, flags, header
        self.deletions, self.made, self.capsules, self._parts = 0, 0, [], []

    def __dlpack_device__(self):
        return self.header.get("device", CPU)

    def __dlpack__(self, **_):
        return self.capsule()

    def capsule(self):
        header = dict(
            data=self.array.__array_interface__["data"][0],
            device=CPU,
            ndim=self.array.ndim,
            dtype=dlpack_dtype(self.array.dtype),
            shape=self.array.shape,
            strides=[stride // self.array.itemsize for stride in self.array.strides],
            byte_offset=0,
        )
        assert header.keys() >= self.header.keys()
        header.update(self.header)
        shape, strides = _int64s(header["shape"]), _int64s(header["strides"])
        tensor = DLTensor(
            header["data"], DLDevice(*header["device"]), header["ndim"],
            DLDataType(*header["dtype"]), shape, strides, header["byte_offset"],
        )  # fmt: skip
        deleter = ctypes.cast(_count_deletion, ctypes.c_void_p)
        if self.version is None:
            name, managed = LEGACY, DLManagedTensor(tensor, None, deleter)
        else:
            name = VERSIONED
            managed = DLManagedTensorVersioned(*self.version, None, deleter, self.flags, tensor)
        address = ctypes.addressof(managed)
        # This object, and by it the array, lives until the deleter is called.
        _lent[address] = self
        self._parts += [shape, strides, managed]
        capsule = _api.PyCapsule_New(address, name, None)
        self.capsules.append(capsule)
        self.made += 1
        return capsule

    def drop_capsules(self):
        """What destroying the capsules does: deletes what nobody has consumed.

        In a call of its own, since a destructor written in Python cannot run while an exception
        is on its way.
        """
        for capsule in self.capsules:
            if name_of(capsule) in _USED:
                delete(managed_of(capsule))
        self.capsules.clear()

    def forget(self):
        """Lets go of structures whose deleter will not be called."""
        for managed in self._parts[2::3]:
            _lent.pop(ctypes.addressof(managed), None)


def sizes():
    """The structures' sizes, as the C header has them."""
    kinds = (DLTensor, DLManagedTensor, DLManagedTensorVersioned, ExchangeAPI)
    return [ctypes.sizeof(kind) for kind in kinds]


assert sizes() == [48, 64, 80, 56]
