"""The array libraries, imported once and quietly, and how to look at the memory of their arrays.

Importing this skips the tests of a file where a library is missing.
"""

import ctypes
import gc
import os

import ml_dtypes
import numpy as np
import pytest

import capsules

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
tf = pytest.importorskip("tensorflow")
jnp = jax.numpy
# Hundreds of thousands of objects that stay: the tests that collect garbage need not look at them.
gc.freeze()

NUMPY_DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "float32", "float64", "complex64", "complex128",
]  # fmt: skip
FLOAT8 = ["float8_e4m3fn", "float8_e5m2"]
DTYPES = [*NUMPY_DTYPES, "bfloat16", *FLOAT8]
SIXTY_FOUR_BIT = ["int64", "uint64", "float64", "complex128"]


def numpy_dtype(name):
    return np.dtype(getattr(ml_dtypes, name, None) or name)


def tf_from_dlpack(capsule):
    return tf.experimental.dlpack.from_dlpack(capsule)


def tf_pointer(tensor):
    """Where an eager tensor lies, by the capsule that it gives of all but float8."""
    capsule = tf.experimental.dlpack.to_dlpack(tensor)
    return capsules.managed_of(capsule).dl_tensor.data or 0


def pointer(x):
    """Address of the first element of any library's array."""
    if isinstance(x, np.ndarray):
        return x.__array_interface__["data"][0]
    if isinstance(x, torch.Tensor):
        return x.data_ptr()
    if isinstance(x, jax.Array):
        return x.unsafe_buffer_pointer()
    if isinstance(x, tf.Tensor):
        return tf_pointer(x)
    # A memoryview, for which NumPy is trusted to use the pointer that it is given.
    return pointer(np.asarray(x))


def to_numpy(x):
    """Elements of any library's array as NumPy reads them from that library's own memory."""
    if isinstance(x, torch.Tensor):
        return torch_to_numpy(x)
    if isinstance(x, tf.Tensor):
        # NumPy takes no 0-d tensor of bfloat16; this copies what lies there now.
        return np.asarray(x.numpy())
    return np.asarray(x)


def torch_to_numpy(x):
    """Also of the data types that NumPy has through ml_dtypes only."""
    name = str(x.dtype).removeprefix("torch.")
    if name in NUMPY_DTYPES:
        return x.numpy()
    bits = x.view(torch.int16 if x.dtype == torch.bfloat16 else torch.uint8)
    return bits.numpy().view(numpy_dtype(name))


def on_memory(address, shape, strides, dtype):
    """A writable NumPy array on any memory, whoever owns it and whatever they promised."""
    dtype, shape = np.dtype(dtype), tuple(shape)
    if 0 in shape:
        return np.empty(shape, dtype)
    reach = [(length - 1) * stride for length, stride in zip(shape, strides)]
    low, high = sum(min(r, 0) for r in reach), sum(max(r, 0) for r in reach) + dtype.itemsize
    raw = (ctypes.c_char * (high - low)).from_address(address + low)
    return np.ndarray(shape, dtype, raw, -low, strides)


def flip_bit(address):
    """Changes the lowest bit of a byte: another value of every data type, a bool for a bool."""
    byte = ctypes.c_uint8.from_address(address)
    byte.value ^= 1


def aligned(size, offset=0):
    """Bytes that begin `offset` after a multiple of 128 from the start of memory."""
    raw = np.zeros(size + 256, np.uint8)
    start = -pointer(raw) % 128 + offset
    return raw[start : start + size]


def aligned_array(shape, dtype, offset=0):
    dtype = np.dtype(dtype)
    return aligned(int(np.prod(shape)) * dtype.itemsize, offset).view(dtype).reshape(shape)
