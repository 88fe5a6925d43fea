"""What the tests on a GPU share. Without a GPU they fail: they are run where one is."""

import gc

import ndbridge as nd
import numpy as np

NUMPY_DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "float32", "float64", "complex64", "complex128",
]  # fmt: skip
#: Those that NumPy has through ml_dtypes only, which need not be installed here.
SMALL_FLOATS = ["bfloat16", "float8_e4m3fn", "float8_e5m2"]
DTYPES = [*NUMPY_DTYPES, *SMALL_FLOATS]

#: Views of a tensor of shape (6, 8, 4), by name.
VIEWS = {
    "whole": lambda t: t,
    "transposed": lambda t: t.T,
    "permuted": lambda t: t.permute(1, 2, 0),
    "offset": lambda t: t[1:, 2:, 1:],
    "stepped": lambda t: t[::2, ::3, ::2],
    "reversed": lambda t: t[::-1, :, ::-1],
    "one column": lambda t: t[:, 3, 1],
    "rank 0": lambda t: t[1, 2, 3],
    "broadcast": lambda t: t[:1].expand(5, 8, 4),
    "no elements": lambda t: t[:0],
    "axes of one": lambda t: t[:1, None, :1],
    "diagonal": lambda t: t.diagonal(),
}


def on_host(dtype, shape=(6, 8, 4), seed=0):
    """A tensor on the host, of finite values that are exact in float64 and, mostly, fit `dtype`."""
    rng = np.random.default_rng(seed)
    values = np.round(rng.standard_normal(shape) * 2.0 ** rng.integers(-4, 12, shape), 3)
    if dtype.startswith("complex"):
        values = values + 1j * rng.standard_normal(shape)
    return nd.tensor(values).astype(dtype, casting="unsafe")


def bits(tensor):
    """Data type, shape and bytes of the elements in C order, wherever they are."""
    flat = tensor.cpu().contiguous().reshape(-1).view("uint8")
    return tensor.dtype.name, tensor.shape, flat.numpy().tobytes()


def used_bytes():
    """Of the device's memory, after all that was freed is."""
    gc.collect()
    nd.cuda.synchronize()
    return nd.cuda.memory_stats()["used_bytes"]
