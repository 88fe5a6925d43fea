"""Writes views.txt: what NumPy answers for random view operations. Run with NumPy 2.4, by hand, and check the file in.

One case a line: `item bytes;shape;strides;offset;operation arguments;answer`. An answer is
`shape;strides;offset`, several of them separated by `/` (split), one value (flags), `!` (NumPy refuses) or
`!copy` (reshape would copy).
"""

import random
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

CASES = 6000
DTYPES = {1: "u1", 2: "u2", 4: "f4", 8: "f8", 16: "c16"}
EXTREME = [2**63 - 1, -(2**63), 2**62, -(2**62) + 1, 2**32]

rng = random.Random(20260117)
buffer = np.zeros(1 << 16, "u1")
start = buffer.__array_interface__["data"][0]


def text(numbers):
    return ",".join(map(str, numbers))


def describe(array):
    offset = array.__array_interface__["data"][0] - start
    return f"{text(array.shape)};{text(array.strides)};{offset}"


def random_shape(max_ndim=5):
    ndim = rng.choice([0, 1, 1, 2, 2, 2, 3, 3, 3, 4, max_ndim])
    lens = [1, 2, 3, 4, 5, 6] if rng.random() < 0.85 else [0, 1, 2, 3]
    return [1 if rng.random() < 0.2 else rng.choice(lens) for _ in range(ndim)]


def random_base():
    """A view of the buffer: packed in some order, then spread, reversed, broadcast, or with odd strides."""
    item = rng.choice(list(DTYPES))
    shape = random_shape()
    order = list(range(len(shape)))
    kind = rng.random()
    if kind > 0.4:
        rng.shuffle(order)
    elif kind > 0.25:
        order.reverse()
    strides, step = [0] * len(shape), item
    for axis in reversed(order):
        if kind > 0.6 and rng.random() < 0.4:
            step *= rng.choice([1, 2, 3])
        if kind > 0.9:
            step += rng.choice([0, 1])
        strides[axis] = step
        step *= max(shape[axis], 1)
        if kind > 0.6 and rng.random() < 0.25:
            strides[axis] = -strides[axis]
        if kind > 0.6 and rng.random() < 0.1:
            strides[axis] = 0
        if kind > 0.5 and shape[axis] == 1 and rng.random() < 0.5:
            strides[axis] = rng.choice([0, 7, -8, 1000, 2**62, -(2**63)])
    low = sum(min(0, (n - 1) * s) for n, s in zip(shape, strides) if n > 1)
    offset = -low + rng.randrange(0, 64)
    if 0 in shape:
        offset = rng.randrange(0, 64)
    base = np.lib.stride_tricks.as_strided(
        buffer[offset:].view("u1")[: (len(buffer) - offset) // item * item].view(DTYPES[item]), shape, strides
    )
    assert base.strides == tuple(strides)
    return item, base


def random_axis(ndim, out=0.06):
    if ndim == 0 or rng.random() < out:
        return rng.choice([ndim, -ndim - 1, 0, 2**63 - 1, -(2**63)])
    return rng.randrange(-ndim, ndim)


def random_bound(length):
    roll = rng.random()
    if roll < 0.35:
        return None
    return rng.choice(EXTREME) if roll < 0.4 else rng.randrange(-length - 2, length + 3)


def random_slice(length):
    step = rng.choice([None, 1, 2, 3, -1, -1, -2, -3]) if rng.random() < 0.95 else rng.choice([0] + EXTREME)
    return slice(random_bound(length), random_bound(length), step)


def index(array):
    entries, axis = [], 0
    for length in array.shape[: rng.randint(0, array.ndim)]:
        if rng.random() < 0.12:
            entries.append(None)
        if rng.random() < 0.3:
            bad = rng.random() < 0.05 or length == 0
            entries.append(rng.choice([length, -length - 1, 2**63 - 1]) if bad else rng.randrange(-length, length))
        else:
            entries.append(random_slice(length))
    if rng.random() < 0.3:
        entries.insert(rng.randint(0, len(entries)), ...)
    if rng.random() < 0.03:
        entries += rng.choice([[...], [0] * (array.ndim + 1), [None] * 65])
    names = [entry_text(entry) for entry in entries]
    return ",".join(names), lambda: array[(*entries, ...) if ... not in entries else tuple(entries)]


def entry_text(entry):
    if entry is None:
        return "N"
    if entry is ...:
        return "..."
    if isinstance(entry, slice):
        parts = (entry.start, entry.stop, entry.step)
        return ":".join("" if part is None else str(part) for part in parts)
    return str(entry)


def select(array):
    axis = random_axis(array.ndim)
    length = array.shape[axis] if -array.ndim <= axis < array.ndim else 1
    at = rng.randrange(-length, length) if length and rng.random() < 0.9 else rng.choice([length, -length - 1])
    return f"{axis},{at}", lambda: np.moveaxis(array, axis, 0)[at, ...]


def permute(array):
    axes = list(range(array.ndim))
    rng.shuffle(axes)
    axes = [axis - array.ndim if rng.random() < 0.3 else axis for axis in axes]
    if rng.random() < 0.08:
        axes = [random_axis(array.ndim) for _ in range(max(1, array.ndim + rng.choice([-1, 0, 1])))]
    return text(axes), lambda: np.transpose(array, axes)


def swap(array):
    first, second = random_axis(array.ndim), random_axis(array.ndim)
    return f"{first},{second}", lambda: np.swapaxes(array, first, second)


def flip(array):
    axes = [axis for axis in range(-array.ndim, array.ndim) if rng.random() < 0.3]
    return text(axes), lambda: np.flip(array, tuple(axes)) if axes else array[...]


def squeeze(array):
    if rng.random() < 0.4:
        return "all", lambda: np.squeeze(array)
    axes = [axis for axis in range(array.ndim) if rng.random() < 0.1 or array.shape[axis] == 1]
    return text(axes), lambda: np.squeeze(array, tuple(axes))


def unsqueeze(array):
    axis = random_axis(array.ndim + 1)
    return str(axis), lambda: np.expand_dims(array, axis)


def broadcast(array):
    shape = [rng.choice([0, 1, 2, 3]) if n == 1 and rng.random() < 0.7 else n for n in array.shape]
    shape = random_shape(3)[:2] + shape
    if rng.random() < 0.1:
        shape = random_shape()
    if rng.random() < 0.03:
        shape = [2**40, 2**40] + shape
    return text(shape), lambda: np.broadcast_to(array, shape)


def diagonal(array):
    offset = rng.randrange(-7, 8)
    first, second = random_axis(array.ndim, 0.03), random_axis(array.ndim, 0.03)
    return f"{offset},{first},{second}", lambda: np.diagonal(array, offset, first, second)


def split(array):
    axis, sections = random_axis(array.ndim, 0.03), rng.randrange(0, 6)
    return f"{sections},{axis}", lambda: np.array_split(array, sections, axis)


def split_at(array):
    axis = random_axis(array.ndim, 0.03)
    cuts = [rng.randrange(-7, 8) for _ in range(rng.randrange(0, 4))]
    return text([axis, *cuts]), lambda: np.array_split(array, cuts, axis)


def windows(array):
    lens = lambda axes: [rng.randrange(0, max(array.shape[axis], 1) + 1) for axis in axes]
    if rng.random() < 0.4:
        window = lens(range(array.ndim)) + ([1] if rng.random() < 0.05 else [])
        return text(window), lambda: sliding_window_view(array, window)
    axes = [random_axis(array.ndim, 0) for _ in range(rng.randrange(1, 3))] if array.ndim else []
    window = lens(axes)
    return f"{text(window)}@{text(axes)}", lambda: sliding_window_view(array, window, tuple(axes))


def regrouped(shape):
    """The lengths of `shape`, multiplied together or factored at random, with some ones."""
    shape = list(shape)
    for _ in range(rng.randrange(0, 4)):
        if len(shape) > 1 and rng.random() < 0.6:
            at = rng.randrange(len(shape) - 1)
            shape[at : at + 2] = [shape[at] * shape[at + 1]]
        elif shape:
            at = rng.randrange(len(shape))
            factors = [f for f in range(1, shape[at] + 1) if shape[at] % f == 0] or [1]
            factor = rng.choice(factors)
            shape[at : at + 1] = [factor, shape[at] // factor]
        if rng.random() < 0.2:
            shape.insert(rng.randint(0, len(shape)), 1)
    return shape


def reshape(array):
    shape = regrouped(array.shape)
    if shape and rng.random() < 0.3:
        shape[rng.randrange(len(shape))] = -1
    if rng.random() < 0.05:
        shape = rng.choice([[-1, -1], [7, -1], [0, -1], [-1], [], [2**62, 4, 0], [1, 1]])

    def answer():
        np.reshape(array, shape)
        try:
            return np.reshape(array, shape, copy=False)
        except ValueError:
            return "!copy"

    return text(shape), answer


def reinterpret(array):
    item = rng.choice(list(DTYPES))
    return str(item), lambda: array.view(DTYPES[item])


def flags(array):
    return "", lambda: f"{int(array.flags.c_contiguous)}{int(array.flags.f_contiguous)}"


def keep(array):
    item = rng.choice(list(DTYPES))
    same = item == array.itemsize
    copy = (lambda: np.copy(array, order="K")) if same else (lambda: array.astype(DTYPES[item], order="K"))
    return str(item), lambda: text(copy().strides)


def new(array):
    order = rng.choice("CF")
    return order, lambda: text(np.empty(array.shape, array.dtype, order).strides)


def together(array):
    shapes = [array.shape] + [
        [n if rng.random() < 0.6 else 1 for n in array.shape][rng.randrange(0, array.ndim + 1) :]
        for _ in range(rng.randrange(0, 3))
    ]
    if rng.random() < 0.2:
        shapes.append(random_shape())
    return "|".join(map(text, shapes)), lambda: text(np.broadcast_shapes(*map(tuple, shapes)))


OPERATIONS = [
    index, index, index, index, select, permute, swap, flip, squeeze, unsqueeze, broadcast, broadcast, diagonal, diagonal, split,
    split_at, windows, reshape, reshape, reshape, reshape, reinterpret, reinterpret, flags, keep, keep, new, together,
]  # fmt: skip


def answer_text(answer):
    try:
        answer = answer()
    except (ValueError, IndexError, TypeError, OverflowError, MemoryError):
        return "!"
    if isinstance(answer, str):
        return answer
    if isinstance(answer, list):
        return "/".join(map(describe, answer))
    return describe(answer)


def case(operation):
    item, base = random_base()
    arguments, answer = operation(base)
    return f"{item};{describe(base)};{operation.__name__} {arguments};{answer_text(answer)}"


lines = [case(OPERATIONS[number % len(OPERATIONS)]) for number in range(CASES)]
Path(__file__).with_name("views.txt").write_text("\n".join(lines) + "\n")
