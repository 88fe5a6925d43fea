"""One operation as each library says it, into memory that exists and into a fresh result."""

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
import tensorflow as tf
import torch

from copies import libraries
from copies.libraries import Arrays
from copies.sampling import Case, Contender


@dataclass(frozen=True)
class Operation:
    """Expressions of `s`, the source. Those of NumPy, torch and ndbridge are views of it, which
    are then copied, or casts if `dtype` is one. JAX compiles its function."""

    numpy: str
    torch: str
    ndbridge: str
    tensorflow: str
    jax: Callable[[Any], Any]
    dtype: Any = None
    #: torch's own function that makes a fresh result, where it has no such view.
    torch_fresh: str | None = None


@dataclass(frozen=True)
class Work:
    """An operation on a source, with its right answer and the bytes that it moves."""

    group: str
    title: str
    operation: Operation
    source: Any
    expected: Any
    bytes: int

    @classmethod
    def of(cls, group: str, title: str, operation: Operation, source: Any, **more: Any) -> "Work":
        # NumPy decides what is right.
        view = eval(operation.numpy, {"s": source, "np": np})
        expected = view.astype(operation.dtype or source.dtype, order="C", copy=True)
        moved = {"bytes": source.nbytes + expected.nbytes, **more}
        return cls(group, title, operation, source, expected, **moved)

    def existing(self) -> Case:
        """Into memory that exists."""
        target = libraries.memory(self.expected.shape, self.expected.dtype)
        contenders = list(self.into(target))
        return self.case(contenders, is_existing=True)

    def fresh(self) -> Case:
        """Into memory that is allocated and freed in each call."""
        return self.case(list(self.fresh_contenders()), is_existing=False)

    def existing_then_read(self) -> Case:
        """Into memory that exists, all of which is then summed up, by NumPy for all."""
        target = libraries.memory(self.expected.shape, self.expected.dtype)
        read = {"sum_up": np.add.reduce, "words": libraries.bits(target)}
        contenders = [
            replace(
                contender,
                expression=f"({contender.expression}, sum_up(words))",
                names={**contender.names, **read},
            )
            for contender in self.into(target)
        ]
        return self.case(contenders, is_existing=True)

    def case(self, contenders: list[Contender], is_existing: bool) -> Case:
        return Case(self.group, self.title, self.bytes, contenders, is_existing=is_existing)

    def into(self, target: Any) -> Iterator[Contender]:
        source, room, operation = Arrays(self.source), Arrays(target), self.operation
        yield limit(self.bytes // 2, self.source, target)
        check = self.check_target(target)
        names = {"s": source.ndbridge, "d": room.ndbridge}
        copied = f"{operation.ndbridge}, casting='unsafe'"
        yield from ours(f"d.copy_({copied})", names, check)
        names = {"s": source.numpy, "d": room.numpy, "np": np}
        expression = f"np.copyto(d, {operation.numpy}, casting='unsafe')"
        yield Contender(libraries.NUMPY, expression, names, check)
        names = {"s": source.torch, "d": room.torch, "torch": torch}
        yield from of_torch(f"d.copy_({operation.torch})", names, check)

    def fresh_contenders(self) -> Iterator[Contender]:
        source, operation = Arrays(self.source), self.operation
        numpy, theirs, own = map(self.made, (operation.numpy, operation.torch, operation.ndbridge),
                                 ("numpy", "torch", "ndbridge"))  # fmt: skip
        yield limit(self.bytes // 2, self.source, None)
        yield from ours(own, {"s": source.ndbridge, "dtype": self.dtype_name()}, self.check)
        names = {"s": source.numpy, "np": np, "dtype": operation.dtype}
        yield Contender(libraries.NUMPY, numpy, names, self.check)
        dtype = operation.dtype and libraries.torch_dtype(operation.dtype)
        names = {"s": source.torch, "torch": torch, "dtype": dtype}
        yield from of_torch(operation.torch_fresh or theirs, names, self.check)
        yield from self.compiled(source)

    def compiled(self, source: Arrays) -> Iterator[Contender]:
        """TensorFlow and JAX, which cannot write to memory that exists."""
        dtype = self.operation.dtype and libraries.tensorflow_dtype(self.operation.dtype)
        names = {"s": source.tensorflow(), "tf": tf, "dtype": dtype}
        yield Contender(libraries.TENSORFLOW, self.operation.tensorflow, names, self.check)
        function = jax.jit(self.operation.jax)
        names = {"s": source.jax(), "f": function}
        yield Contender(libraries.JAX, "f(s).block_until_ready()", names, self.check)

    def made(self, view: str, library: str) -> str:
        """The expression of a fresh result."""
        casts = {
            "numpy": "s.astype(dtype)",
            "torch": "s.to(dtype)",
            "ndbridge": "s.astype(dtype, 'unsafe')",
        }
        copies = {
            "numpy": f"np.array({view}, order='C')",
            "torch": f"({view}).contiguous()",
            "ndbridge": f"({view}).contiguous()",
        }
        clones = {"numpy": "s.copy()", "torch": "s.clone()", "ndbridge": "s.clone()"}
        if self.operation.dtype is not None:
            return casts[library]
        return (clones if view == "s" else copies)[library]

    def dtype_name(self) -> str | None:
        return self.operation.dtype and np.dtype(self.operation.dtype).name

    def check_target(self, target: Any) -> Callable[[Any], None]:
        def check(_: Any) -> None:
            self.check(target)
            # The next one must not pass by what this one wrote.
            libraries.bits(target).fill(0)

        return check

    def check(self, answer: Any) -> None:
        found = libraries.to_numpy(answer)
        if found.shape != self.expected.shape or found.dtype != self.expected.dtype:
            raise ValueError(f"wrong answer, {found.dtype} {found.shape}")
        if found.size and np.may_share_memory(found, self.source):
            raise ValueError("not a copy")
        if not found.flags.c_contiguous:
            raise ValueError("not contiguous")
        if not np.array_equal(libraries.bits(found), libraries.bits(self.expected)):
            raise ValueError("wrong answer")


def limit(nbytes: int, source: Any, target: Any) -> Contender:
    """`nbytes` read and as many written, between the contenders' own memory if that is enough."""
    if nbytes > source.nbytes or not source.flags.c_contiguous:
        source = libraries.memory((nbytes,), np.uint8)
    if target is None or nbytes > target.nbytes:
        target = libraries.memory((nbytes,), np.uint8)
    names = {
        "memmove": ctypes.memmove,
        "d": target.ctypes.data,
        "s": source.ctypes.data,
        "n": nbytes,
        # For their lives' sake.
        "kept": (source, target),
    }
    expected, wrote = source.reshape(-1).view(np.uint8), target.reshape(-1).view(np.uint8)

    def check(_: Any) -> None:
        if not np.array_equal(wrote[:nbytes], expected[:nbytes]):
            raise ValueError("wrong answer")
        libraries.bits(target).fill(0)

    return Contender(libraries.LIMIT, "memmove(d, s, n)", names, check)


def ours(
    expression: str, names: dict[str, object], check: Callable[[Any], None]
) -> Iterator[Contender]:
    one = Contender(libraries.OURS, expression, names, check)
    yield one
    if libraries.set_our_threads is not None:
        yield two_threads(one, libraries.OURS_2, libraries.set_threads)


def of_torch(
    expression: str, names: dict[str, object], check: Callable[[Any], None]
) -> Iterator[Contender]:
    one = Contender(libraries.TORCH, expression, names, check)
    yield one
    yield two_threads(one, libraries.TORCH_2, libraries.set_torch_threads)


def two_threads(one: Contender, label: str, set_threads: Callable[[int], None]) -> Contender:
    return replace(
        one,
        label=label,
        before=lambda: set_threads(2),
        after=lambda: set_threads(1),
        threads=2,
    )
