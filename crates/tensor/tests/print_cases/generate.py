"""Writes arrays.txt: how NumPy prints random arrays. Run with NumPy 2.4, by hand, and check the file in.

One case a line: `dtype shape values text`. Values repeat to fill the shape; floats are the hex digits of their bits,
complex numbers two of them joined by `+`. Line breaks of the text are written `\\n`.
"""

from pathlib import Path

import numpy as np

rng = np.random.default_rng(20260117)
SHAPES = [(), (3,), (3,), (7,), (12,), (2, 3), (2, 3), (4, 5), (1001,), (50, 50), (2, 2, 3), (3, 1, 1, 2), (11, 11, 11)]
FLOATS = ["float16", "float32", "float64"]
INTS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def some(array):
    """`array` with a few values that are not finite, or zeros of both signs."""
    special = rng.choice([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0], len(array))
    return np.where(rng.random(len(array)) < 0.25, special, array)


def real(count):
    """Values of one of the kinds that choose a different format."""
    kinds = [
        lambda: rng.integers(-20, 20, count) * 1.0,
        lambda: rng.integers(0, 2000, count) / 4,
        lambda: rng.integers(-99, 99, count) / 10,
        lambda: rng.random(count),
        lambda: rng.standard_normal(count) * 10.0 ** rng.integers(-6, 9),
        lambda: 10.0 ** rng.uniform(-3, 0.5, count),
        lambda: 10.0 ** rng.uniform(-9, 12, count) * rng.choice([-1, 1], count),
        lambda: 2.0 ** rng.integers(-30, 30, count),
        lambda: 10.0 ** rng.uniform(-320, 308, count),
        lambda: np.full(count, rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0])),
        lambda: rng.choice([0.015625, 1e8, 99999999.0, 1e6, 999999.0, 1000.0, 999.5, 1e-4, 9.9e-5, 1.0, 0.1], count),
        lambda: rng.integers(0, 3, count) + rng.choice([0.5, 1e-9, 0.000000005, 0.125], count),
    ]
    values = kinds[rng.integers(len(kinds))]()
    return some(values) if rng.random() < 0.3 else values


def array(dtype, count):
    if dtype == "bool":
        return rng.random(count) < 0.5
    if dtype in INTS:
        bits = rng.integers(1, 8 * np.dtype(dtype).itemsize + 1)
        return rng.integers(0, 256, count * 8, "u1").view("u8").astype(dtype) >> np.dtype(dtype).type(bits - 1)
    if dtype.startswith("complex"):
        parts = np.empty(count, dtype)
        parts.real, parts.imag = real(count), real(count)
        return parts
    return real(count).astype(dtype)


def value_text(value):
    if np.iscomplexobj(value):
        return f"{value_text(value.real)}+{value_text(value.imag)}"
    if np.issubdtype(value.dtype, np.floating):
        return value.tobytes()[::-1].hex()
    return str(int(value))


def random_case(dtype):
    return case(SHAPES[rng.integers(len(SHAPES))], array(dtype, int(rng.integers(1, 13))))


def case(shape, values):
    text = np.array2string(np.resize(values, shape), separator=", ", prefix="tensor(")
    cells = [values.dtype.name, ",".join(map(str, shape)), ",".join(map(value_text, values))]
    return " ".join(cells) + " " + text.replace("\n", "\\n")


# Where rounding to the precision of the elements decides the format, and a NaN with a sign.
EDGES = [
    np.array([1e-4, 1e-3], "f4"),
    np.array([9.99e-5, 1e-3], "f4"),
    np.array([999.5, 0.9995], "f2"),
    np.array([0.10174561, 0.00010174513], "f2"),
    np.array([1001.0, 1.0], "f4"),
    np.array([np.copysign(np.nan, -1)]),
]


with np.errstate(all="ignore"):
    dtypes = FLOATS * 100 + INTS * 8 + ["bool"] * 10 + ["complex64", "complex128"] * 40
    lines = [random_case(dtype) for dtype in dtypes] + [case(values.shape, values) for values in EDGES]
Path(__file__).with_name("arrays.txt").write_text("\n".join(lines) + "\n")
