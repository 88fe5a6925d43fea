"""What is measured: every group and its cases, made when it is their turn."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from copies import libraries
from copies.files import files
from copies.operations import Operation, Work
from copies.sampling import Case
from copies.small import tiny

CONTIGUOUS, AGAIN = "Contiguous copies", "A large result, the first and a later one"
TRANSPOSED, CHANNELS, PERMUTED = "Transposes", "Channels", "Permutations of five axes"
STEPS, CASTS, READ = "Steps, reversed, broadcast", "Casts", "Copy and read the result"
SIZES_COPY, SIZES_TRANSPOSED, SIZES_CAST = "Copy by size", "Transpose by size", "Cast by size"
BY_SIZE = [SIZES_COPY, SIZES_TRANSPOSED, SIZES_CAST]

KIB, MIB = 1 << 10, 1 << 20
COPY = Operation("s", "s", "s", "tf.raw_ops.DeepCopy(x=s)", jnp.copy)
TRANSPOSE = Operation("s.T", "s.t()", "s.T", "tf.transpose(s)", jnp.transpose)
SQUARE = (4096, 4096)
SMALL_SQUARE = "512x512"
PERMUTED_SHAPE = (24, 28, 32, 26, 30)
CASTED = [
    ("float64", "float32"),
    ("float32", "float16"),
    ("float32", "bfloat16"),
    ("uint8", "float32"),
    ("int64", "int32"),
    ("float32", "uint8"),
    ("bool", "float32"),
]


@dataclass(frozen=True)
class Scope:
    """What of it: all, or a look of two minutes."""

    is_quick: bool
    #: An empty folder for files, on a disk.
    folder: Path

    def few(self, items: list[Any], count: int) -> list[Any]:
        return items[:count] if self.is_quick else items


def cases(scope: Scope) -> Iterator[Case]:
    yield from contiguous(scope)
    yield from again(scope)
    yield from transposed(scope)
    yield from channels(scope)
    yield from permuted(scope)
    yield from steps(scope)
    yield from casts(scope)
    yield from read(scope)
    yield from tiny()
    yield from files(scope.folder, scope.is_quick)
    yield from by_size(scope)


def contiguous(scope: Scope) -> Iterator[Case]:
    for nbytes in scope.few([4 * KIB, MIB, 64 * MIB, 256 * MIB], 3):
        source = libraries.values((nbytes // 4,), np.float32)
        work = Work.of(CONTIGUOUS, size(nbytes), COPY, source)
        yield work.existing()
        yield work.fresh()


def again(scope: Scope) -> Iterator[Case]:
    """What was freed before is used again, or is not there: `empty_cache` before each sample."""
    nbytes = (64 if scope.is_quick else 256) * MIB
    source = libraries.values((nbytes // 4,), np.float32)
    work = Work.of(AGAIN, f"{size(nbytes)}, later", COPY, source).fresh()
    yield work
    empty = libraries.empty_our_cache
    if empty is None:
        return
    # Two threads would fill the cache by the call that wakes the second one.
    first = [
        replace(contender, before=empty, is_once=True)
        if contender.label == libraries.OURS
        else contender
        for contender in work.contenders
        if contender.label != libraries.OURS_2
    ]
    yield replace(work, title=f"{size(nbytes)}, first", contenders=first)


def transposed(scope: Scope) -> Iterator[Case]:
    shapes = [(512, 512), (100_000, 3), (4000, 4000), SQUARE]
    dtypes = ["float32", "uint8", "float64", "uint16", "complex128"]
    for dtype in scope.few(dtypes, 2):
        for shape in shapes:
            work = transpose(TRANSPOSED, f"{shape[0]}x{shape[1]} {dtype}", shape, dtype)
            yield work.existing()
            if dtype == "float32":
                yield work.fresh()


def transpose(group: str, title: str, shape: tuple[int, int], dtype: Any) -> Work:
    return Work.of(group, title, TRANSPOSE, libraries.values(shape, dtype))


def channels(scope: Scope) -> Iterator[Case]:
    for dtype, count in itertools.product(["uint8", "float32"], [3, 4]):
        last, first = (32, 224, 224, count), (32, count, 224, 224)
        there, back = (0, 3, 1, 2), (0, 2, 3, 1)
        for name, shape, axes in (("NHWC to NCHW", last, there), ("NCHW to NHWC", first, back)):
            source = libraries.values(shape, dtype)
            title = f"{name}, {count} channels, {dtype}"
            work = Work.of(CHANNELS, title, permutation(axes), source)
            yield work.existing()
            if count == 3 and not scope.is_quick:
                yield work.fresh()


def permuted(scope: Scope) -> Iterator[Case]:
    source = libraries.values(PERMUTED_SHAPE, np.float32)
    for number, axes in enumerate(scope.few(orders(), 5)):
        work = Work.of(PERMUTED, "".join(map(str, axes)), permutation(axes), source)
        yield work.existing()
        if number < 3 and not scope.is_quick:
            yield work.fresh()


def orders() -> list[tuple[int, ...]]:
    """Twenty, the same ones always."""
    every = list(itertools.permutations(range(len(PERMUTED_SHAPE))))[1:]
    return random.Random(20).sample(every, 20)


def permutation(axes: tuple[int, ...]) -> Operation:
    return Operation(
        f"s.transpose({axes})",
        f"s.permute({axes})",
        f"s.permute({axes})",
        f"tf.transpose(s, {axes})",
        lambda s: jnp.transpose(s, axes),
    )


def steps(scope: Scope) -> Iterator[Case]:
    count = 16 * MIB
    source = libraries.values((count,), np.float32)
    second = Operation("s[::2]", "s[::2]", "s[::2]", "s[::2]", lambda s: s[::2])
    # Every line is read, whole.
    moved = source.nbytes + source.nbytes // 2
    work = Work.of(STEPS, "`[::2]`", second, source, bytes=moved)
    yield work.existing()
    yield work.fresh()
    backwards = Operation(
        "s[::-1]", "s.flip(0)", "s.flip(0)", "tf.reverse(s, [0])", lambda s: s[::-1],
        torch_fresh="s.flip(0)",
    )  # fmt: skip
    work = Work.of(STEPS, "`[::-1]`", backwards, source)
    yield work.existing()
    yield work.fresh()
    row = libraries.values((SQUARE[1],), np.float32)
    repeated = Operation(
        f"np.broadcast_to(s, {SQUARE})", f"s.expand({SQUARE})", f"s.expand({SQUARE})",
        f"tf.broadcast_to(s, {SQUARE})", lambda s: jnp.broadcast_to(s, SQUARE),
    )  # fmt: skip
    work = Work.of(STEPS, f"a row to {SQUARE[0]} rows", repeated, row)
    yield work.existing()
    yield work.fresh()


def casts(scope: Scope) -> Iterator[Case]:
    nbytes = (16 if scope.is_quick else 64) * MIB
    for source, target in CASTED:
        work = cast(CASTS, f"{source} to {target}", nbytes, source, target)
        yield work.existing()
        yield work.fresh()


def cast(group: str, title: str, nbytes: int, source: str, target: str) -> Work:
    count = nbytes // np.dtype(source).itemsize
    array = libraries.values((count,), source)
    dtype = libraries.BFLOAT16 if target == "bfloat16" else np.dtype(target)
    operation = Operation(
        "s", "s", "s", "tf.cast(s, dtype)", lambda s: s.astype(dtype), dtype=dtype
    )
    return Work.of(group, title, operation, array)


def read(scope: Scope) -> Iterator[Case]:
    for nbytes in scope.few([MIB, 16 * MIB, 64 * MIB], 2):
        source = libraries.values((nbytes // 4,), np.float32)
        yield Work.of(READ, f"copy, {size(nbytes)}", COPY, source).existing_then_read()
    yield transpose(READ, "transpose, 4096x4096 float32", SQUARE, "float32").existing_then_read()
    work = cast(READ, "float64 to float32, 64 MiB", 64 * MIB, "float64", "float32")
    yield work.existing_then_read()


def by_size(scope: Scope) -> Iterator[Case]:
    """A picture each."""
    for group, operation in ((SIZES_COPY, COPY), (SIZES_TRANSPOSED, TRANSPOSE)):
        for nbytes in sizes(scope):
            side = int((nbytes // 4) ** 0.5)
            source = libraries.values((side, side), np.float32)
            yield Work.of(group, size(nbytes), operation, source).existing()
    for nbytes in sizes(scope):
        yield cast(SIZES_CAST, size(nbytes), nbytes, "float32", "float16").existing()


def sizes(scope: Scope) -> list[int]:
    most = (64 if scope.is_quick else 1024) * MIB
    return [64 * 4**power for power in range(13) if 64 * 4**power <= most]


def size(nbytes: int) -> str:
    for unit, name in ((KIB * MIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if nbytes >= unit:
            return f"{nbytes // unit} {name}"
    return f"{nbytes} B"


def bytes_of(name: str) -> int:
    """What `size` made a name of."""
    number, unit = name.split()
    return int(number) * {"B": 1, "KiB": KIB, "MiB": MIB, "GiB": KIB * MIB}[unit]
