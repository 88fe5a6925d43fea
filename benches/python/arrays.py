"""The same values as an array of each library, and what tells whether two share memory."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf
import torch

# Whole and small: what the contenders answer of it is a ready-made int. Those that write store it.
FILL = 2.0


@dataclass(frozen=True)
class Arrays:
    """A square of float32; `torch` shares `numpy`'s memory, the other two own theirs."""

    size: str
    numpy: Any
    torch: Any
    jax: Any
    tensorflow: Any


def squares(side: int, size: str) -> Arrays:
    array = aligned(side)
    array.fill(FILL)
    ours = jnp.full((side, side), FILL, jnp.float32)
    return Arrays(
        size,
        array,
        torch.from_numpy(array),
        ours.block_until_ready(),
        tf.constant(array),
    )


def aligned(side: int) -> Any:
    """Uninitialized float32, aligned to 64 bytes: JAX shares no other memory."""
    nbytes = side * side * 4
    raw = np.empty(nbytes + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + nbytes].view(np.float32).reshape(side, side)


def address(array: Any) -> int:
    """Of the first element."""
    if isinstance(array, np.ndarray):
        return array.ctypes.data
    if isinstance(array, jax.Array):
        return array.unsafe_buffer_pointer()
    if isinstance(array, tf.Tensor):
        return address(np.asarray(array))
    return int(array.data_ptr())
