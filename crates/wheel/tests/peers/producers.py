"""Arrays of every layout and data type, made by every kind of producer."""

import array
from dataclasses import dataclass, field
from typing import Any

import ndbridge as nd
import numpy as np

from capsules import READ_ONLY, Lent
from conftest import random_array
from frameworks import (
    FLOAT8, NUMPY_DTYPES, aligned, aligned_array, jax, jnp, numpy_dtype, on_memory, pointer, tf,
    tf_pointer, torch,
)  # fmt: skip

WRITABLE, KEPT, UNKNOWN = "writable", "read-only", "unknown"
SHAPE = (4, 6)


@dataclass
class Made:
    """An array, and what is true of its memory."""

    object: Any
    #: The elements where they lie, as NumPy sees them.
    memory: np.ndarray
    access: str = WRITABLE
    #: What else must live.
    keep: list = field(default_factory=list)


def _values(shape, dtype, seed=11):
    return random_array(np.random.default_rng(seed), shape, dtype)


def _filled(shape, dtype, offset=0):
    memory = aligned_array(shape, dtype, offset)
    memory[...] = _values(shape, dtype)
    return memory


def _record_field(dtype):
    record = np.dtype([("a", "u1"), ("x", dtype), ("b", "u2")])
    field = aligned(4 * record.itemsize).view(record)["x"]
    field[...] = _values(4, dtype)
    return field


def _locked(array):
    array.flags.writeable = False
    return array


def _broadcast(array):
    return np.ndarray((3, 6), array.dtype, array, 0, (0, array.itemsize))


def numpy_layouts(dtype):
    """Layouts in memory that begins at a multiple of 64, where their name does not say else."""
    one_byte = dtype.itemsize == 1
    return {
        "C": lambda: _filled(SHAPE, dtype),
        "F": lambda: _filled(SHAPE[::-1], dtype).T,
        "stepped": lambda: _filled(SHAPE, dtype)[::2, ::3],
        "reversed": lambda: _filled(SHAPE, dtype)[::-1],
        "broadcast": lambda: _broadcast(_filled(SHAPE, dtype)),
        "0-d": lambda: _filled(SHAPE, dtype)[0, 0, ...],
        "empty": lambda: _filled(SHAPE, dtype)[:0],
        "offset": lambda: _filled(SHAPE, dtype)[1:],
        "offset by one byte" if one_byte else "unaligned": lambda: _filled(SHAPE, dtype, 1),
        "byte field" if one_byte else "record field": lambda: _record_field(dtype),
        "read-only": lambda: _locked(_filled(SHAPE, dtype)),
    }


def _from_arrays(wrap, dtype, leave_out=()):
    """A producer that wraps a NumPy array."""

    def made(make):
        memory = make()
        access = WRITABLE if memory.flags.writeable else KEPT
        writable = on_memory(pointer(memory), memory.shape, memory.strides, memory.dtype)
        return Made(wrap(memory), writable, access, [memory])

    layouts = numpy_layouts(dtype)
    return {
        name: lambda make=make: made(make)
        for name, make in layouts.items()
        if name not in leave_out
    }


class ArrayInterface:
    """Lends a NumPy array by `__array_interface__` alone."""

    def __init__(self, array):
        self.array, self.__array_interface__ = array, array.__array_interface__


def from_numpy(dtype):
    return _from_arrays(lambda a: a, dtype)


def from_array_interface(dtype):
    return _from_arrays(ArrayInterface, dtype) if dtype.isbuiltin == 1 else {}


def from_memoryview(dtype):
    return _from_arrays(memoryview, dtype) if dtype.isbuiltin == 1 else {}


def from_legacy_dlpack(dtype):
    def unknown(make):
        made = make()
        made.access = UNKNOWN
        return made

    layouts = _from_arrays(Lent, dtype, ("record field", "read-only"))
    return {name: lambda make=make: unknown(make) for name, make in layouts.items()}


def from_versioned_dlpack(dtype):
    def wrap(array):
        flags = 0 if array.flags.writeable else READ_ONLY
        return Lent(array, version=(1, 0), flags=flags)

    return _from_arrays(wrap, dtype, ("record field",))


def _torch_filled(dtype):
    kind = getattr(torch, dtype.name)
    t = torch.empty(SHAPE, dtype=kind)
    on_memory(t.data_ptr(), SHAPE, (6 * dtype.itemsize, dtype.itemsize), dtype)[...] = _values(
        SHAPE, dtype
    )
    return t


def _torch_unaligned(dtype):
    raw = aligned(1 + 24 * dtype.itemsize)
    kind = getattr(torch, dtype.name)
    t = torch.frombuffer(raw, dtype=kind, offset=1).reshape(SHAPE)
    on_memory(t.data_ptr(), SHAPE, (6 * dtype.itemsize, dtype.itemsize), dtype)[...] = _values(
        SHAPE, dtype
    )
    return t


def _torch_made(t, dtype):
    strides = [stride * dtype.itemsize for stride in t.stride()]
    return Made(t, on_memory(t.data_ptr(), t.shape, strides, dtype))


def from_torch(dtype):
    layouts = {
        "C": _torch_filled,
        "F": lambda d: _torch_filled(d).t(),
        "stepped": lambda d: _torch_filled(d)[::2, ::3],
        "broadcast": lambda d: _torch_filled(d)[:1].expand(3, 6),
        "0-d": lambda d: _torch_filled(d)[0, 0],
        "empty": lambda d: _torch_filled(d)[:0],
        "offset": lambda d: _torch_filled(d)[1:],
        "offset by one byte" if dtype.itemsize == 1 else "unaligned": _torch_unaligned,
    }
    return {name: lambda f=f: _torch_made(f(dtype), dtype) for name, f in layouts.items()}


def from_torch_read_only(dtype):
    """What torch exports with the read-only flag set."""

    def read_only():
        made = _torch_made(_torch_filled(dtype), dtype)
        wrapper = torch.utils.dlpack.ReadOnlyTensorWrapper(made.object)
        return Made(wrapper, made.memory, KEPT, [made.object])

    return {"read-only": read_only}


def _row_major(shape, dtype):
    return np.empty(shape, dtype).strides


def from_jax(dtype):
    def made(array, strides):
        memory = on_memory(array.unsafe_buffer_pointer(), array.shape, strides, dtype)
        return Made(array, memory, KEPT)

    def row_major(values):
        with jax.enable_x64(True):
            array = jax.block_until_ready(jnp.array(values))
        return made(array, _row_major(values.shape, dtype))

    def column_major():
        # Only memory of others comes in Fortran order.
        values = _filled(SHAPE[::-1], dtype).T
        with jax.enable_x64(True):
            array = jnp.from_dlpack(Lent(values))
        assert array.unsafe_buffer_pointer() == pointer(values)
        return made(array, values.strides)

    return {
        "C": lambda: row_major(_values(SHAPE, dtype)),
        "F": column_major,
        "0-d": lambda: row_major(_values((), dtype)),
        "empty": lambda: row_major(_values((0, 6), dtype)),
    }


def from_tensorflow(dtype):
    def made(values):
        tensor = tf.constant(values)
        if dtype.name in FLOAT8:
            # Not in a capsule; the alias that TensorFlow gives is an array, but of one number.
            return Made(tensor, tensor.__array__() if values.ndim else values, KEPT)
        memory = on_memory(tf_pointer(tensor), values.shape, _row_major(values.shape, dtype), dtype)
        return Made(tensor, memory, KEPT)

    return {
        "C": lambda: made(_values(SHAPE, dtype)),
        "0-d": lambda: made(_values((), dtype)),
        "empty": lambda: made(_values((0, 6), dtype)),
    }


def from_ndbridge(dtype):
    def filled():
        t = nd.empty(SHAPE, dtype.name)
        on_memory(t.data_ptr(), SHAPE, t.strides, dtype)[...] = _values(SHAPE, dtype)
        return t

    def made(t, access=WRITABLE):
        return Made(t, on_memory(t.data_ptr(), t.shape, t.strides, dtype), access)

    layouts = {
        "C": lambda t: t,
        "F": lambda t: t.reshape(6, 4).T,
        "stepped": lambda t: t[::2, ::3],
        "reversed": lambda t: t.flip(0),
        "broadcast": lambda t: t[:1].expand(3, 6),
        "0-d": lambda t: t[0, 0],
        "empty": lambda t: t[:0],
        "offset": lambda t: t[1:],
    }
    cases = {name: lambda f=f: made(f(filled())) for name, f in layouts.items()}
    cases["read-only"] = lambda: made(nd.constant(filled()), KEPT)
    return cases


def _buffer(make_object, memory_dtype, access):
    """A buffer of some elements. Its alignment is luck, so both kinds are looked for."""

    def made(length):
        buffer = make_object(length)
        flat = np.frombuffer(buffer, memory_dtype) if length else np.empty(0, memory_dtype)
        return Made(buffer, on_memory(pointer(flat), flat.shape, flat.strides, flat.dtype), access)

    def of_alignment(wanted):
        kept = []
        for length in range(20, 4000):
            kept.append(made(length))
            if (pointer(kept[-1].memory) % 64 == 0) == wanted:
                return kept[-1]
        raise AssertionError("no memory of this alignment came up")

    return {
        "C": lambda: of_alignment(True),
        "offset": lambda: of_alignment(False),
        "empty": lambda: made(0),
    }


def from_bytes(dtype):
    if dtype != "uint8":
        return {}
    return _buffer(lambda length: bytes(i % 256 for i in range(length)), "u1", KEPT)


def from_bytearray(dtype):
    if dtype != "uint8":
        return {}
    return _buffer(lambda length: bytearray(i % 256 for i in range(length)), "u1", WRITABLE)


_TYPECODES = {
    "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I",
    "int64": "l", "uint64": "L", "float32": "f", "float64": "d",
}  # fmt: skip


def from_array_module(dtype):
    if dtype.name not in _TYPECODES:
        return {}
    code = _TYPECODES[dtype.name]
    return _buffer(
        lambda length: array.array(code, (i % 100 for i in range(length))), dtype, WRITABLE
    )


#: The layouts by producer: functions from a NumPy data type to functions that make an array.
PRODUCERS = {
    "numpy": from_numpy,
    "torch": from_torch,
    "torch read-only": from_torch_read_only,
    "jax": from_jax,
    "tensorflow": from_tensorflow,
    "ndbridge": from_ndbridge,
    "bytes": from_bytes,
    "bytearray": from_bytearray,
    "array.array": from_array_module,
    "memoryview": from_memoryview,
    "`__array_interface__`": from_array_interface,
    "legacy `__dlpack__`": from_legacy_dlpack,
    "versioned `__dlpack__`": from_versioned_dlpack,
}


def made_by(producer, dtype):
    """The producer's arrays of a data type, by name of their layout."""
    return PRODUCERS[producer](numpy_dtype(dtype))


__all__ = ["FLOAT8", "KEPT", "NUMPY_DTYPES", "PRODUCERS", "UNKNOWN", "WRITABLE", "Made", "made_by"]
