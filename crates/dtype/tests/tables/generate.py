"""Writes the tables `*_ml_dtypes.csv` of this folder, by NumPy with ml_dtypes.

    pip install numpy ml_dtypes && python generate.py

Each table's first line names the versions. In casts, `!` marks what C leaves undefined.

The tables `*_numpy.csv` and `promote_torch.csv` were measured with numpy 2.4.6, ml_dtypes 0.6.0 and
torch 2.15.0 on x86-64 Linux. There `~` marks a warning, and `a|b` a result that depends on the length
of the array.
"""

import itertools
import math
import pathlib
import random
import warnings

import ml_dtypes
import numpy as np

FOLDER = pathlib.Path(__file__).parent
VERSIONS = f"# numpy {np.__version__}, ml_dtypes {ml_dtypes.__version__}"
NAMES = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64 "
    "complex64 complex128 float8_e4m3fn float8_e5m2"
).split()
DTYPES = {name: np.dtype(name) for name in NAMES}
LEVELS = ["no", "equiv", "safe", "same_kind", "unsafe"]
PYTHON = {
    "py:True": True, "py:1": 1, "py:-1": -1, "py:300": 300, "py:9223372036854775808": 2**63,
    "py:18446744073709551616": 2**64, "py:1.0": 1.0, "py:1j": 1j,
}


def write(table, lines):
    (FOLDER / table).write_text("\n".join([VERSIONS, *lines]) + "\n")


def can_cast():
    yield "from,to," + ",".join(LEVELS)
    for source, target in itertools.product(NAMES, NAMES):
        answers = (np.can_cast(DTYPES[source], DTYPES[target], level) for level in LEVELS)
        yield f"{source},{target}," + ",".join(str(int(answer)) for answer in answers)


def promoted(call, *operands):
    try:
        return call(*operands).name
    except np.exceptions.DTypePromotionError:
        return "error"


def promote():
    yield "," + ",".join(NAMES)
    for left in NAMES:
        row = (promoted(np.promote_types, DTYPES[left], DTYPES[right]) for right in NAMES)
        yield f"{left}," + ",".join(row)


def result_type():
    """All answers that NumPy gives for the operands in any order, joined by `|`."""
    yield "operands,results"
    operands = {name: np.zeros(2, dtype) for name, dtype in DTYPES.items()} | PYTHON
    chosen = [(name,) for name in operands]
    chosen += itertools.combinations_with_replacement(operands, 2)
    rng = random.Random(20261123)
    chosen += (rng.choices(list(operands), k=rng.choice([3, 3, 4])) for _ in range(3000))
    for names in sorted({tuple(sorted(names)) for names in chosen}):
        orders = itertools.permutations(operands[name] for name in names)
        results = sorted({promoted(np.result_type, *order) for order in orders})
        yield ";".join(names) + "," + "|".join(results)


def text(value):
    if isinstance(value, (bool, np.bool_)):
        return "FT"[bool(value)]
    if isinstance(value, np.integer):
        return str(int(value))
    if isinstance(value, np.complexfloating):
        return f"({text(value.real)};{text(value.imag)})"
    value = float(value)
    return math.copysign(1, value) < 0 and value != value and "-nan" or repr(value)


def is_undefined(value, target):
    if target.kind not in "iu":
        return False
    bounds = np.iinfo(target)
    return not (math.isfinite(value) and bounds.min <= math.trunc(value) <= bounds.max)


def casts_of_float8():
    yield "src,value," + ",".join(NAMES)
    for source in ["float8_e4m3fn", "float8_e5m2"]:
        for bits in range(256):
            value = np.array([bits], np.uint8).view(DTYPES[source])
            cells = [source, text(value[0])]
            for target in DTYPES.values():
                mark = "!" if is_undefined(float(value[0]), target) else ""
                cells.append(text(value.astype(target)[0]) + mark)
            yield ",".join(cells)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    write("can_cast_ml_dtypes.csv", can_cast())
    write("promote_ml_dtypes.csv", promote())
    write("result_type_ml_dtypes.csv", result_type())
    write("cast_ml_dtypes.csv", casts_of_float8())
