"""Every producer's arrays in every layout and data type, by every call, to every consumer.

What must happen is stated in `promises`, from what the consumers document. What happened is
compared with it by pointer, by the elements' bits, and by writing: a bit flipped in the producer's
memory must show in the consumer's array, and the other way round where that can be written.
The cells are written to docs/matrix.md if NDBRIDGE_WRITE_MATRIX=1 is set, and compared with it
otherwise.
"""

import contextlib
import functools
import os
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import ndbridge as nd
import numpy as np
import pytest

import matrix_page
from conftest import copied_bytes
from frameworks import (
    DTYPES, FLOAT8, NUMPY_DTYPES, SIXTY_FOUR_BIT, flip_bit, jax, jnp, pointer, tf,
    tf_from_dlpack, to_numpy, torch,
)  # fmt: skip
from producers import KEPT, PRODUCERS, WRITABLE, made_by
from promises import AS_ONE_AXIS, Facts, promised

CONSUMERS = {
    "`t.numpy()`": lambda t: t.numpy(),
    "`np.asarray(t)`": np.asarray,
    "`memoryview(t)`": memoryview,
    "`t.torch()`": lambda t: t.torch(),
    "`t.jax()`": lambda t: t.jax(),
    "`t.tensorflow()`": lambda t: t.tensorflow(),
    "`torch.asarray(t)`": torch.asarray,
    "`torch.frombuffer(t)`": lambda t: torch.frombuffer(t, dtype=getattr(torch, t.dtype.name)),
    "`np.from_dlpack(t)`": np.from_dlpack,
    "`torch.from_dlpack(t)`": torch.from_dlpack,
    "`jnp.from_dlpack(t)`": jnp.from_dlpack,
    "`tf.from_dlpack(t)`": lambda t: tf_from_dlpack(t.__dlpack__()),
}
SHARING = {
    "`from_numpy(x)`": nd.from_numpy,
    "`from_buffer(x)`": nd.from_buffer,
    "`from_dlpack(x)`": nd.from_dlpack,
    "`from_dlpack(x, copy=False)`": lambda x: nd.from_dlpack(x, copy=False),
    "`asarray(x, copy=False)`": lambda x: nd.asarray(x, copy=False),
}
COPYING = {
    "`tensor(x)`": nd.tensor,
    "`asarray(x, copy=True)`": lambda x: nd.asarray(x, copy=True),
    "`from_dlpack(x, copy=True)`": lambda x: nd.from_dlpack(x, copy=True),
}
#: Words that a refusal by ndbridge gives its reason in.
REASONS = {
    "r": r"read-only|may be written",
    "b": r"negative stride|backwards|reversed",
    "i": r"multiples? of (the|its) item",
    "u": r"aligned",
    "o": r"contiguous|compact|order|gaps",
    "a": r"64.byte|multiple of 64|aligned",
    "d": r"bfloat16|float8|data type|dtype",
    "x": r"narrow",
}
GROUPS = {
    "up to 32 bits, and complex64": [d for d in NUMPY_DTYPES if d not in SIXTY_FOUR_BIT],
    "64 bits, and complex128": SIXTY_FOUR_BIT,
    "bfloat16": ["bfloat16"],
    "float8_e4m3fn, float8_e5m2": FLOAT8,
}
GROUP_OF = {dtype: group for group, dtypes in GROUPS.items() for dtype in dtypes}


@dataclass
class Outcome:
    """What a consumer did."""

    code: str
    error: BaseException | None = None


# ---- consumers -------------------------------------------------------------------------------


def observed(consumer, t, facts):
    """What the consumer does with `t`, whose memory is `facts.array`."""
    memory = facts.array
    try:
        result, copied = copied_bytes(lambda: CONSUMERS[consumer](t))
    except Exception as error:
        return Outcome(refusal_code(error), error)
    assert copied == 0, "ndbridge copied, unasked"
    if has_other_dtype(result, memory):
        return Outcome("N")
    as_one_axis = consumer in AS_ONE_AXIS
    assert tuple(result.shape) == ((memory.size,) if as_one_axis else memory.shape)
    if memory.size and pointer(result) != pointer(memory):
        assert to_numpy(result).tobytes() == memory.tobytes()
        return Outcome("C")
    # The first look at the elements comes after the flip: JAX keeps what it has shown once.
    with flipped(memory):
        seen = to_numpy(result)
        assert (seen.dtype, seen.tobytes()) == (memory.dtype, memory.tobytes())
    assert_writes_are_seen(result, facts)
    return Outcome("s" if as_one_axis else "S")


def has_other_dtype(result, memory):
    return isinstance(result, jax.Array) and result.dtype != memory.dtype


class flipped:
    """The lowest bit of the first element is another one meanwhile."""

    def __init__(self, array):
        self.array = array

    def __enter__(self):
        if self.array.size:
            flip_bit(pointer(self.array))

    def __exit__(self, *_):
        self.__enter__()


def assert_writes_are_seen(result, facts):
    """Writes through arrays that allow it reach the memory, and no others allow it."""
    if isinstance(result, memoryview):
        assert result.readonly == (facts.access != WRITABLE), "memoryview.readonly"
        result = np.asarray(result)
    if not facts.array.size:
        # NumPy makes new memory for no elements.
        return
    if isinstance(result, np.ndarray):
        assert result.flags.writeable == (facts.access == WRITABLE), "flags.writeable"
        if not result.flags.writeable:
            return
    elif not isinstance(result, torch.Tensor) or facts.access != WRITABLE or facts.is_off_item:
        # torch would crash over complex128 off its alignment.
        return
    memory = facts.array
    first = (0,) * memory.ndim
    before = memory[first].tobytes()
    changed = np.frombuffer(bytes([before[0] ^ 1]) + before[1:], memory.dtype)[0]
    set_item(result, changed)
    assert memory[first].tobytes() == changed.tobytes()
    set_item(result, np.frombuffer(before, memory.dtype)[0])
    assert memory[first].tobytes() == before


def set_item(array, value):
    index = (0,) * array.ndim
    if isinstance(array, np.ndarray):
        array[index] = value
    else:
        # By its bits: torch takes no NumPy scalar of bfloat16.
        array[index] = torch.frombuffer(bytearray(value.tobytes()), dtype=array.dtype)[0]


THEIR_REFUSALS = {
    "O": r"trivial \(compact\) striding|Invalid strides array|both buffer length \(0\)",
    "D": r"Unsupported dtype in DLTensor|Unsupported Type Codes|could not infer a dtype from the buffer",
    "R": r"could not retrieve a? ?\w* ?buffer from",
}
THEIR_ERRORS = (
    RuntimeError, ValueError, jax.errors.JaxRuntimeError, tf.errors.InvalidArgumentError
)  # fmt: skip


def refusal_code(error):
    """Which refusal this is; several letters if a message of ndbridge names several reasons."""
    text = str(error)
    for code, pattern in THEIR_REFUSALS.items():
        if isinstance(error, THEIR_ERRORS) and re.search(pattern, text):
            return code
    assert isinstance(error, (BufferError, TypeError)), repr(error)
    reason = text.partition(": call ")[0]
    codes = "".join(code for code, pattern in REASONS.items() if re.search(pattern, reason))
    assert codes, f"no reason is named: {text}"
    return codes


def assert_promise(consumer, facts, outcome):
    """Compares, and gives the cell of the table."""
    wanted = promised(consumer, facts)
    code = outcome.code
    if wanted[0] == code + "!":
        code = wanted[0]
    if outcome.error is None or code in THEIR_REFUSALS:
        assert code == wanted[0], f"{outcome.error!r}"
        return code
    applicable = [reason for reason in wanted if reason in code]
    assert applicable and wanted[0] in REASONS, f"promised {wanted}: {outcome.error!r}"
    return applicable[0]


def advised(error):
    """The call that a message of ndbridge says would work, as an expression of the tensor `t`."""
    found = re.search(
        r": (?:call|pass|use) (?P<call>[\w.]+\((?:[^()]|\([^()]*\))*\)[\w.()]*)", str(error)
    )
    assert found, f"no call is named: {error}"
    call = found["call"]
    return call if re.match(r"(t|nd|jax|x)\.", call) else f"t.{call}"


@functools.cache
def advice_was_tried(consumer, code, call, dtype):
    """Remembers which advice was followed for which refusal."""
    return []


def follow_advice(consumer, t, facts, outcome):
    """The call that the refusal names must work: ndbridge has no more to say against its result."""
    call = advised(outcome.error)
    tried = advice_was_tried(consumer, outcome.code, call, facts.dtype)
    if tried:
        return
    tried.append(True)
    result = eval(call, {"t": t, "x": t, "nd": nd, "jax": jax, "np": np})
    if isinstance(result, nd.Tensor):
        after = Facts(result.dtype.name, result.numpy(), WRITABLE)
        cell = assert_promise(consumer, after, observed(consumer, result, after))
        assert cell not in REASONS, f"{call} is refused as well: {cell}"
        result = result.numpy()
    seen = to_numpy(result)
    assert seen.shape == facts.array.shape, call
    is_other = "astype" in call or "view" in call
    assert seen.tobytes() == facts.array.tobytes() or is_other, call


def check_consumers(t, facts, found, layout, producer):
    for consumer in CONSUMERS:
        with found.case(f"{layout} of {producer}, {facts.dtype}, {consumer}"):
            outcome = observed(consumer, t, facts)
            cell = assert_promise(consumer, facts, outcome)
            found.cells[GROUP_OF[facts.dtype], layout, facts.access, consumer].add(cell)
            if cell in REASONS:
                follow_advice(consumer, t, facts, outcome)


# ---- calls that take an array ----------------------------------------------------------------


def takes(call, producer, made, dtype):
    """Whether a call takes the producer's arrays, and else the errors that may say so."""
    ml = dtype in (*FLOAT8, "bfloat16")
    is_hidden = producer == "tensorflow" and dtype in FLOAT8 and made.memory.ndim == 0
    if "from_numpy" in call:
        return producer == "numpy" or TypeError
    if "from_buffer" in call:
        buffers = ("bytes", "bytearray", "array.array", "memoryview", "numpy", "ndbridge", "jax")
        if producer not in (*buffers, "tensorflow") or ml:
            return (TypeError, BufferError)
        # XLA gives no buffer of memory in Fortran order.
        column_major = producer == "jax" and not made.memory.flags.c_contiguous
        return BufferError if column_major else True
    if "from_dlpack" in call:
        others = ("bytes", "bytearray", "array.array", "memoryview", "`__array_interface__`")
        if producer in others:
            return (TypeError, BufferError)
    # TensorFlow tells nobody where it keeps a single float8.
    return (TypeError, BufferError, ValueError) if is_hidden else True


def check_sharing(call, t, made, dtype):
    memory = made.memory
    assert t.receipt.shared and t.receipt.copied_bytes == 0
    assert (t.shape, str(t.dtype), t.device) == (memory.shape, dtype, "cpu")
    assert t.readonly == (made.access == KEPT), made.access
    if memory.size:
        assert t.data_ptr() == pointer(memory)
        walked = [axis for axis, length in enumerate(memory.shape) if length > 1]
        assert [t.strides[a] for a in walked] == [memory.strides[a] for a in walked]


def check_copying(call, t, made, dtype):
    memory = made.memory
    assert not t.receipt.shared and t.receipt.copied_bytes == memory.nbytes
    assert (t.shape, str(t.dtype)) == (memory.shape, dtype)
    assert not t.readonly
    assert t.data_ptr() % 64 == 0
    copy = t.numpy()
    assert (copy.dtype, copy.tobytes()) == (memory.dtype, memory.tobytes())
    assert not np.shares_memory(copy, memory)
    with flipped(memory):
        assert copy.tobytes() != memory.tobytes() or not memory.size
    return copy


def check_taking(call, take, producer, layout, dtype, make, found):
    """Takes one array by one call, and hands on what came of it."""
    made = make()
    with found.case(f"{producer} {layout} {dtype}, {call}"):
        place = GROUP_OF[dtype], layout, producer, call
        wanted = takes(call, producer, made, dtype)
        if wanted is not True:
            with pytest.raises(wanted) as error:
                take(made.object)
            assert str(error.value), "no reason is named"
            found.taken[place].add("-")
            return
        t = take(made.object)
        if call in COPYING:
            copy = check_copying(call, t, made, dtype)
            layout = "empty" if not copy.size else "C" if copy.flags.c_contiguous else "F"
            producer, facts = "copies of any", Facts(dtype, copy, WRITABLE)
        else:
            check_sharing(call, t, made, dtype)
            facts = Facts(dtype, made.memory, made.access)
            layout = "C" if layout == "read-only" else layout
        found.taken[place].add("C" if call in COPYING else "S")
        found.made[producer, facts.access] = True
        check_consumers(t, facts, found, layout, producer)


class Found:
    """Every cell that was seen, by its place in the tables, and every case that was wrong."""

    def __init__(self):
        self.cells, self.taken = defaultdict(set), defaultdict(set)
        self.made, self.done, self.wrong = {}, set(), []

    @contextlib.contextmanager
    def case(self, name):
        try:
            yield
        except (Exception, pytest.fail.Exception) as error:
            # The first line: what follows in an assertion is made of arrays.
            said = str(error).partition("\n")[0]
            self.wrong.append(f"{name}: {type(error).__name__}: {said}")


@pytest.fixture(scope="module")
def found():
    return Found()


@pytest.mark.parametrize("producer", PRODUCERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_shr_1_every_array_to_every_consumer(found, producer, dtype):
    found.wrong.clear()
    for layout, make in made_by(producer, dtype).items():
        for call, take in (SHARING | COPYING).items():
            check_taking(call, take, producer, layout, dtype, make, found)
    if found.wrong:
        pytest.fail("\n".join(found.wrong), pytrace=False)
    found.done.add((producer, dtype))


@pytest.mark.parametrize("dtype", SIXTY_FOUR_BIT)
def test_shr_1_jax_takes_64_bits_if_it_has_them(dtype):
    for layout, make in made_by("numpy", dtype).items():
        made = make()
        facts, t = Facts(dtype, made.memory, made.access), nd.from_numpy(made.object)
        with jax.enable_x64(True):
            for consumer in ("`t.jax()`", "`jnp.from_dlpack(t)`"):
                outcome = observed(consumer, t, facts)
                wanted = [code for code in promised(consumer, facts) if code not in "xN"] or ["S"]
                assert set(outcome.code) & set(wanted), (layout, consumer, outcome)


PAGE = Path(__file__).parents[4] / "docs" / "matrix.md"


def test_shr_1_the_page_says_what_was_seen(found):
    if len(found.done) < len(PRODUCERS) * len(DTYPES):
        pytest.skip("not every array was tried, or one failed")
    versions = [("NumPy", np), ("PyTorch", torch), ("TensorFlow", tf), ("JAX", jax)]
    text = matrix_page.page(
        found, [*SHARING, *COPYING], list(CONSUMERS), list(GROUPS),
        [(name, library.__version__) for name, library in versions],
    )  # fmt: skip
    if os.environ.get("NDBRIDGE_WRITE_MATRIX") == "1":
        PAGE.write_text(text)
    assert matrix_page.without_versions(PAGE.read_text()) == matrix_page.without_versions(text), (
        "docs/matrix.md is old: NDBRIDGE_WRITE_MATRIX=1 writes it again"
    )
