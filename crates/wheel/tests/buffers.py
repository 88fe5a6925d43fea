"""The buffer protocol through ctypes: requests with any flags, and exporters with any answer."""

import contextlib
import ctypes

import ndbridge as nd

_api = ctypes.pythonapi

WRITABLE, FORMAT, ND, STRIDES = 1, 4, 8, 0x18
SIMPLE, C, F, ANY, INDIRECT = 0, 0x38, 0x58, 0x98, 0x118
#: Every flag that is one bit: what is above, and the bits of it that mean nothing alone.
BITS = [WRITABLE, FORMAT, ND, 0x10, 0x20, 0x40, 0x80, 0x100]


class PyBuffer(ctypes.Structure):
    _fields_ = [
        ("buf", ctypes.c_void_p), ("obj", ctypes.c_void_p), ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t), ("readonly", ctypes.c_int), ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p), ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
        ("strides", ctypes.POINTER(ctypes.c_ssize_t)),
        ("suboffsets", ctypes.POINTER(ctypes.c_ssize_t)), ("internal", ctypes.c_void_p),
    ]  # fmt: skip

    def axes(self, name):
        """The values of `shape` or `strides`; None if it is null."""
        values = getattr(self, name)
        return tuple(values[: self.ndim]) if values else None

    def fields(self):
        """All that a consumer reads."""
        return {
            "buf": self.buf, "obj": self.obj, "len": self.len, "itemsize": self.itemsize,
            "readonly": self.readonly, "ndim": self.ndim, "format": self.format,
            "shape": self.axes("shape"), "strides": self.axes("strides"),
            "suboffsets": self.axes("suboffsets"),
        }  # fmt: skip


_Address = ctypes.POINTER(PyBuffer)
_api.PyObject_GetBuffer.argtypes = [ctypes.py_object, _Address, ctypes.c_int]
_api.PyBuffer_Release.argtypes = [_Address]
_api.PyBuffer_Release.restype = None
_api.PyBuffer_IsContiguous.argtypes = [_Address, ctypes.c_char]
_api.PyBuffer_ToContiguous.argtypes = [
    ctypes.c_char_p, _Address, ctypes.c_ssize_t, ctypes.c_char
]  # fmt: skip
_api.PyMemoryView_FromBuffer.argtypes = [_Address]
_api.PyMemoryView_FromBuffer.restype = ctypes.py_object

#: What no request may leave in the place of the exporter that refused.
GARBAGE = 0xDEAD


def get(exporter, flags):
    """The view that an exporter fills for these flags."""
    view = PyBuffer(obj=GARBAGE)
    try:
        _api.PyObject_GetBuffer(exporter, view, flags)
    except Exception:
        # NumPy leaves what was there.
        assert view.obj is None or not isinstance(exporter, nd.Tensor), "to be released?"
        raise
    return view


def release(view):
    _api.PyBuffer_Release(view)
    assert view.obj is None


@contextlib.contextmanager
def request(exporter, flags):
    view = get(exporter, flags)
    try:
        yield view
    finally:
        release(view)


def is_contiguous(view, order):
    return bool(_api.PyBuffer_IsContiguous(view, order))


def contiguous_bytes(view, order):
    """The elements in an order, as CPython's own consumer copies them."""
    copy = ctypes.create_string_buffer(max(view.len, 1))
    _api.PyBuffer_ToContiguous(copy, view, view.len, order)
    return copy.raw[: view.len]


def memoryview_of(view):
    """A memoryview of what was filled in; good while the request is held."""
    return _api.PyMemoryView_FromBuffer(view)


# ---- exporters -----------------------------------------------------------------------------------

_GET = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, _Address, ctypes.c_int)
_RELEASE = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, _Address)


class _Slot(ctypes.Structure):
    _fields_ = [("slot", ctypes.c_int), ("function", ctypes.c_void_p)]


class _Spec(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p), ("basicsize", ctypes.c_int), ("itemsize", ctypes.c_int),
        ("flags", ctypes.c_uint), ("slots", ctypes.POINTER(_Slot)),
    ]  # fmt: skip


_api.PyType_FromSpec.argtypes = [ctypes.POINTER(_Spec)]
_api.PyType_FromSpec.restype = ctypes.py_object
_api.Py_IncRef.argtypes = [ctypes.c_void_p]
_BF_GETBUFFER, _BF_RELEASEBUFFER, _DEFAULT_FLAGS = 1, 2, 1 << 18
_kept = []


class Exporter:
    """Makes objects of a type named `name`, whose buffer answers what `fields` says.

    `exports` counts those that were not released.
    """

    def __init__(self, name="odd.Odd", **fields):
        unsaid = dict(readonly=0, strides=None, suboffsets=None, internal=None)
        self.exports, self.fields = 0, unsaid | fields
        self._axes = {
            axes: (ctypes.c_ssize_t * max(len(values), 1))(*values)
            for axes, values in fields.items()
            if axes in ("shape", "strides", "suboffsets") and values is not None
        }
        get, release = _GET(self._get), _RELEASE(self._release)
        slots = (_Slot * 3)(
            _Slot(_BF_GETBUFFER, ctypes.cast(get, ctypes.c_void_p)),
            _Slot(_BF_RELEASEBUFFER, ctypes.cast(release, ctypes.c_void_p)),
            _Slot(0, None),
        )
        spec = _Spec(name.encode(), object.__basicsize__, 0, _DEFAULT_FLAGS, slots)
        # The type lives on in lists of types seen.
        _kept.append((get, release, slots, spec, self))
        self.object = _api.PyType_FromSpec(spec)()

    def _get(self, exporter, view, flags):
        filled = view.contents
        for name, value in self.fields.items():
            axes = name in ("shape", "strides", "suboffsets")
            if axes and value is not None:
                value = ctypes.cast(self._axes[name], ctypes.POINTER(ctypes.c_ssize_t))
            setattr(filled, name, value)
        _api.Py_IncRef(exporter)
        filled.obj = exporter
        self.exports += 1
        return 0

    def _release(self, exporter, view):
        self.exports -= 1
