"""Four elements: what a call costs. Every library works on its own memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import ndbridge as nd
import numpy as np
import tensorflow as tf
import torch

from copies import libraries
from copies.operations import limit
from copies.sampling import Case, Contender

TINY = "2x2"


@dataclass(frozen=True)
class Call:
    """One thing to do with `s`, a 2x2 of float32, and `d`, room for what comes of it."""

    title: str
    is_existing: bool
    expected: Any
    numpy: str
    torch: str
    ndbridge: str
    tensorflow: str | None = None
    jax: Callable[[Any], Any] | None = None

    def case(self) -> Case:
        source, room = small(), np.zeros_like(self.expected)
        # Not views of NumPy's: what a program without it would have.
        own, own_room = nd.tensor(source).clone(), nd.tensor(room).clone()
        theirs, their_room = torch.from_numpy(source).clone(), torch.from_numpy(room).clone()
        contenders = [
            limit(self.expected.nbytes, source, room),
            self.contender(libraries.OURS, self.ndbridge, own, own_room, nd.DType("float64")),
            self.contender(libraries.NUMPY, self.numpy, source, room, np.float64),
            self.contender(libraries.TORCH, self.torch, theirs, their_room, torch.float64),
            *self.compiled(),
        ]
        return Case(TINY, self.title, 2 * room.nbytes, contenders, is_existing=self.is_existing)

    def compiled(self) -> Iterator[Contender]:
        if self.tensorflow is not None:
            array = tf.constant(small())
            yield self.contender(libraries.TENSORFLOW, self.tensorflow, array, None, tf.float64)
        if self.jax is not None:
            array, call = jnp.array(small()), "f(s).block_until_ready()"
            yield self.contender(libraries.JAX, call, array, jax.jit(self.jax), None)

    def contender(
        self, label: str, expression: str, array: Any, more: Any, dtype: Any
    ) -> Contender:
        names = {"s": array, "d": more, "f": more, "dtype": dtype, "np": np, "tf": tf}
        room = more if self.is_existing else None

        def check(answer: Any) -> None:
            found = libraries.to_numpy(answer if room is None else room)
            if found.dtype != self.expected.dtype or not np.array_equal(found, self.expected):
                raise ValueError(f"wrong answer {found!r}")

        return Contender(label, expression, names, check)


def tiny() -> Iterator[Case]:
    for call in calls():
        yield call.case()


def calls() -> Iterator[Call]:
    array = small()
    yield Call("copy", True, array, "np.copyto(d, s)", "d.copy_(s)", "d.copy_(s)")
    yield Call(
        "copy", False, array, "s.copy()", "s.clone()", "s.clone()",
        "tf.raw_ops.DeepCopy(x=s)", jnp.copy,
    )  # fmt: skip
    double = array.astype(np.float64)
    yield Call("cast", True, double, "np.copyto(d, s)", "d.copy_(s)", "d.copy_(s)")
    yield Call(
        "cast", False, double, "s.astype(dtype)", "s.to(dtype)", "s.astype(dtype)",
        "tf.cast(s, dtype)", lambda s: s.astype(np.float64),
    )  # fmt: skip
    column = np.ascontiguousarray(array[:, 1:])
    yield Call(
        "slice and copy", True, column,
        "np.copyto(d, s[:, 1:])", "d.copy_(s[:, 1:])", "d.copy_(s[:, 1:])",
    )  # fmt: skip
    yield Call(
        "slice and copy", False, column,
        "s[:, 1:].copy()", "s[:, 1:].clone()", "s[:, 1:].clone()",
        "s[:, 1:]", lambda s: s[:, 1:],
    )  # fmt: skip


def small() -> Any:
    return np.array([[1, 2], [3, 4]], np.float32)
