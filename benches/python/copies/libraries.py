"""The libraries: threads, the same values in each, and their labels."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import ndbridge as nd
import numpy as np
import tensorflow as tf
import torch

LIMIT = "memcpy"
OURS, OURS_2 = "**ndbridge**", "**ndbridge, 2 threads**"
NUMPY, TORCH, TORCH_2 = "NumPy", "torch", "torch, 2 threads"
TENSORFLOW, JAX = "TensorFlow", "JAX"
#: Of one thread: what ndbridge's one thread is compared with.
PEERS = [NUMPY, TORCH, TENSORFLOW, JAX]

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
HUGE_PAGE = 2 << 20
set_our_threads: Callable[[int], None] | None = getattr(nd, "set_num_threads", None)
empty_our_cache: Callable[[], None] | None = getattr(nd, "empty_cache", None)


def use_one_thread() -> None:
    """TensorFlow and JAX cannot change their number later."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    jax.config.update("jax_enable_x64", True)
    # No detour through another thread.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    set_torch_threads(1)
    set_threads(1)


def set_threads(count: int) -> None:
    if set_our_threads is not None:
        set_our_threads(count)


def set_torch_threads(count: int) -> None:
    torch.set_num_threads(count)


def memory(shape: tuple[int, ...], dtype: Any) -> Any:
    """NumPy memory aligned to 64 bytes: JAX shares no other. Its pages exist."""
    dtype = np.dtype(dtype)
    nbytes = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(nbytes + 64, np.uint8)
    raw.fill(0)
    start = -raw.ctypes.data % 64
    return raw[start : start + nbytes].view(dtype).reshape(shape)


def values(shape: tuple[int, ...], dtype: Any) -> Any:
    """Small whole numbers, which every data type holds; fractions too where it has them."""
    dtype = np.dtype(dtype)
    filled = memory(shape, dtype)
    generator = np.random.default_rng(7)
    drawn = generator.integers(0, 250, filled.size, np.uint8)
    if dtype == np.bool_:
        np.copyto(filled.reshape(-1), drawn > 100)
        return filled
    np.copyto(filled.reshape(-1), drawn, casting="unsafe")
    if dtype.kind in "fc":
        # Fractions that float16 and bfloat16 must round.
        filled.reshape(-1)[: 1 << 16] *= dtype.type(1.00372)
    return filled


def bits(array: Any) -> Any:
    """The bytes, as the widest integers that divide them."""
    array = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return array.view(np.uint64 if array.size % 8 == 0 else np.uint8)


def to_torch(array: Any) -> Any:
    """The same memory."""
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_numpy(array: Any) -> Any:
    """A view, whatever library it is of."""
    if isinstance(array, torch.Tensor):
        if array.dtype == torch.bfloat16:
            return array.view(torch.int16).numpy().view(BFLOAT16)
        return array.numpy()
    if isinstance(array, nd.Tensor):
        return array.numpy()
    return np.asarray(array)


def torch_dtype(dtype: Any) -> Any:
    name = np.dtype(dtype).name
    return getattr(torch, name)


def tensorflow_dtype(dtype: Any) -> Any:
    return tf.as_dtype(np.dtype(dtype))


@dataclass
class Arrays:
    """The same values as an array of each library. torch and ndbridge share NumPy's memory."""

    numpy: Any
    torch: Any = field(init=False)
    ndbridge: Any = field(init=False)

    def __post_init__(self) -> None:
        self.torch = to_torch(self.numpy)
        self.ndbridge = nd.from_numpy(self.numpy)

    def tensorflow(self) -> Any:
        return tf.constant(self.numpy)

    def jax(self) -> Any:
        return jnp.array(self.numpy, copy=True).block_until_ready()
